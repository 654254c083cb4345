//! A model of a target whose outage is known, asked as a probe asks.

use std::time::Duration;

use proptest::prelude::*;

use super::{judgement::Tally, *};
use injector_common::decide;
use injector_spec::{
    condition::Question,
    experiment::{NamedProbe, Objectives, Phase, ProbeMode, ProbeRole, SteadyState},
};

mod beside;
mod checked;
mod quality;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// Faults hit from the tenth second to the twentieth; the run ends after the sixtieth.
const TIMES: Times = Times {
    begun_ns: 0,
    faults_ns: Some(10 * SECOND),
    hit_ns: Some(10 * SECOND),
    lifted_ns: Some(20 * SECOND),
    ended_ns: 60 * SECOND,
};

fn rule(rto_ms: u64) -> Rule {
    Rule {
        rto: Duration::from_millis(rto_ms),
        seen: Seen::Asked(Duration::from_millis(100)),
    }
}

/// Asks every `pace` from the beginning to the end; an answer takes 3 ms and is right as the target is when it is asked.
fn asked(pace_ms: u64, offset_ms: u64, is_down: impl Fn(u64) -> bool) -> Vec<Answer> {
    let first = offset_ms * MS;
    (first..TIMES.ended_ns - 3 * MS)
        .step_by(usize::try_from(pace_ms * MS).unwrap())
        .map(|at| Answer {
            begun_ns: at,
            ended_ns: at + 3 * MS,
            is_right: !is_down(at),
        })
        .collect()
}

fn fails(count: u8, of: u8) -> Fails {
    Fails { count, of }
}

fn judged(answers: &[Answer], rto_ms: u64) -> Fate {
    fate(answers, &bad(answers, fails(1, 1)), &TIMES, rule(rto_ms))
}

fn down_between(from_ms: u64, to_ms: u64) -> impl Fn(u64) -> bool {
    move |at| (from_ms * MS..to_ms * MS).contains(&at)
}

/// The five victims whose recovery is known.
#[test]
fn each_kind_of_recovery_is_told_from_the_others() {
    let of = |from, to| judged(&asked(100, 0, down_between(from, to)), 15_000);
    assert_eq!(of(0, 0), Fate::Absorbed);
    let Fate::Adapted(adapted) = of(12_000, 14_000) else {
        panic!("{:?}", of(12_000, 14_000));
    };
    assert_eq!(
        (
            adapted.impact_after_ms,
            adapted.rta_ms,
            adapted.least_ms,
            adapted.most_ms
        ),
        (2_000, 2_000, 1_900, 2_104)
    );
    assert_eq!(adapted.after_lift_ms, None);
    let Fate::Recovered(recovered) = of(12_000, 21_000) else {
        panic!("{:?}", of(12_000, 21_000));
    };
    assert_eq!(
        (recovered.rta_ms, recovered.after_lift_ms),
        (9_000, Some(1_000))
    );
    assert!(matches!(of(12_000, 40_000), Fate::Late(_)));
    assert_eq!(
        of(12_000, 99_000),
        Fate::Never {
            at_least_ms: 48_000
        }
    );
}

#[test]
fn what_was_not_seen_is_not_judged() {
    let no_hit = Times {
        hit_ns: None,
        ..TIMES
    };
    let answers = asked(100, 0, |_| false);
    let none_bad = vec![false; answers.len()];
    assert_eq!(
        fate(&answers, &none_bad, &no_hit, rule(5_000)),
        Fate::NotMet
    );
    // Nothing was asked while the faults were on.
    let blind: Vec<Answer> = answers
        .iter()
        .copied()
        .filter(|answer| answer.begun_ns < 10 * SECOND || answer.begun_ns > 20 * SECOND)
        .collect();
    assert!(matches!(judged(&blind, 30_000), Fate::NotMeasurable { .. }));
    // A gap that is longer than the objective.
    let gap: Vec<Answer> = answers
        .iter()
        .copied()
        .filter(|answer| !(12 * SECOND..18 * SECOND).contains(&answer.begun_ns))
        .collect();
    assert!(matches!(judged(&gap, 5_000), Fate::NotMeasurable { .. }));
    assert_eq!(judged(&gap, 7_000), Fate::Absorbed);
    // Good again four seconds before the end.
    let short = asked(100, 0, down_between(50_000, 56_000));
    let Fate::NotMeasurable { why } = judged(&short, 15_000) else {
        panic!("{:?}", judged(&short, 15_000));
    };
    assert!(why.contains("good again"), "{why}");
    // Bad at the end, and not for longer than the objective.
    let open = asked(100, 0, down_between(50_000, 99_000));
    assert!(matches!(judged(&open, 15_000), Fate::NotMeasurable { .. }));
    // The objective lies within the bounds.
    let near = asked(500, 0, down_between(12_000, 14_000));
    let Fate::NotMeasurable { why } = judged(&near, 2_000) else {
        panic!("{:?}", judged(&near, 2_000));
    };
    assert!(why.contains("ask more often"), "{why}");
}

