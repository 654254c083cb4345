//! Commands of a rollback: as lists and as maps, and complaints with their place.

use super::*;
use crate::experiment::RollbackCommand;

fn read(rollback: &str) -> Result<Vec<RollbackCommand>, FileError> {
    let text = format!(
        "targets: {{ a: {{pid: 7}} }}\nduration: 5s\nfaults: [net.blackhole]\nrollback: {rollback}\n"
    );
    parse(&text, "rollback.yaml", None).map(|experiment| experiment.rollback)
}

#[test]
fn a_command_is_a_list_or_a_map_that_has_one() {
    let commands = read("[ [/bin/a, -x, 7], { command: [/bin/b], within: 30s } ]").unwrap();
    let said: Vec<String> = commands.iter().map(ToString::to_string).collect();
    let expected = [
        r#"["/bin/a", "-x", "7"] within 10s"#,
        r#"["/bin/b"] within 30s"#,
    ];
    assert_eq!(said, expected);
    assert_eq!(read("[ { command: [/bin/a] } ]"), read("[ [/bin/a] ]"));
}

/// What stands behind `rollback: `, in line 4 from column 11 on.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("[]", 4, 11, "at least one command"),
    ("/bin/a", 4, 11, "at least one command"),
    ("[ /bin/a -x ]", 4, 13, "which no shell reads"),
    ("[ [a] ]", 4, 13, "whole path"),
    ("[ [] ]", 4, 13, "whole path"),
    ("[ { command: /bin/a } ]", 4, 24, "is a list of the program"),
    ("[ { comand: [/bin/a] } ]", 4, 15, "did you mean `command`?"),
    ("[ { within: 5s } ]", 4, 13, "needs `command`"),
    ("[ { command: [/bin/a], within: 0s } ]", 4, 42, "zero is no time"),
    ("[ { command: [/bin/a], within: 2m } ]", 4, 42, "between 1ms and 1m, and not 2m"),
    ("[ { command: [/bin/a], within: 5 } ]", 4, 42, "no unit"),
    ("[ [/bin/a, [b]] ]", 4, 22, "one value"),
    ("[[/a],[/a],[/a],[/a],[/a],[/a],[/a],[/a],[/a]]", 4, 11, "has 9 commands; leave at most 8"),
];

#[test]
fn what_is_no_command_is_refused_in_its_place() {
    for (rollback, line, column, part) in ROWS {
        let error = read(rollback).unwrap_err();
        assert!(error.sentence.contains(part), "{rollback}: {error}");
        assert_eq!(
            (error.line, error.column),
            (*line, *column),
            "{rollback}: {error}"
        );
    }
    let long = format!("[ [/bin/a, {}] ]", "x".repeat(5000));
    assert!(
        read(&long)
            .unwrap_err()
            .sentence
            .contains("at most 4096 characters")
    );
}

/// What comes over the socket is no file, and is held to the same.
#[test]
fn an_experiment_from_elsewhere_is_checked_too() {
    let mut experiment = parse(GOOD, "good.yaml", None).unwrap();
    let plain = experiment.fingerprint();
    let command = |program: &str, within| RollbackCommand {
        command: vec![program.to_owned()],
        within: Duration::from_secs(within),
    };
    experiment.rollback = vec![command("/bin/a", 60)];
    assert_eq!(experiment.check(), Ok(()));
    assert_eq!(experiment.fingerprint(), plain);
    for bad in [
        vec![command("a", 1)],
        vec![command("/bin/a", 0)],
        vec![command("/bin/a", 61)],
        vec![command("/bin/a", 1); 9],
    ] {
        experiment.rollback = bad;
        assert!(experiment.check().is_err(), "{:?}", experiment.rollback);
    }
}
