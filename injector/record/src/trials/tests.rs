//! Against runs whose fates are given, and against the figures that the definitions name.

use proptest::prelude::*;

use super::*;
use crate::measure::{
    Fate, Judged, Judgement, Reconciliation, Recovery, Rpa, Tally,
    loss::{Age, Loss},
};
use injector_spec::experiment::{ProbeRole, Rpo};

pub(crate) fn recovered(rta_ms: u64) -> Fate {
    Fate::Recovered(Recovery {
        impact_after_ms: 0,
        rta_ms,
        least_ms: rta_ms,
        most_ms: rta_ms,
        after_lift_ms: Some(0),
    })
}

pub(crate) fn trial(verdict: Verdict, fate: Fate) -> Trial {
    let probe = Judged {
        name: "api".into(),
        role: ProbeRole::SteadyState,
        asks: "tcp 127.0.0.1:1".into(),
        fate,
        baseline: Tally::default(),
        under_fault: Tally::default(),
        recovery: Tally::default(),
        operations: None,
    };
    Trial::Ran(Box::new(RunReport {
        armed_for_ms: 1,
        judgement: Some(Box::new(Judgement {
            rto_ms: 5_000,
            planned: 1,
            met: 1,
            probes: vec![probe],
            ..Judgement::of(verdict)
        })),
        ..RunReport::of("r000000000001".parse().unwrap(), "x", Outcome::Completed)
    }))
}

pub(crate) fn held(fate: Fate) -> Trial {
    trial(Verdict::Held, fate)
}

fn refused() -> Trial {
    Trial::Refused(Refusal::usage("no"))
}

/// The figures of the definitions: six runs enclose the median with 96.9 %, 59 clean ones show 95 %, three in n.
#[test]
fn figures_are_those_of_the_definitions() {
    let six: Vec<_> = [900, 1_000, 1_100, 1_200, 1_300, 1_400]
        .map(|ms| held(recovered(ms)))
        .into();
    let told = Trials::of(&six);
    assert_eq!(told.probes[0].median, Some(Bad::ForMs(1_200)));
    assert!((told.probes[0].level - 0.968_75).abs() < 1e-9);
    assert_eq!(
        told.probes[0].to_string(),
        "`api` was bad in 6 of 6 runs: RTA 1.2s, from 900ms to 1.4s (the median lies between with 96.9 %)"
    );
    assert_eq!(Proof::runs_for(0.95), 59);
    assert_eq!(Proof::runs_for(0.9), 29);
    let proof = Proof::of(59, 59).unwrap();
    assert!(proof.least >= 0.95 && Proof::of(58, 58).unwrap().least < 0.95);
    // None in n: about three in n at most.
    let none = Proof::of(0, 100).unwrap();
    assert!((none.most - 0.03).abs() < 0.001, "{none:?}");
    // Wilson's interval for 4 of 6, by hand.
    let some = Proof::of(4, 6).unwrap();
    assert!((some.least - 0.300).abs() < 0.001 && (some.most - 0.903).abs() < 0.001);
}

#[test]
fn a_run_that_never_recovers_is_longer_than_all_others() {
    let trials = [
        held(recovered(9_000)),
        trial(
            Verdict::Deviated("bad".into()),
            Fate::Never { at_least_ms: 2_000 },
        ),
        held(recovered(1_000)),
    ];
    let told = Trials::of(&trials);
    assert_eq!(told.probes[0].most, Some(Bad::AtLeastMs(2_000)));
    assert_eq!(told.probes[0].median, Some(Bad::ForMs(9_000)));
    assert_eq!(told.verdicts.to_string(), "held 2 of 3, deviated 1");
}

#[test]
fn a_score_is_what_its_sum_says() {
    let fates = [
        (Fate::Absorbed, 100.0),
        (recovered(1_000), 60.0),
        (Fate::Never { at_least_ms: 1 }, 0.0),
    ];
    for (fate, score) in fates {
        let told = Trials::of(&[held(fate.clone()), held(fate)]).score.unwrap();
        assert!((told.score - score).abs() < 1e-9);
        assert_eq!(told.interval, Some((score, score)));
    }
    let both = [held(Fate::Absorbed), held(recovered(1_000))];
    let score = Score::of(&[&both[..1], &both[1..]]).unwrap();
    assert!((score.score - 80.0).abs() < 1e-9);
    assert_eq!(score.interval, None, "one run each has none");
    assert_eq!(score.to_string(), "80, 2 runs, 2 of 2 faults met");
}