#[test]
fn a_calm_that_is_broken_is_no_recovery() {
    let relapse = |at: u64| down_between(12_000, 14_000)(at) || down_between(18_000, 22_000)(at);
    let Fate::Recovered(recovery) = judged(&asked(100, 0, relapse), 15_000) else {
        panic!("a calm of four seconds was taken for one of five");
    };
    assert_eq!(recovery.rta_ms, 10_000);
}

#[test]
fn single_failures_are_forgiven_where_the_probe_says_so() {
    let answers = asked(100, 0, |at| at % (700 * MS) == 0);
    let forgiven = bad(&answers, fails(2, 3));
    assert!(forgiven.iter().all(|is_bad| !is_bad));
    assert_eq!(
        fate(&answers, &forgiven, &TIMES, rule(5_000)),
        Fate::Absorbed
    );
}

/// Noise alone, told from faults: each answer fails with a chance of one in fifty, whether faults are on or not.
#[test]
fn noise_alone_deviates_in_at_most_two_of_a_hundred_runs() {
    let deviated = (0..200)
        .filter(|seed| {
            let answers = asked(100, 0, |at| decide::random64(*seed, at).is_multiple_of(50));
            let of = fate(&answers, &bad(&answers, fails(2, 3)), &TIMES, rule(5_000));
            matches!(of, Fate::Late(_) | Fate::Never { .. })
        })
        .count();
    assert!(deviated <= 4, "{deviated} of 200");
}

fn probe(name: &str, role: ProbeRole) -> NamedProbe {
    let question: Question = "tcp 127.0.0.1:1 every 100ms within 100ms".parse().unwrap();
    NamedProbe {
        name: name.into(),
        role,
        mode: ProbeMode::default(),
        question,
    }
}

/// Judges a target and a control with these answers.
fn verdict(
    target: &[Answer],
    control: &[Answer],
    met: usize,
    cut_short: Option<&Verdict>,
) -> Verdict {
    let probes = [
        probe("tasks", ProbeRole::SteadyState),
        probe("other", ProbeRole::Control),
    ];
    let steady_state = SteadyState {
        probes: probes.to_vec(),
        operations: Vec::new(),
        objectives: Objectives {
            rto: Duration::from_secs(5),
            ..Objectives::default()
        },
        detect: None,
        ledgers: Vec::new(),
    };
    let measured = [(&probes[0], target), (&probes[1], control)]
        .map(|(probe, answers)| of_probe(probe, answers));
    judge(&Case {
        steady_state: &steady_state,
        measured: &measured,
        alarm: &[],
        times: TIMES,
        planned: 1,
        met,
        cut_short,
    })
    .verdict
}

#[test]
fn the_worst_that_is_proven_is_the_verdict() {
    let good = asked(100, 0, |_| false);
    let hurt = asked(100, 0, down_between(12_000, 30_000));
    let brief = asked(100, 0, down_between(12_000, 13_000));
    assert_eq!(verdict(&good, &good, 1, None), Verdict::Held);
    assert_eq!(verdict(&brief, &good, 1, None), Verdict::Held);
    let why = "`tasks` was bad for 18s, longer than the objective of 5s".to_owned();
    assert_eq!(verdict(&hurt, &good, 1, None), Verdict::Deviated(why));
    assert_eq!(verdict(&good, &brief, 1, None).name(), "unsafe");
    assert_eq!(verdict(&hurt, &brief, 1, None).name(), "unsafe");
    // Hurt at the very end, for less than the objective: what became of it cannot be judged, that it was hurt can.
    let at_end = asked(100, 0, down_between(58_000, 99_000));
    assert_eq!(verdict(&good, &at_end, 1, None).name(), "unsafe");
    assert_eq!(verdict(&good, &at_end, 0, None).name(), "inconclusive");
    assert_eq!(verdict(&good, &good, 0, None).name(), "inconclusive");
    let halted = Verdict::Halted("`hits > 5/s`".into());
    assert_eq!(verdict(&hurt, &good, 1, Some(&halted)), halted);
    assert_eq!(verdict(&good, &brief, 1, Some(&halted)).name(), "unsafe");
}

fn of_probe<'m>(probe: &'m NamedProbe, answers: &'m [Answer]) -> Measured<'m> {
    Measured {
        what: What::Probe(probe),
        answers: answers.into(),
    }
}

