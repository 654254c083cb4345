//! Probes that are asked at one time alone, against a target that is down at a known one.

use super::*;
use crate::measure::checked::checked;

/// What became of such a probe of a target that is down between these times.
fn of(mode: ProbeMode, from_ms: u64, to_ms: u64) -> Checked {
    let probe = NamedProbe {
        mode,
        ..probe("orders", ProbeRole::SteadyState)
    };
    let down = down_between(from_ms, to_ms);
    let answers: Vec<Answer> = asked(100, 0, down)
        .into_iter()
        .filter(|answer| {
            mode.is_asked(match answer.begun_ns {
                at if at < 10 * SECOND => Phase::Before,
                at if at < 20 * SECOND => Phase::Under,
                _ => Phase::After,
            })
        })
        .collect();
    checked(&of_probe(&probe, &answers), &TIMES).unwrap()
}

#[test]
fn each_mode_is_held_to_its_time() {
    let deviates = |mode, from, to| of(mode, from, to).standing().deviated().is_some();
    for mode in [ProbeMode::EndOfTest, ProbeMode::Edge] {
        assert!(!deviates(mode, 12_000, 59_000), "it is right at the end");
        assert!(deviates(mode, 59_000, 99_000));
    }
    assert!(!deviates(ProbeMode::StartOfTest, 12_000, 99_000));
    assert!(!deviates(ProbeMode::OnFault, 20_000, 99_000));
    assert!(deviates(ProbeMode::OnFault, 19_900, 99_000));
    let bad = of(ProbeMode::OnFault, 12_000, 14_000);
    assert_eq!(
        bad.standing().deviated(),
        Some("`orders` was bad in 20 of 100 answers while faults were on")
    );
    assert_eq!(
        bad.to_string(),
        "on-fault `orders`: bad in 20 of 100 answers"
    );
    let end = of(ProbeMode::EndOfTest, 59_000, 99_000);
    assert_eq!(end.to_string(), "end-of-test `orders`: bad at the end");
    let json = serde_json::to_value(&end).unwrap();
    assert_eq!(serde_json::from_value::<Checked>(json).unwrap(), end);
}

#[test]
fn one_that_was_never_asked_says_nothing() {
    let probe = NamedProbe {
        mode: ProbeMode::OnFault,
        ..probe("orders", ProbeRole::SteadyState)
    };
    let told = checked(&of_probe(&probe, &[]), &TIMES).unwrap();
    assert!(told.standing().unseen().is_some());
    let continuous = super::probe("orders", ProbeRole::SteadyState);
    assert_eq!(checked(&of_probe(&continuous, &[]), &TIMES), None);
}

/// One that is not asked in the baseline lets faults begin, and has no part in the recovery.
#[test]
fn it_is_no_part_of_baseline_and_recovery() {
    let late = NamedProbe {
        mode: ProbeMode::EndOfTest,
        ..probe("orders", ProbeRole::SteadyState)
    };
    assert_eq!(unsteady(&[of_probe(&late, &[])]), None);
    let edge = NamedProbe {
        mode: ProbeMode::Edge,
        ..late.clone()
    };
    assert!(unsteady(&[of_probe(&edge, &[])]).is_some());
    let tasks = probe("tasks", ProbeRole::SteadyState);
    let good = asked(100, 0, |_| false);
    let at_the_end: Vec<Answer> = asked(100, 0, down_between(59_000, 99_000))
        .into_iter()
        .filter(|answer| answer.begun_ns > 20 * SECOND)
        .collect();
    let steady_state = SteadyState {
        probes: vec![tasks.clone(), late.clone()],
        operations: Vec::new(),
        objectives: Objectives::default(),
        detect: None,
        ledgers: Vec::new(),
    };
    let judged = judge(&Case {
        steady_state: &steady_state,
        measured: &[of_probe(&tasks, &good), of_probe(&late, &at_the_end)],
        alarm: &[],
        times: TIMES,
        planned: 1,
        met: 1,
        cut_short: None,
    });
    assert_eq!(judged.probes.len(), 1);
    assert_eq!(judged.probes[0].fate, Fate::Absorbed);
    assert_eq!(judged.impact, None);
    assert_eq!(
        judged.verdict,
        Verdict::Deviated("`orders` was bad at the end of the run".into())
    );
}
