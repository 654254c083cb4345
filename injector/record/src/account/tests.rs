//! Accounts of runs that ended in every way, by journals that are made by hand.

use std::{fs, path::Path};

use super::{html::html, markdown::markdown, *};
use crate::{
    event::Limits,
    journal::{self, Journal},
    measure::{Answer, Case, Measured, Sample, Times, What, judge},
    report::{FaultReport, Outcome},
};
use injector_spec::experiment::file;

mod arbitrary;
mod beside;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// When the run is armed, on the boot clock.
const ARMED: u64 = 100 * SECOND;

const FILE: &str = r#"
name: uneven
hypothesis: "The agent <script>alert(1)</script> answers | *fast*"
probes:
  tasks: tcp 127.0.0.1:1 every 100ms within 100ms
  other: tcp 127.0.0.1:2 every 100ms within 100ms fails 2 of 3
steady-state: [tasks]
controls: [other]
objectives: { rto: 5s }
targets: { agent: { process: "a' b", tree: true } }
steps:
  - { name: baseline, duration: 10s }
  - { name: slow, duration: 10s, faults: [ net.delay: { latency: 100ms, dest-port: [80, 443], seed: 7 } ] }
  - { name: recovery, duration: 15s }
halt: [ "host.load > 80" ]
on-target-exit: end
"#;

/// What another file may have in front of the same.
const HEAD: &str = r#"
owner: payments team
labels: { tier: "${one}", z: "${z}" }
variables: { x: , z: 1, one: one }
profiles: { ci: { set: { one: one } } }
"#;

fn run() -> RunId {
    "r000000010001".parse().unwrap()
}

/// Ten answers a second for 35 seconds, bad between two times, in seconds.
fn samples(bad: std::ops::Range<u64>) -> Vec<Sample> {
    let sample = |number: u64| Sample {
        at_ns: ARMED + number * 100 * MS,
        took_us: 3_000 + number % 7 * 100,
        wrong: bad.contains(&(number / 10)).then(|| "refused".to_owned()),
    };
    (0..350).map(sample).collect()
}

fn report(experiment: &Experiment, samples: &[Sample]) -> RunReport {
    let steady_state = experiment.steady_state.as_ref().unwrap();
    let answers: Vec<Answer> = samples.iter().map(Answer::from).collect();
    let measured: Vec<Measured<'_>> = steady_state
        .probes
        .iter()
        .zip([&answers[..], &[]])
        .map(|(probe, answers)| Measured {
            what: What::Probe(probe),
            answers: answers.into(),
        })
        .collect();
    let times = Times {
        begun_ns: ARMED,
        faults_ns: Some(ARMED + 10 * SECOND),
        hit_ns: Some(ARMED + 10 * SECOND),
        lifted_ns: Some(ARMED + 20 * SECOND),
        ended_ns: ARMED + 35 * SECOND,
    };
    let judgement = judge(&Case {
        steady_state,
        measured: &measured,
        alarm: &[],
        times,
        planned: 1,
        met: 1,
        cut_short: None,
    });
    let fault = &experiment.describe()[0];
    RunReport {
        armed_for_ms: 35_000,
        faults: vec![FaultReport {
            step: "slow".into(),
            fault: fault.fault.clone(),
            target: fault.target.clone(),
            mechanism: "delay-line".into(),
            seen: 40,
            matched: 40,
            hit: 39,
            missed: 0,
            connections: Vec::new(),
            reaction: None,
            plugins: None,
            note: None,
            described: fault.described.clone(),
        }],
        judgement: Some(Box::new(judgement)),
        ..RunReport::of(run(), experiment.name.clone(), Outcome::Completed)
    }
}