#[test]
fn a_baseline_is_long_enough_and_good() {
    let probe = probe("tasks", ProbeRole::SteadyState);
    let of = |answers: &[Answer]| unsteady(&[of_probe(&probe, answers)]);
    let good = asked(100, 0, |_| false);
    assert_eq!(of(&good), None);
    assert!(of(&good[..9]).unwrap().contains("9 answers"));
    let why = of(&asked(100, 0, down_between(3_000, 3_100))).unwrap();
    assert!(why.contains("was bad in 1 of"), "{why}");
}

#[test]
fn a_judgement_reads_the_same_on_both_ends() {
    let judgement = Judgement {
        rto_ms: 5_000,
        planned: 2,
        met: 1,
        times: TIMES,
        probes: vec![Judged {
            name: "tasks".into(),
            role: ProbeRole::SteadyState,
            asks: "tcp 127.0.0.1:1".into(),
            fate: Fate::Never { at_least_ms: 7 },
            baseline: Tally::default(),
            under_fault: Tally::default(),
            recovery: Tally::default(),
            operations: None,
        }],
        ..Judgement::of(Verdict::Deviated("`tasks` was bad".into()))
    };
    let json = serde_json::to_value(&judgement).unwrap();
    assert_eq!(
        (&json["verdict"], &json["probes"][0]["fate"]),
        (&"deviated".into(), &"never".into())
    );
    assert_eq!(
        serde_json::from_value::<Judgement>(json).unwrap(),
        judgement
    );
    let held = serde_json::to_value(Judgement {
        verdict: Verdict::Held,
        ..judgement
    })
    .unwrap();
    assert_eq!(held["verdict"], "held");
}

proptest! {
    /// Whatever the outage and whenever the questions come, its length lies within the bounds that are told.
    #[test]
    fn the_bounds_hold_the_truth(
        from_ms in 10_000u64..25_000, lasts_ms in 1u64..20_000, pace_ms in 20u64..500, offset_ms in 0u64..500,
    ) {
        let answers = asked(pace_ms, offset_ms % pace_ms, down_between(from_ms, from_ms + lasts_ms));
        let is_seen = answers.iter().any(|answer| !answer.is_right);
        match judged(&answers, 60_000) {
            Fate::Absorbed => prop_assert!(!is_seen && lasts_ms <= pace_ms),
            Fate::Adapted(found) | Fate::Recovered(found) => {
                prop_assert!(found.least_ms <= lasts_ms && lasts_ms <= found.most_ms, "{:?}", found);
                prop_assert!(found.least_ms <= found.rta_ms && found.rta_ms <= found.most_ms, "{:?}", found);
                // The promise of the docs: within one interval either way, and the answer's own time.
                prop_assert!(found.rta_ms.abs_diff(lasts_ms) <= pace_ms + 3, "{:?}", found);
                let is_after = from_ms + lasts_ms > 20_000 + pace_ms;
                prop_assert!(!is_after || found.after_lift_ms.is_some());
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// A failure is bad exactly where some window around it has enough of them.
    #[test]
    fn bad_is_what_some_window_says(right in prop::collection::vec(any::<bool>(), 0..60), count in 1u8..5, more in 0u8..5) {
        let fails = fails(count, count + more);
        let answers: Vec<Answer> = (0..).zip(&right).map(|(at, is_right)| Answer {
            begun_ns: at, ended_ns: at, is_right: *is_right,
        }).collect();
        let of = usize::from(fails.of);
        let expected: Vec<bool> = (0..right.len()).map(|index| {
            !right[index] && (index..index + of).any(|last| {
                let first = (last + 1).saturating_sub(of);
                let window = &right[first.min(right.len())..(last + 1).min(right.len())];
                window.iter().filter(|right| !**right).count() >= usize::from(fails.count)
            })
        }).collect();
        prop_assert_eq!(bad(&answers, fails), expected);
    }

    /// No answers and no times make it panic.
    #[test]
    fn judging_is_total(
        answers in prop::collection::vec((any::<u32>(), any::<u16>(), any::<bool>()), 0..40),
        hit: Option<u32>, lifted: Option<u32>, ended: u32, rto_ms in 1u64..100_000,
    ) {
        let mut answers: Vec<Answer> = answers.into_iter().map(|(begun, took, is_right)| Answer {
            begun_ns: begun.into(), ended_ns: u64::from(begun) + u64::from(took), is_right,
        }).collect();
        answers.sort_by_key(|answer| answer.begun_ns);
        let times = Times {
            begun_ns: 0, faults_ns: hit.map(u64::from), hit_ns: hit.map(u64::from),
            lifted_ns: lifted.map(u64::from), ended_ns: ended.into(),
        };
        let _ = fate(&answers, &bad(&answers, fails(1, 1)), &times, rule(rto_ms));
    }
}
