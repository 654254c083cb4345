//! Spread, detection and ledgers: of services that break one after the other, of alarms whose moment is known, and what
//! they say of the hypothesis.

use super::*;
use crate::measure::{
    loss::{Age, Loss},
    spread::{self, Marked},
};
use injector_spec::experiment::{Detect, Rpo};

fn control(name: &str) -> NamedProbe {
    probe(name, ProbeRole::Control)
}

fn steady(name: &str) -> NamedProbe {
    probe(name, ProbeRole::SteadyState)
}

fn impact(measured: &[Measured<'_>], times: &Times) -> Option<Impact> {
    let marked: Vec<_> = measured.iter().map(|one| Marked::of(one, times)).collect();
    spread::impact(&marked, times)
}

#[test]
fn a_cascade_is_told_in_its_order() {
    let probes = [steady("a"), control("b"), steady("c"), steady("d")];
    let answers = [
        asked(100, 0, down_between(13_400, 15_000)),
        asked(100, 0, |_| false),
        asked(100, 0, down_between(12_200, 15_000)),
        // Bad before the first hit, and good from then on.
        asked(100, 0, down_between(3_000, 4_000)),
    ];
    let measured: Vec<_> = probes
        .iter()
        .zip(&answers)
        .map(|(probe, answers)| Measured {
            what: What::Probe(probe),
            answers: answers.as_slice().into(),
        })
        .collect();
    let found = impact(&measured, &TIMES).unwrap();
    assert_eq!((found.at_ns, found.after_hit_ms), (12_200 * MS, 2_200));
    let order: Vec<_> = found
        .spread
        .iter()
        .map(|left| (left.probe.as_str(), left.after_ms))
        .collect();
    let wanted = [("c", Some(0)), ("a", Some(1_200)), ("b", None), ("d", None)];
    assert_eq!(order, wanted);
    assert_eq!(
        found.to_string(),
        "spread from the impact on, 2.2s after the first hit: `c` at +0s (±100ms), then `a` at +1.2s (±100ms); control \
         `b` never, `d` never"
    );
    let no_hit = Times {
        hit_ns: None,
        ..TIMES
    };
    assert_eq!(impact(&measured, &no_hit), None);
    assert_eq!(impact(&measured[1..2], &TIMES), None);
}

/// The alarm is on between two times, in milliseconds, and is asked every 200 ms.
fn alarm(from_ms: u64, to_ms: u64) -> Vec<Answer> {
    let is_on = down_between(from_ms, to_ms);
    asked(200, 50, move |at| !is_on(at))
}

/// The impact is in the twelfth second.
fn detection(answers: &[Answer], objective_ms: Option<u64>) -> Detected {
    let detect = Detect {
        name: "alarm".into(),
        question: "tcp 127.0.0.1:1 every 200ms within 100ms".parse().unwrap(),
    };
    let objective = objective_ms.map(Duration::from_millis);
    detected(&detect, answers, &TIMES, Some(12 * SECOND), objective)
}

#[test]
fn a_detection_is_the_first_word_of_the_alarm() {
    let came = |from, to| detection(&alarm(from, to), None).came;
    let at = |after_ms, least_ms, most_ms| Detection::Detected {
        after_ms,
        least_ms,
        most_ms,
    };
    assert_eq!(came(14_300, 99_000), at(2_450, 2_250, 2_454));
    // It need not stay on.
    assert_eq!(came(14_300, 14_600), at(2_450, 2_250, 2_454));
    // Before any probe turned bad, and behind the first hit.
    assert_eq!(came(11_000, 99_000), at(0, 0, 1));
    assert_eq!(
        came(99_000, 99_999),
        Detection::NotDetected {
            at_least_ms: 47_850
        }
    );
    let before = came(9_000, 99_000);
    let Detection::NotMeasurable { why } = &before else {
        panic!("{before:?}");
    };
    assert!(why.contains("on before the first hit"), "{why}");
    // One that was on in the baseline and is off again says nothing of the fault.
    assert_eq!(
        came(5_000, 6_000),
        Detection::NotDetected {
            at_least_ms: 47_850
        }
    );
    let late = detection(&alarm(14_300, 99_000)[60..], None).came;
    assert!(matches!(late, Detection::NotMeasurable { .. }), "{late:?}");
    let detect = detection(&[], None);
    assert!(matches!(detect.came, Detection::NotMeasurable { .. }));
}

#[test]
fn a_detection_is_held_against_its_objective_by_its_bounds() {
    let on = alarm(14_300, 99_000);
    let standing = |objective_ms| detection(&on, objective_ms).standing();
    assert_eq!(standing(None), Standing::Within);
    assert_eq!(standing(Some(2_454)), Standing::Within);
    assert!(matches!(standing(Some(2_249)), Standing::Deviated(_)));
    assert!(matches!(standing(Some(2_300)), Standing::Unseen(_)));
    let never = |objective_ms| detection(&alarm(99_000, 99_001), Some(objective_ms)).standing();
    assert!(matches!(never(30_000), Standing::Deviated(_)));
    assert!(matches!(never(50_000), Standing::Unseen(_)));
    let said = detection(&on, Some(30_000)).to_string();
    let wanted = "detection: `alarm` 2.45s after the impact (2.25s to 2.45s; objective 30s)";
    assert_eq!(said, wanted);
    let never = detection(&alarm(99_000, 99_001), None).to_string();
    assert_eq!(
        never,
        "detection: `alarm` not detected, for at least 47.9s after the impact"
    );
}

fn lost(lost: u64, torn: u64, double: u64, age: Age) -> Rpa {
    Rpa::Measured(Loss {
        acknowledged: 120,
        kept: 117,
        lost,
        torn,
        double,
        unacknowledged: 0,
        age,
        lost_ids: (0..lost.min(5)).map(|id| format!("i{id}")).collect(),
        torn_lines: Vec::new(),
        double_ids: Vec::new(),
    })
}

fn ledger(rpa: Rpa, rpo: Option<Rpo>) -> Reconciliation {
    Reconciliation {
        ledger: "orders".into(),
        rpo,
        rpa,
    }
}

const STRICT: Option<Rpo> = Some(Rpo {
    lost: 0,
    torn: 0,
    double: 0,
    age: Some(Duration::from_secs(5)),
});

#[test]
fn a_ledger_stands_to_its_objective() {
    let standing = |rpa, rpo| ledger(rpa, rpo).standing();
    let young = Age::Known { ms: 5_000 };
    assert_eq!(standing(lost(0, 0, 0, young), STRICT), Standing::Within);
    assert_eq!(standing(lost(9, 9, 9, young), None), Standing::Within);
    let why = |standing| match standing {
        Standing::Deviated(why) | Standing::Unsafe(why) | Standing::Unseen(why) => why,
        Standing::Within => String::new(),
    };
    let deviated = standing(lost(3, 0, 0, Age::Known { ms: 5_001 }), STRICT);
    assert!(matches!(deviated, Standing::Deviated(_)), "{deviated:?}");
    let said = "the ledger `orders` has 3 lost, where 0 may be, and an age of 5s, where 5s may be";
    assert_eq!(why(deviated), said);
    // What is damaged is worse than what is missing.
    let harm = standing(lost(3, 1, 2, young), STRICT);
    assert!(matches!(harm, Standing::Unsafe(_)), "{harm:?}");
    let said = "the ledger `orders` has 1 torn, where 0 may be, and 2 double, where 0 may be";
    assert_eq!(why(harm), said);
    for (age, wanted) in [
        (Age::NoImpact, Some(0)),
        (Age::NothingBefore, Some(0)),
        (Age::AtLeast { ms: 5_001 }, Some(1)),
        (Age::AtLeast { ms: 5_000 }, None),
        (Age::Untimed, None),
    ] {
        assert_eq!(
            standing(lost(0, 0, 0, age), STRICT).rank(),
            wanted,
            "{age:?}"
        );
    }
    let unread = Rpa::NotMeasurable {
        why: "no such file".into(),
    };
    for rpo in [STRICT, None] {
        let said = why(standing(unread.clone(), rpo));
        assert_eq!(said, "the ledger `orders` is not measurable: no such file");
    }
}

#[test]
fn a_ledger_is_told_beside_its_objective() {
    let said = ledger(lost(7, 0, 0, Age::Known { ms: 1_200 }), STRICT).to_string();
    assert_eq!(
        said,
        "ledger `orders`: RPA 7 lost, 0 torn, 0 double, age 1.2s (RPO 0 lost, 0 torn, 0 double, age 5s); 120 \
         acknowledged, 117 kept; lost: i0, i1, i2, i3, i4, ..."
    );
    let unread = Rpa::NotMeasurable {
        why: "no such file".into(),
    };
    let said = ledger(unread, None).to_string();
    assert_eq!(
        said,
        "ledger `orders`: RPA not measurable (no objective): no such file"
    );
}

/// The verdict of a target that is bad until a time, with a ledger and an alarm.
fn with(until_ms: u64, rpa: Rpa, alarm_at_ms: u64, met: usize, cut: Option<&Verdict>) -> Verdict {
    let probes = [steady("tasks")];
    let answers = asked(100, 0, down_between(12_000, until_ms));
    let steady_state = SteadyState {
        probes: probes.to_vec(),
        objectives: Objectives {
            rto: Duration::from_secs(5),
            detect: Some(Duration::from_secs(3)),
            ..Objectives::default()
        },
        detect: Some(Detect {
            name: "alarm".into(),
            question: "tcp 127.0.0.1:1 every 200ms within 100ms".parse().unwrap(),
        }),
        ledgers: Vec::new(),
        operations: Vec::new(),
    };
    let measured = [Measured {
        what: What::Probe(&probes[0]),
        answers: answers.as_slice().into(),
    }];
    let mut judgement = judge(&Case {
        steady_state: &steady_state,
        measured: &measured,
        alarm: &alarm(alarm_at_ms, 99_000),
        times: TIMES,
        planned: 1,
        met,
        cut_short: cut,
    });
    judgement.reconcile(vec![ledger(rpa, STRICT)], cut);
    let json = serde_json::to_value(&judgement).unwrap();
    assert_eq!(json["ledgers"][0]["ledger"], "orders");
    assert_eq!(
        serde_json::from_value::<Judgement>(json).unwrap(),
        judgement
    );
    assert_eq!(judgement.beside().len(), 2, "one probe spreads nowhere");
    judgement.verdict
}

#[test]
fn what_is_beyond_an_objective_decides_and_what_is_within_does_not() {
    let young = Age::Known { ms: 10 };
    let none = || lost(0, 0, 0, young);
    let unread = || Rpa::NotMeasurable { why: "gone".into() };
    let halted = Verdict::Halted("`hits > 5/s`".into());
    assert_eq!(with(14_000, none(), 13_000, 1, None), Verdict::Held);
    let name = |until, rpa, at, met, cut| with(until, rpa, at, met, cut).name();
    assert_eq!(
        name(14_000, lost(1, 0, 0, young), 13_000, 1, None),
        "deviated"
    );
    assert_eq!(
        name(14_000, lost(1, 1, 0, young), 13_000, 1, None),
        "unsafe"
    );
    assert_eq!(
        name(14_000, lost(0, 0, 1, young), 13_000, 1, None),
        "unsafe"
    );
    assert_eq!(name(14_000, none(), 16_000, 1, None), "deviated");
    assert_eq!(name(14_000, unread(), 13_000, 1, None), "inconclusive");
    // What is proven comes before what was not seen.
    assert_eq!(name(14_000, unread(), 16_000, 1, None), "deviated");
    assert_eq!(name(30_000, unread(), 13_000, 1, None), "deviated");
    // Without a hit nothing was done by a fault, and a run that was halted says so.
    assert_eq!(
        name(14_000, lost(0, 1, 0, young), 13_000, 0, None),
        "inconclusive"
    );
    assert_eq!(
        with(14_000, lost(9, 0, 0, young), 16_000, 1, Some(&halted)),
        halted
    );
    let why = with(30_000, lost(2, 0, 0, young), 16_000, 1, None);
    let why = why.why().unwrap();
    for part in ["`tasks` was bad", "`orders` has 2 lost", "`alarm` detected"] {
        assert!(why.contains(part), "{why}");
    }
}

proptest! {
    /// The order is that of the outages, as far as their intervals tell them apart, and each time lies within one interval.
    #[test]
    fn the_spread_is_that_of_the_outages(
        outages in prop::collection::vec((10_000u64..20_000, prop::bool::ANY), 1..6), pace_ms in 20u64..200,
    ) {
        let probes: Vec<_> = (0..outages.len()).map(|number| steady(&format!("p{number}"))).collect();
        let answers: Vec<_> = outages.iter().map(|(from, is_hurt)| {
            let from = if *is_hurt { *from } else { 90_000 };
            asked(pace_ms, 0, down_between(from, 99_000))
        }).collect();
        let measured: Vec<_> = probes.iter().zip(&answers)
            .map(|(probe, answers)| Measured {
            what: What::Probe(probe),
            answers: answers.as_slice().into(),
        }).collect();
        let found = impact(&measured, &TIMES);
        let Some(first) = outages.iter().filter(|(_, is_hurt)| *is_hurt).map(|(from, _)| *from).min() else {
            prop_assert_eq!(found, None);
            return Ok(());
        };
        let found = found.unwrap();
        prop_assert!((found.at_ns / MS).abs_diff(first) <= pace_ms);
        prop_assert_eq!(found.spread.len(), outages.len());
        let mut before = Some(0);
        for left in &found.spread {
            let index = probes.iter().position(|probe| probe.name == left.probe).unwrap();
            prop_assert_eq!(left.after_ms.is_some(), outages[index].1);
            if let Some(after) = left.after_ms {
                prop_assert!((first + after).abs_diff(outages[index].0) <= pace_ms + 1);
                prop_assert!(before.is_some_and(|before| before <= after), "one that never left stands last");
            }
            before = left.after_ms;
        }
    }

    /// Whenever an alarm comes, its moment lies within the bounds, and they are no wider than an interval and the answer.
    #[test]
    fn the_bounds_of_a_detection_hold_the_truth(at_ms in 12_000u64..55_000) {
        let came = detection(&alarm(at_ms, 99_000), None).came;
        let Detection::Detected { after_ms, least_ms, most_ms } = came else {
            return Err(TestCaseError::fail(format!("{came:?}")));
        };
        let truth = at_ms - 12_000;
        prop_assert!(least_ms <= truth && truth <= most_ms);
        prop_assert!(least_ms <= after_ms && after_ms <= most_ms && most_ms - least_ms <= 204);
    }
}