/// The records of a whole run.
pub(crate) fn records(experiment: &Experiment, bad: std::ops::Range<u64>) -> Vec<(u64, Record)> {
    let samples = samples(bad);
    let report = report(experiment, &samples);
    let at = |second| ARMED + second * SECOND;
    let began = |second, step: &str| (at(second), Record::StepStarted { step: step.into() });
    let ended = |second, step: &str| (at(second), Record::StepEnded { step: step.into() });
    let answered = |index: usize| {
        let samples = samples[index * 100..(index + 1) * 100].to_vec();
        let answers = [("tasks".to_owned(), samples)].into();
        Record::Sampled { answers }
    };
    vec![
        (
            ARMED - SECOND,
            Record::Started {
                run: run(),
                name: experiment.name.clone(),
                by_uid: 0,
                by_pid: 7,
                login_uid: Some(1000),
                config: None,
                supervisor: None,
                platform: None,
                experiment: Box::new(experiment.clone()),
            },
        ),
        (
            ARMED - SECOND / 2,
            Record::Planned {
                text: "plan <b>\n  of it".into(),
                faults: experiment.describe(),
                limits: Limits::default(),
                picked: Vec::new(),
            },
        ),
        (at(0), Record::Armed),
        began(0, "baseline"),
        (at(10), answered(0)),
        ended(10, "baseline"),
        began(10, "slow"),
        (at(20), answered(1)),
        ended(20, "slow"),
        began(20, "recovery"),
        (at(30), answered(2)),
        ended(35, "recovery"),
        (at(35), Record::Ended { report }),
    ]
}

/// A journal of these records on disk, as a process leaves it that is killed behind the last of them.
fn written(directory: &Path, records: &[(u64, Record)]) -> std::path::PathBuf {
    let mut journal = Journal::create_in(directory, &run()).unwrap();
    for (boot_ns, record) in records {
        journal
            .append_made_at(record, *boot_ns, boot_ns / MS)
            .unwrap();
    }
    journal.path().to_owned()
}

pub(crate) fn account(records: &[(u64, Record)]) -> Account {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), records);
    let (listed, replay) = journal::read(&path, run()).unwrap();
    Account::of(listed, &replay)
}

pub(crate) fn experiment() -> Experiment {
    file::parse(FILE, "uneven.yaml", None).unwrap()
}

