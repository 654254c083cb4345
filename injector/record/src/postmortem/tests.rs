//! Pages about runs that ended in every way, by journals that are made by hand.

use super::*;
use crate::{
    account::tests::{account, experiment, records},
    journal::{Damaged, Record},
    measure::{Recovery, Verdict},
    report::{Outcome, RunReport},
};

/// The sections that each page has, in this order.
const SECTIONS: [&str; 9] = [
    "## Summary",
    "## Timeline",
    "## Impact",
    "## What held",
    "## What broke",
    "## Candidate root causes",
    "## What could not be seen",
    "## Corrective actions",
    "## Lessons",
];

fn page(account: &Account) -> String {
    let page = postmortem(account);
    let found: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("## "))
        .collect();
    assert_eq!(found, SECTIONS, "{page}");
    page
}

fn has(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

/// What stands under a heading.
fn section<'p>(page: &'p str, title: &str) -> &'p str {
    let (_, rest) = page.split_once(&format!("\n## {title}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The titles of the causes, in order.
fn causes(page: &str) -> Vec<String> {
    let lines = section(page, "Candidate root causes").lines();
    let titles = lines.filter_map(|line| line.split_once(". **"));
    titles
        .map(|(_, title)| title.trim_end_matches("**").replace('\\', ""))
        .collect()
}

/// A run of which the probe `tasks` never recovered, and that deviated.
fn deviated() -> Account {
    let mut account = account(&records(&experiment(), 12..35));
    account.hypothesis = Some("Tasks finish although the API is slow.".into());
    let judgement = account.report.as_mut().unwrap().judgement.as_mut();
    judgement.unwrap().verdict = Verdict::Deviated("`tasks` was bad for at least 23s".into());
    account
}

#[test]
fn a_deviation_is_told_whole() {
    let page = page(&deviated());
    let golden = include_str!("deviated.md");
    assert_eq!(page, golden, "if that is meant, write it to deviated.md");
}

#[test]
fn what_never_came_back_ranks_behind_the_fault_and_before_the_rest() {
    let found = causes(&page(&deviated()));
    assert!(found[0].starts_with("net.delay latency 100ms"), "{found:?}");
    assert!(found[1].starts_with("No way back"), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_late_recovery_names_time_outs_and_the_missing_fallback() {
    let mut account = deviated();
    let took = Recovery {
        impact_after_ms: 2_000,
        rta_ms: 13_000,
        least_ms: 12_900,
        most_ms: 13_100,
        after_lift_ms: Some(5_000),
    };
    account.probes[0].fate = Some(Fate::Late(took));
    let page = page(&account);
    let found = causes(&page);
    assert!(
        found[1].starts_with("A way back that takes longer"),
        "{found:?}"
    );
    assert!(found[2].starts_with("No fallback"), "{found:?}");
    has(
        &page,
        &[
            "RTA 13s, RTO 5s, 5s after the faults were off",
            "good again only 5s after",
        ],
    );
}

#[test]
fn a_bystander_that_broke_no_later_speaks_for_a_shared_cause() {
    let mut account = deviated();
    account.probes[1].impact_us = Some(11_900_000);
    account.probes[1].under_fault.bad = 3;
    let early = page(&account);
    assert!(
        causes(&early)[0].starts_with("What target and bystander share"),
        "{early}"
    );
    has(
        &early,
        &["the control other (control) turned bad at +11.9s, no later than the target (+12s)"],
    );
    account.probes[1].impact_us = Some(15_000_000);
    let late = page(&account);
    assert!(!causes(&late)[0].starts_with("What target"), "{late}");
    assert!(
        causes(&late)
            .iter()
            .any(|cause| cause.starts_with("The bystander depends")),
        "{late}"
    );
}

#[test]
fn a_target_that_ended_first_is_the_first_candidate() {
    let mut records = records(&experiment(), 12..35);
    let ended = Record::TargetEnded {
        target: "agent".into(),
        how: "its last process was killed".into(),
        after_ms: 11_990,
    };
    let at = records[0].0 + 12_990_000_000;
    records.insert(7, (at, ended));
    let page = page(&account(&records));
    assert!(
        causes(&page)[0].starts_with("The target's processes ended"),
        "{page}"
    );
    has(
        &page,
        &["it did not come back within the run", "target agent ended"],
    );
}

#[test]
fn a_fault_that_hit_nothing_is_ruled_out_and_named() {
    let mut account = deviated();
    let report = account.report.as_mut().unwrap();
    let mut idle = report.faults[0].clone();
    idle.fault = "net.loss".into();
    idle.hit = 0;
    idle.note = Some("nothing matched its filters".into());
    report.faults.push(idle);
    account.windows[0].on.push(1);
    let page = page(&account);
    has(&page, &["net.loss hit nothing, and is ruled out"]);
    has(
        section(&page, "What could not be seen"),
        &[
            "net.loss in step slow hit nothing",
            "nothing matched its filters",
        ],
    );
    assert!(!causes(&page)[0].contains("net.loss"), "{page}");
}

#[test]
fn several_probes_that_break_one_after_the_other_are_a_cascade() {
    let mut account = deviated();
    let mut second = account.probes[0].clone();
    second.name = "front".into();
    second.impact_us = Some(13_000_000);
    account.probes.push(second);
    let page = page(&account);
    assert!(
        causes(&page).contains(&"A cascade that began with tasks".to_owned()),
        "{page}"
    );
    has(&page, &["tasks at +12s, then front at +13s"]);
}

#[test]
fn a_probe_that_fails_without_a_fault_is_noise() {
    let mut records = records(&experiment(), 12..35);
    for (_, record) in &mut records {
        if let Record::Sampled { answers } = record {
            let samples = answers.get_mut("tasks").unwrap();
            samples[50].wrong.get_or_insert_with(|| "once".into());
        }
    }
    let page = page(&account(&records));
    has(
        &page,
        &[
            "Noise: the probe fails without a fault",
            "failed 1 time in the baseline",
        ],
    );
}

/// A kill -9 may come behind any record, and the page says what it lacks.
#[test]
fn a_run_without_an_end_has_a_page() {
    let records = records(&experiment(), 12..14);
    for kept in 0..records.len() {
        let page = page(&account(&records[..kept]));
        has(
            &page,
            &["The run has no end on record", "The run broke off"],
        );
        assert!(page.starts_with("# Postmortem: aborted `"), "{page}");
    }
    // The impact is in the journal, though there is no judgement.
    let page = page(&account(&records[..8]));
    has(
        &page,
        &[
            "The impact began 12s after arming with tasks",
            "how often its faults hit is not on record",
        ],
    );
    has(&page, &["20 answers: refused."]);
}

#[test]
fn a_run_without_probes_says_that_nothing_was_measured() {
    let mut account = deviated();
    account.probes.clear();
    account.report.as_mut().unwrap().judgement = None;
    let page = page(&account);
    has(
        &page,
        &[
            "The experiment has no probes",
            "No probe was asked",
            "None: the journal has nothing that broke",
        ],
    );
}

#[test]
fn each_way_to_end_early_is_a_candidate() {
    let with = |outcome: Outcome| {
        let mut account = deviated();
        account.probes.clear();
        let report = account.report.take().unwrap();
        account.report = Some(RunReport {
            outcome: outcome.clone(),
            ..report
        });
        account.state = RunState::Ended { outcome };
        causes(&page(&account))
    };
    let why = || "so it was".to_owned();
    for (outcome, title) in [
        (Outcome::Halted { why: why() }, "What halted the run"),
        (Outcome::Failed { why: why() }, "The run broke off"),
        (
            Outcome::Unsteady { why: why() },
            "The steady state did not hold",
        ),
    ] {
        assert!(with(outcome)[0].starts_with(title), "{title}");
    }
    assert_eq!(with(Outcome::Stopped), Vec::<String>::new());
}

#[test]
fn what_is_not_put_back_comes_first() {
    let mut account = deviated();
    let report = account.report.as_mut().unwrap();
    report.undo_errors.push("sysctl x: no such file".into());
    account.damaged.push(Damaged {
        line: 7,
        why: "the line is cut off".into(),
    });
    let page = page(&account);
    assert!(
        causes(&page)[0].starts_with("A change of the host outlasted"),
        "{page}"
    );
    has(
        &page,
        &[
            "Not put back: sysctl x: no such file",
            "1 line of the journal cannot be read, the first of them line 7",
        ],
    );
    assert!(!page.contains("was put back."), "{page}");
}

/// Names are names: no text of the journal becomes a heading, a link or HTML. No user is named.
#[test]
fn texts_are_escaped_and_no_person_is_named() {
    let mut account = account(&records(&experiment(), 12..35));
    account.name = "a `b`\n## c".into();
    let page = page(&account);
    has(
        &page,
        &[r"\<script\>alert(1)\</script\> answers \| \*fast\*"],
    );
    let outside = page.split("```").next().unwrap().replace(r"\<", "");
    assert!(!outside.contains('<'), "{page}");
    assert!(!page.contains("by user"), "{page}");
}
