//! Operations of a file: what they say, and complaints with the place.

use std::time::Duration;

use super::*;
use crate::experiment::{NamedOperation, OperationKind, ProbeRole};

/// Reads what stands behind the targets.
fn read(operations: &str) -> Result<Vec<NamedOperation>, FileError> {
    let text = format!(
        "targets: {{ a: {{pid: 7}}, b: {{pid: 8}} }}\n{operations}\nduration: 5s\nfaults: [net.blackhole: {{ target: a }}]\n"
    );
    let experiment = parse(&text, "operations.yaml", None)?;
    Ok(experiment.steady_state.unwrap().operations)
}

#[test]
fn each_key_says_what_it_says() {
    let found = read(
        "operations:\n  calls: { of: b, connect-to: ['a:80', '[::1]:81'], good: { within: 2s } }\n  \
         dials: { of: a, kind: connect, connect-to: 10.0.0.1:443 }\n\
         steady-state: [{ operations: calls, ratio: '>= 99.5%' }]\ncontrols: [dials]",
    )
    .unwrap();
    let [calls, dials] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((calls.of.as_str(), dials.of.as_str()), ("b", "a"));
    assert_eq!(
        (calls.kind, dials.kind),
        (OperationKind::Request, OperationKind::Connect)
    );
    assert_eq!(
        (calls.role, dials.role),
        (ProbeRole::SteadyState, ProbeRole::Control)
    );
    assert_eq!(
        (calls.within, dials.within),
        (Some(Duration::from_secs(2)), None)
    );
    assert_eq!(
        calls.to_string(),
        "requests of b to a:80, [::1]:81, answered within 2s, >= 99.5% of them"
    );
    assert_eq!(
        dials.to_string(),
        "connects of a to 10.0.0.1:443, made within 1.5 times the p99 of the baseline"
    );
    assert_eq!(calls.names().collect::<Vec<_>>(), ["a"]);
}

/// What stands behind the name of the only stream, which begins in line 3, column 6.
#[rustfmt::skip]
const STREAMS: &[Row] = &[
    ("{ off: a }", 3, 8, "no field `off`; did you mean `of`?"),
    ("{ of: c }", 3, 12, "no target is called `c`; known are: a, b"),
    ("{ }", 3, 6, "need `of`, since there are several targets: a, b"),
    ("{ of: a, kind: conect }", 3, 21, "did you mean `connect`?"),
    ("{ of: a, connect-to: 80 }", 3, 27, "`80` is not a host and a port"),
    ("{ of: a, connect-to: ['a:80', b] }", 3, 36, "`b` is not a host and a port"),
    ("{ of: a, connect-to: [] }", 3, 27, "`connect-to` is empty"),
    ("{ of: a, good: { withn: 2s } }", 3, 23, "did you mean `within`?"),
    ("{ of: a, good: { within: 2 } }", 3, 31, "has no unit"),
    ("{ of: a, good: { within: 0s } }", 3, 31, "is no time"),
    ("[ a ]", 3, 6, "is a map of of, kind, connect-to, good"),
    ("{ of: a, good: { within: 2m } }", 1, 1, "`within` is a time between 1ms and 1m"),
];

/// What stands behind `steady-state: `, which is in line 4.
#[rustfmt::skip]
const NAMED: &[Row] = &[
    ("[{ ratio: '>= 99%' }]", 4, 18, "names none; add `operations`"),
    ("[{ operations: p, ratio: '>= 99%' }]", 4, 30, "no operations are called `p`"),
    ("[{ operations: cals }]", 4, 30, "did you mean `calls`?"),
    ("[{ operations: calls, ratio: 99 }]", 4, 44, "is not a share of good operations"),
    ("[{ operations: calls, rato: 99% }]", 4, 37, "did you mean `ratio`?"),
    ("[calls, { operations: calls }]", 4, 37, "operations `calls` are named twice"),
    ("[calls, p, q]", 4, 26, "no probe and no operations are called `q`"),
    ("[p]", 3, 15, "operations `calls` are used nowhere"),
];

#[test]
fn what_is_wrong_with_operations_has_its_place() {
    let mut misplaced = Vec::new();
    let streams = STREAMS.iter().map(|row| {
        let text = format!("operations:\n  o: {}\nsteady-state: [o]", row.0);
        (row, text)
    });
    let named = NAMED.iter().map(|row| {
        let known = "probes: { p: 'tcp a:80' }\noperations: { calls: { of: a } }";
        (row, format!("{known}\nsteady-state: {}", row.0))
    });
    for ((operations, line, column, part), text) in streams.chain(named) {
        let error = read(&text).expect_err(operations);
        assert!(error.sentence.contains(part), "{operations}: {error}");
        if (error.line, error.column) != (*line, *column) {
            misplaced.push(format!("{operations} => {error}"));
        }
    }
    assert!(misplaced.is_empty(), "{}", misplaced.join("\n"));
}

#[test]
fn a_target_may_end_by_a_signal_to_it_and_by_no_other_fault() {
    let of_a = [
        ("proc.kill: { target: a }", true),
        (
            "proc.kill: { target: a, signal: KILL, at-call: write, when: 3 }",
            true,
        ),
        ("proc.pause: { target: a }", false),
        ("net.blackhole: { target: a }", false),
        ("sys.error: { target: a, syscall: read, errno: EIO }", false),
    ];
    for (fault, may_end) in of_a {
        let text = format!(
            "targets: {{ a: {{ pid: 7 }}, b: {{ pid: 8 }} }}\nsteps:\n  - {{ duration: 5s }}\n  \
             - duration: 5s\n    faults: [{fault}]\n"
        );
        let experiment = parse(&text, "ends.yaml", None).unwrap();
        assert_eq!(
            (experiment.may_end(0), experiment.may_end(1)),
            (may_end, false),
            "{fault}"
        );
    }
}