fn is_well_formed(account: &Account) {
    let page = html(account).unwrap();
    assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    for tag in ["svg", "table", "section", "figure", "g", "p", "tr"] {
        let opened =
            page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let card = markdown(account);
    assert!(card.starts_with("**") && card.ends_with('\n'), "{card}");
    serde_json::to_value(account).unwrap();
}

#[test]
fn a_judged_run_is_told_with_its_moments() {
    let account = account(&records(&experiment(), 12..14));
    is_well_formed(&account);
    let [tasks, other] = &account.probes[..] else {
        panic!("{:?}", account.probes);
    };
    assert_eq!((tasks.answers.len(), other.answers.len()), (300, 0));
    let near = |at: Option<i64>, second: i64| at.unwrap().abs_diff(second * 1_000_000) < 2_000;
    assert!(
        near(tasks.impact_us, 12) && near(tasks.recovered_us, 14),
        "{tasks:?}"
    );
    assert_eq!(tasks.answers[0].at_us, 0);
    let bad = tasks
        .answers
        .iter()
        .filter(|point| point.grade == Grade::Bad);
    assert_eq!(bad.count(), 20);
    assert_eq!(
        account.windows,
        [Window {
            step: "slow".into(),
            faults: vec!["net.delay".into()],
            on: vec![0],
            from_us: 10_000_000,
            to_us: Some(20_000_000),
        }]
    );
    let told: Vec<String> = account
        .timeline
        .iter()
        .map(|moment| moment.what.to_string())
        .collect();
    let wanted = ["armed", "the first hit", "impact: probe tasks turns bad"];
    assert!(
        wanted
            .iter()
            .all(|wanted| told.iter().any(|told| told == wanted)),
        "{told:?}"
    );
    let page = html(&account).unwrap();
    for part in [
        "impact +12s",
        "recovery +14s",
        "&#60;script&#62;",
        "The run ends",
        "RTO 5s",
    ] {
        let part = part.replace("The", "the");
        assert!(page.contains(&part), "no {part} in {page}");
    }
}

#[test]
fn a_card_has_twelve_lines_of_eighty_columns() {
    let account = account(&records(&experiment(), 12..14));
    let card = markdown(&account);
    let lines: Vec<&str> = card.lines().collect();
    assert!(lines.len() <= 12, "{card}");
    let is_row = |line: &&&str| line.starts_with('|');
    let texts = lines.iter().filter(|line| !is_row(line));
    assert!(
        texts.clone().all(|line| line.chars().count() <= 80),
        "{card}"
    );
    assert!(
        card.contains(r"The agent \<script\>alert(1)\</script\> answers \| \*fast\*"),
        "{card}"
    );
    assert!(
        card.contains(
            "| tasks | 3.3ms | 3.3ms, 20 of 100 bad | 1.0 | 2s (1.9s to 2.1s), under faults |"
        ),
        "{card}"
    );
}

/// A kill -9 may come behind any record.
#[test]
fn a_run_without_an_end_is_aborted_wherever_it_broke_off() {
    let records = records(&experiment(), 12..14);
    for kept in 0..records.len() {
        let account = account(&records[..kept]);
        assert_eq!(account.state, RunState::Aborted { why: None }, "{kept}");
        assert_eq!(account.headline().word, "aborted");
        is_well_formed(&account);
        assert!(
            markdown(&account).starts_with("**aborted** "),
            "{}",
            markdown(&account)
        );
        assert!(
            html(&account)
                .unwrap()
                .contains("no process was left to say why")
        );
    }
    // In the middle of the fault: the window has no end, and what was measured is there.
    let account = account(&records[..8]);
    assert_eq!(account.windows[0].to_us, None);
    assert_eq!(account.probes[0].baseline.answers, 100);
    assert_eq!(account.probes[0].under_fault.bad, 20);
    assert_eq!(account.last_sign_us(), Some(19_903_300));
}

/// And in the middle of one.
#[test]
fn a_torn_journal_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), &records(&experiment(), 0..0));
    let whole = fs::read(&path).unwrap();
    for cut in [2, 40, whole.len() / 2, whole.len() - 5, whole.len()] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let (listed, replay) = journal::read(&path, run()).unwrap();
        let account = Account::of(listed, &replay);
        assert_eq!(account.headline().word, "aborted", "{cut}");
        is_well_formed(&account);
    }
}

#[test]
fn a_run_that_goes_on_is_running() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::create_in(directory.path(), &run()).unwrap();
    journal.append(&Record::Armed).unwrap();
    let (listed, replay) = journal::read(journal.path(), run()).unwrap();
    let account = Account::of(listed, &replay);
    assert_eq!(account.headline().word, "running");
    is_well_formed(&account);
}

/// The process that cleans up may write after another boot.
#[test]
fn an_abort_is_told_by_the_process_that_cleaned_up() {
    let mut records = records(&experiment(), 0..0);
    records.truncate(7);
    let why = "the host went <down>".to_owned();
    records.push((SECOND, Record::Aborted { why }));
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), &records);
    let (listed, mut replay) = journal::read(&path, run()).unwrap();
    replay.records.last_mut().unwrap().unix_ms = ARMED / MS + 3_600_000;
    let account = Account::of(listed, &replay);
    let last = account.timeline.last().unwrap();
    assert_eq!(last.at_us, 3_600_000_000);
    // It is no sign of life, and no chart is stretched to it.
    assert_eq!(account.last_sign_us(), Some(10_000_000));
    assert!(markdown(&account).contains(r"**aborted** `uneven`: the host went \<down\>"));
}

/// A run of one loss that was planned, and nothing more.
fn planned(experiment: Experiment, faults: Vec<Placed>) -> Account {
    let started = Record::Started {
        run: run(),
        name: "net.loss".into(),
        by_uid: 0,
        by_pid: 7,
        login_uid: None,
        config: None,
        supervisor: None,
        platform: None,
        experiment: Box::new(experiment),
    };
    let planned = Record::Planned {
        text: "plan".into(),
        faults,
        limits: Limits::default(),
        picked: Vec::new(),
    };
    account(&[(ARMED, started), (ARMED, planned)])
}

