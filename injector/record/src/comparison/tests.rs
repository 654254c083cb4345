//! Runs of one experiment that went in different ways, and runs that say nothing of each other.

use super::*;
use crate::{
    account::tests::{account, experiment, records},
    measure::Recovery,
    report::Outcome,
};

fn took(rta_ms: u64) -> Recovery {
    Recovery {
        impact_after_ms: 5,
        rta_ms,
        least_ms: rta_ms - 100,
        most_ms: rta_ms + 100,
        after_lift_ms: None,
    }
}

/// A run of this verdict, in which this became of the probe `tasks`.
fn run(verdict: Verdict, fate: Fate) -> Account {
    let mut account = account(&records(&experiment(), 12..14));
    account.platform = Some(Platform {
        kernel: "6.18.5".into(),
        injector: "0.1.0".into(),
    });
    let judgement = account.report.as_mut().unwrap().judgement.as_mut();
    judgement.unwrap().verdict = verdict;
    account.probes[0].fate = Some(fate);
    account.probes[1].fate = Some(Fate::Absorbed);
    account
}

fn held(rta_ms: u64) -> Account {
    run(Verdict::Held, Fate::Adapted(took(rta_ms)))
}

#[test]
fn a_later_recovery_is_a_regression_that_is_named() {
    let late = run(Verdict::Deviated("late".into()), Fate::Late(took(7_000)));
    let comparison = Comparison::of(&held(2_000), &late);
    assert_eq!(comparison.change(), Change::Worse);
    assert_eq!(comparison.caveats(), Vec::<String>::new());
    let [verdict, tasks] = &comparison.regressions[..] else {
        panic!("{:?}", comparison.regressions);
    };
    assert_eq!(verdict, "the verdict was held, and is deviated");
    assert!(tasks.starts_with("`tasks` was bad for 2s"), "{tasks}");
    let row = &comparison.rows()[0];
    assert_eq!(row[1], "2s (1.9s to 2.1s), under faults");
    assert_eq!(row[3], "+5s");
    let card = markdown(&comparison);
    for part in [
        "**worse** `uneven`: r000000010001 held, then r000000010001 deviated",
        "- Worse: the verdict was held, and is deviated",
        "- Kernel: same (Linux 6.18.5)",
        "| tasks | 2s (1.9s to 2.1s), under faults | 7s (6.9s to 7.1s), late | +5s | 1.0 | 1.0 |",
    ] {
        assert!(card.contains(part), "no {part} in {card}");
    }
    // The other way round it is mended.
    let back = Comparison::of(&late, &held(2_000));
    assert_eq!(back.change(), Change::Better);
    assert_eq!(back.rows()[0][3], "−5s");
    assert_eq!(back.regressions, Vec::<String>::new());
}

#[test]
fn what_the_bounds_do_not_tell_apart_is_no_difference() {
    let nearly = Comparison::of(&held(2_000), &held(2_150));
    assert_eq!(nearly.change(), Change::Same);
    assert_eq!(nearly.rows()[0][3], "+150ms");
    assert_eq!(
        Comparison::of(&held(2_000), &held(2_250)).change(),
        Change::Worse
    );
}

#[test]
fn a_bystander_that_is_hurt_is_a_regression() {
    let mut hurt = run(
        Verdict::Unsafe("a bystander".into()),
        Fate::Adapted(took(2_000)),
    );
    hurt.probes[1].recovery.bad = 1;
    let comparison = Comparison::of(&held(2_000), &hurt);
    assert_eq!(comparison.regressions.len(), 2, "{comparison:?}");
    assert!(
        comparison.regressions[1].starts_with("the control `other` stayed good, and then was bad"),
        "{comparison:?}"
    );
}

/// Each sentence says why, and nothing is called a regression.
#[test]
fn what_means_nothing_is_said_plainly() {
    let late = || run(Verdict::Deviated("late".into()), Fate::Late(took(7_000)));
    let mut other = late();
    other.fingerprint = Some("0123456789abcdef".parse().unwrap());
    let mut unasked = late();
    unasked.fingerprint = None;
    let mut aborted = late();
    aborted.state = RunState::Aborted { why: None };
    let mut running = late();
    running.state = RunState::Running;
    let mut plain = late();
    plain.report.as_mut().unwrap().judgement = None;
    plain.state = RunState::Ended {
        outcome: Outcome::Completed,
    };
    let inconclusive = run(
        Verdict::Inconclusive("no fault hit".into()),
        Fate::Late(took(7_000)),
    );
    let halted = run(Verdict::Halted("by hand".into()), Fate::Late(took(7_000)));
    let unseen = run(
        Verdict::Held,
        Fate::NotMeasurable {
            why: "too few".into(),
        },
    );
    let mut lost = unseen.clone();
    lost.probes.truncate(1);
    for (account, part) in [
        (other, "asked different things (experiment "),
        (unasked, "does not say what its run was asked"),
        (aborted, "was aborted"),
        (running, "goes on"),
        (plain, "was not judged"),
        (inconclusive, "is inconclusive: no fault hit"),
        (halted, "was halted before its time: by hand"),
        (lost, "no probe was measured in both runs"),
    ] {
        for (before, after) in [(&held(2_000), &account), (&account, &held(2_000))] {
            let comparison = Comparison::of(before, after);
            assert_eq!(comparison.change(), Change::NotComparable, "{part}");
            assert_eq!(comparison.regressions, Vec::<String>::new());
            assert_eq!(comparison.improvements, Vec::<String>::new());
            let caveats = comparison.caveats().join("\n");
            assert!(caveats.contains(part), "no {part} in {caveats}");
            assert!(caveats.contains("the comparison means nothing"));
            assert!(markdown(&comparison).contains("- Note: the comparison means nothing"));
        }
    }
}

#[test]
fn another_kernel_is_a_caveat_and_no_refusal() {
    let mut newer = held(2_000);
    newer.platform = Some(Platform {
        kernel: "6.19.0".into(),
        injector: "0.1.0".into(),
    });
    let comparison = Comparison::of(&held(2_000), &newer);
    assert_eq!(comparison.change(), Change::Same);
    let caveats = comparison.caveats();
    assert!(
        caveats[0].contains("Linux 6.18.5, then Linux 6.19.0"),
        "{caveats:?}"
    );
    newer.platform = None;
    let comparison = Comparison::of(&held(2_000), &newer);
    assert_eq!(comparison.kernel, Agreement::Unknown);
}
