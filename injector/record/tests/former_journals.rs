//! Journals of an earlier version (September to November 2026, before the crates were split) are read in full: five
//! runs and the kill switch, as that version left them. One run was killed with its command and its worker while a
//! cgroup was frozen.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};

use injector_record::{
    journal::{HostChange, ListedRun, Record, Reports, RunState, look, replay},
    report::Outcome,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/former/runs")
}

fn run(id: &str) -> ListedRun {
    let listing = look(&folder(), Reports::With).unwrap();
    assert!(listing.unreadable.is_empty(), "{:?}", listing.unreadable);
    assert_eq!(listing.runs.len(), 5);
    let mut runs = listing.runs.into_iter();
    runs.find(|run| run.run.to_string() == id).unwrap()
}

#[test]
fn every_line_is_understood() {
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "jsonl") {
            let replay = replay(&path).unwrap();
            assert_eq!(replay.damaged, [], "{}", path.display());
            assert!(replay.records.len() > 1, "{}", path.display());
        }
    }
}

#[test]
fn a_run_that_completed_has_its_report() {
    let delay = run("r6b0be055a8cb");
    let completed = RunState::Ended {
        outcome: Outcome::Completed,
    };
    assert_eq!((delay.name.as_str(), delay.state), ("net.delay", completed));
    assert_eq!(delay.to_restore, []);
    let report = delay.report.unwrap();
    let fault = &report.faults[0];
    assert_eq!(
        (fault.seen, fault.hit, fault.mechanism.as_str()),
        (32, 32, "delay-line")
    );
    assert_eq!(run("r6b0be05c08a3").report.unwrap().faults[0].hit, 2);
    assert_eq!(run("r6b0be057b814").to_restore, []);
}

#[test]
fn a_run_that_was_halted_says_by_whom() {
    let RunState::Ended {
        outcome: Outcome::Halted { why },
    } = run("r6b0be059cb76").state
    else {
        panic!("it was halted");
    };
    assert!(why.contains("the disk is full"), "{why}");
}

#[test]
fn a_run_that_was_killed_has_what_is_to_be_put_back() {
    let killed = run("r6b0be05ec7a2");
    assert_eq!(killed.state, RunState::Aborted { why: None });
    let [HostChange::CgroupFile { path, old, new }] = &killed.to_restore[..] else {
        panic!("{:?}", killed.to_restore);
    };
    assert!(path.ends_with("fixture/cgroup.freeze"));
    assert_eq!((old.as_str(), new.as_str()), ("0", "1"));
}

#[test]
fn the_kill_switch_was_released() {
    let records = replay(&folder().join("lever.jsonl")).unwrap().records;
    assert_eq!(records.len(), 2);
    let Record::Halted { halt } = &records[0].record else {
        panic!("{:?}", records[0].record);
    };
    assert_eq!(halt.reason.as_deref(), Some("the disk is full"));
    assert_eq!(
        records[1].record,
        Record::Resumed {
            by_uid: 0,
            by_pid: 13_859
        }
    );
}