#[test]
fn a_run_of_an_earlier_version_has_no_probes() {
    let text = "targets: { target: { pid: [7] } }\nname: net.loss\nduration: 3s\nfaults: [ net.loss: { percent: 5% } ]\n";
    let experiment = file::parse(text, "x", None).unwrap();
    let account = planned(experiment, Vec::new());
    is_well_formed(&account);
    assert!(account.probes.is_empty() && !html(&account).unwrap().contains("<svg"));
    let again = account.again().unwrap();
    let command = "sudo injector net loss --direction=egress --percent=5% --pid=7 --duration=3s";
    assert_eq!(again.file, None);
    let words: Vec<&str> = again
        .command
        .split(' ')
        .filter(|word| !word.contains("exclude"))
        .collect();
    assert_eq!(words.join(" "), command);
}

#[test]
fn the_file_of_a_run_is_the_experiment_again() {
    let account = account(&records(&experiment(), 0..0));
    let again = account.again().unwrap();
    assert_eq!(again.command, "sudo injector run experiment.yaml");
    let text = again.file.unwrap();
    assert_eq!(
        file::parse(&text, "x", None).unwrap(),
        experiment(),
        "{text}"
    );
}

/// No flag has a ramp: a file says it, and it is the same ramp again.
#[test]
fn a_fault_that_ramps_is_done_again_by_a_file() {
    let text = "targets: { target: { pid: [7] } }\nname: net.loss\nduration: 3s\nfaults: [ net.loss: { percent: { from: 0%, \
                to: 50%, over: 2s }, seed: 5 } ]\n";
    let experiment = file::parse(text, "x", None).unwrap();
    let faults = experiment.describe();
    let account = planned(experiment.clone(), faults);
    is_well_formed(&account);
    let page = html(&account).unwrap().replace("&#62;", ">");
    assert!(page.contains("0% -> 50% over 2s"), "{page}");
    let file = account.again().unwrap().file.unwrap();
    assert_eq!(file::parse(&file, "x", None).unwrap(), experiment, "{file}");
}

#[test]
fn the_head_of_a_file_is_told_and_done_again() {
    let text = FILE.replace("name: uneven", "name: uneven ${x}") + HEAD;
    let sets = ["x=${y}".parse().unwrap(), "z=<b>".parse().unwrap()];
    let reading = file::Reading {
        name: "head.yaml",
        sets: &sets,
        profile: Some("ci"),
        ..file::Reading::default()
    };
    let experiment = reading.text(&text).unwrap();
    assert_eq!(experiment.name, "uneven ${y}");
    let account = account(&records(&experiment, 0..0));
    is_well_formed(&account);
    let again = account.again().unwrap();
    assert_eq!(
        again.command,
        "sudo injector run experiment.yaml --profile=ci"
    );
    let reading = file::Reading {
        name: "x",
        profile: Some("ci"),
        ..file::Reading::default()
    };
    let text = again.file.unwrap();
    assert_eq!(reading.text(&text).unwrap(), experiment, "{text}");
    let page = html(&account).unwrap();
    let card = markdown(&account);
    for (term, value, escaped) in [
        ("owner", "payments team", "payments team"),
        ("labels", "tier=one, z=&#60;b&#62;", r"tier=one, z=\<b\>"),
        ("profile", "ci", "ci"),
        (
            "variables",
            "one=one, x=${y}, z=&#60;b&#62;",
            r"one=one, x=\${y}, z=\<b\>",
        ),
    ] {
        assert!(
            page.contains(&format!("<dt>{term}</dt><dd>{value}</dd>")),
            "{term}: {page}"
        );
        let card = card.replace('\n', " ").to_lowercase();
        assert!(
            card.contains(&format!("{term}: {escaped}.")),
            "{term}: {card}"
        );
    }
    assert!(card.lines().count() <= 14, "{card}");
    let data = serde_json::to_value(&account).unwrap();
    assert_eq!(data["experiment"]["variables"]["values"]["z"], "<b>");
}