/// A run whose ledger has lost so many items, held against this objective.
fn with_ledger(lost: u64, rpo: Option<Rpo>) -> Trial {
    let mut trial = held(Fate::Absorbed);
    if let Trial::Ran(report) = &mut trial
        && let Some(judgement) = &mut report.judgement
    {
        let rpa = Rpa::Measured(Loss {
            acknowledged: 9,
            kept: 9 - lost,
            lost,
            torn: 0,
            double: 0,
            unacknowledged: 0,
            age: Age::NoImpact,
            lost_ids: Vec::new(),
            torn_lines: Vec::new(),
            double_ids: Vec::new(),
        });
        let ledger = "orders".into();
        judgement.reconcile(vec![Reconciliation { ledger, rpo, rpa }], None);
    }
    trial
}

#[test]
fn a_ledger_beyond_its_objective_is_worth_nothing() {
    let none_lost = Some(Rpo {
        lost: 0,
        torn: 0,
        double: 0,
        age: None,
    });
    for (lost, rpo, expected) in [(0, none_lost, 100.0), (2, none_lost, 0.0), (2, None, 100.0)] {
        let score = Trials::of(&[with_ledger(lost, rpo)]).score.unwrap();
        assert!((score.score - expected).abs() < 1e-9, "{lost} {rpo:?}");
    }
}

#[test]
fn what_is_unsafe_caps_a_score() {
    let harm = trial(Verdict::Unsafe("a bystander".into()), Fate::Absorbed);
    let score = Trials::of(&[held(Fate::Absorbed), harm.clone()])
        .score
        .unwrap();
    assert!((score.score - UNSAFE_CAP).abs() < 1e-9 && score.is_capped);
    assert!(harm.forbids_more().is_some() && held(Fate::Absorbed).forbids_more().is_none());
}

#[test]
fn what_does_not_tell_is_not_counted_and_never_green() {
    let unmet = trial(Verdict::Inconclusive("no hit".into()), Fate::NotMet);
    let told = Trials::of(&[unmet.clone(), held(Fate::Absorbed)]);
    assert_eq!(told.verdicts.to_string(), "held 1 of 2, inconclusive 1");
    assert_eq!(told.score.unwrap().runs, 1);
    assert_eq!(told.proof.unwrap().judged, 1);
    assert_eq!(Trials::of(std::slice::from_ref(&unmet)).score, None);
    let good = held(Fate::Absorbed);
    assert_eq!(exit(&[good.clone(), unmet.clone()]), Exit::Inconclusive);
    assert_eq!(exit(&[good.clone(), refused(), unmet]), Exit::Usage);
    assert_eq!(exit(&[]), Exit::Inconclusive);
    assert_eq!(exit(&[good]), Exit::Done);
}

#[test]
fn a_trial_is_the_document_that_a_run_prints() {
    for trial in [held(recovered(3)), refused()] {
        let text = serde_json::to_string(&trial).unwrap();
        assert_eq!(serde_json::from_str::<Trial>(&text).unwrap(), trial);
    }
}

proptest! {
    #[test]
    fn bounds_enclose_what_was_seen((held, judged) in (1..200_usize).prop_flat_map(|n| (0..=n, Just(n)))) {
        let proof = Proof::of(held, judged).unwrap();
        let share = proof::number(held) / proof::number(judged);
        prop_assert!(proof.least <= share && share <= proof.most);
        prop_assert!((0.0..=1.0).contains(&proof.least) && (0.0..=1.0).contains(&proof.most));
    }

    #[test]
    fn an_interval_encloses_its_score(fates in prop::collection::vec(0..4_u8, 2..20)) {
        let trials: Vec<_> = fates
            .into_iter()
            .map(|fate| held(match fate {
                0 => Fate::Absorbed,
                1 => recovered(10),
                2 => Fate::Late(Recovery { impact_after_ms: 0, rta_ms: 9_000, least_ms: 9_000, most_ms: 9_000, after_lift_ms: None }),
                _ => Fate::Never { at_least_ms: 1 },
            }))
            .collect();
        let score = Trials::of(&trials).score.unwrap();
        let (least, most) = score.interval.unwrap();
        prop_assert!(least <= score.score + 1e-9 && score.score <= most + 1e-9);
    }
}
