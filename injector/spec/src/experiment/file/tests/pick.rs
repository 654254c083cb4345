//! Random picks: read, written, and complaints with their place.

use super::*;
use crate::{experiment::Pick, quantity::Portion};

fn read(target: &str) -> Result<Experiment, FileError> {
    let text = format!("targets: {{ a: {{ {target} }} }}\nduration: 5s\nfaults: [net.blackhole]\n");
    parse(&text, "pick.yaml", None)
}

#[test]
fn a_pick_is_a_number_or_a_share() {
    for (target, portion, seed) in [
        ("process: x, all: true, pick: 2", "2", None),
        (
            "process: x, all: true, tree: true, pick: 12.5%, seed: 7",
            "12.5%",
            Some(7),
        ),
        (
            "pid: [7, 8, 9], pick: 3, seed: 18446744073709551615",
            "3",
            Some(u64::MAX),
        ),
        ("pid: 7, pick: 1%", "1%", None),
    ] {
        let experiment = read(target).unwrap();
        let portion: Portion = portion.parse().unwrap();
        let pick = experiment.targets[0].selector.pick();
        assert_eq!(pick, Some(&Pick { portion, seed }), "{target}");
        let yaml = experiment.document(&[]).yaml();
        assert_eq!(
            parse(&yaml, "pick.yaml", None).unwrap(),
            experiment,
            "{yaml}"
        );
        let json = serde_json::to_string(&experiment).unwrap();
        assert_eq!(
            serde_json::from_str::<Experiment>(&json).unwrap(),
            experiment
        );
    }
}

/// Journals of earlier versions have none.
#[test]
fn an_experiment_without_a_pick_is_written_as_it_was() {
    let json = serde_json::to_value(&read("pid: 7").unwrap().targets[0]).unwrap();
    let expected = serde_json::json!({ "pids": { "pids": [7], "follow": "process" } });
    assert_eq!(json["selector"], expected);
}

/// What stands in the braces of the target, in line 1 from column 19 on.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("process: x, pick: 2", 1, 12, "add `all: true`"),
    ("pid: [7, 8, 7], pick: 3", 1, 12, "picks 3 of 2 processes; pick at most so many"),
    ("pid: [7, 8], pick: 0", 1, 36, "`0` is none"),
    ("pid: [7, 8], pick: 0%", 1, 36, "`0%` is none"),
    ("pid: [7, 8], pick: 101%", 1, 36, "at most 100%"),
    ("pid: [7, 8], pick: two", 1, 36, "neither a number nor a share"),
    ("pid: [7, 8], pick: [1]", 1, 36, "one value"),
    ("pid: [7, 8], pick: 1, seed: x", 1, 45, "not a whole number"),
    ("pid: [7, 8], seed: 3", 1, 15, "`pick`"),
    ("pick: 2", 1, 12, "selects nothing"),
    ("cgroup: /a, pick: 2", 1, 17, "`cgroup`"),
    ("unit: a, pick: 2", 1, 17, "`unit`"),
    ("container: abc, pick: 50%", 1, 17, "`container`"),
];

#[test]
fn what_cannot_be_picked_is_refused_in_its_place() {
    for &(target, line, column, part) in ROWS {
        let error = read(target).unwrap_err();
        assert!(error.to_string().contains(part), "{target}: {error}");
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{target}: {error}"
        );
    }
}

/// It is asked again and again, of whatever is there.
#[test]
fn a_probe_picks_nothing() {
    let text = "targets: { a: { pid: 7 } }\nprobes: { p: { process: { process: x, all: true, pick: 1 } } }\n\
                steady-state: [p]\nduration: 5s\nfaults: [net.blackhole]\n";
    let error = parse(text, "pick.yaml", None).unwrap_err();
    assert!(error.to_string().contains("`pick`"), "{error}");
}
