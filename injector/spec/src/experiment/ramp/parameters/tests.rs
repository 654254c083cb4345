use clap::{Command, CommandFactory, Parser};

use super::*;
use crate::{
    faults::lines::{leaves, shortest},
    grammar::FaultInFile,
};

/// Faults that have what the shortest line of their subcommand cannot have; each line is what the others need.
const LINES: &[&str] = &[
    "net delay --latency 1ms --jitter 1ms",
    "net loss --percent 5%",
    "net loss --gemodel 1%,10%",
    "llm overload --after-tokens 1",
    "llm rate-limit --retry-after 1s",
    "llm slow --latency 1s",
    "proc kill --at-call write",
    "sys error --syscall write --errno EIO",
    "sys delay --syscall write --delay-enter 1ms",
    "sys delay --syscall write --delay-exit 1ms",
];

/// These, and the shortest line of each subcommand that is a fault by itself; each with its subcommand.
fn faults(command: &Command) -> Vec<(Vec<String>, Fault)> {
    let mut found = Vec::new();
    leaves(command, &[], &mut found);
    let mut faults = Vec::new();
    for (path, leaf) in found {
        let mut lines = vec![shortest(&path, leaf)];
        let own = LINES
            .iter()
            .map(|line| line.split(' ').map(str::to_owned).collect());
        lines.extend(own.filter(|line: &Vec<String>| line.starts_with(&path)));
        let parsed = lines.iter().filter_map(|line| {
            let (fault, _) = FaultInFile::try_parse_from(line).ok()?.split();
            Some((path.clone(), fault))
        });
        faults.extend(parsed);
    }
    faults
}

/// What flags call a number, of whatever kind.
const NUMBERS: &[&str] = &[
    "TIME",
    "PERCENT",
    "RATE",
    "COUNT",
    "BYTES",
    "NUMBER",
    "PORTS",
    "WHEN",
    "SIZE",
    "SHARE",
    "LIMIT",
    "QUOTA PERIOD",
    "p,r,1-h,1-k",
];

fn fault(line: &str) -> Fault {
    let parsed = FaultInFile::try_parse_from(line.split_whitespace());
    parsed
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .split()
        .0
}

#[test]
fn every_flag_that_takes_a_number_is_decided() {
    let mut command = FaultInFile::command();
    command.build();
    let all = faults(&command);
    let mut found = Vec::new();
    leaves(&command, &[], &mut found);
    for (path, leaf) in found {
        let of_leaf = |(own, fault): &(Vec<String>, Fault)| (*own == path).then(|| fault.clone());
        let faults: Vec<Fault> = all.iter().filter_map(of_leaf).collect();
        assert!(!faults.is_empty(), "{path:?} needs a line in LINES");
        for flag in leaf.get_arguments() {
            let names = flag.get_value_names().unwrap_or_default();
            let (Some(name), true) = (
                flag.get_long(),
                names.iter().any(|name| NUMBERS.contains(&name.as_str())),
            ) else {
                continue;
            };
            let is_decided = faults
                .iter()
                .any(|fault| !matches!(fault.named(name), Err(CannotRamp::NoQuantity { .. })));
            assert!(is_decided, "`{name}` of {path:?} is not decided");
        }
    }
}

#[test]
fn a_parameter_that_cannot_ramp_is_named_with_the_reason() {
    for (line, name, part) in [
        (
            "net delay --latency 1ms",
            "dest-port",
            "which packets or calls",
        ),
        ("net delay --latency 1ms", "max-hits", "over the whole step"),
        ("net reorder --percent 1%", "gap", "over the whole step"),
        ("net loss --gemodel 1%,10%", "gemodel", "several numbers"),
        ("io short --path /x", "at-most", "size of a cut"),
        ("proc pause", "active", "own process acts"),
        ("proc starve --pids-max 20", "pids-max", "limit of a cgroup"),
        ("net reset", "percent", "once for each connection"),
        (
            "proc kill",
            "percent",
            "once for each connection or process",
        ),
    ] {
        let refused = fault(line).named(name).unwrap_err().to_string();
        assert!(
            refused.contains(part) && refused.contains(name),
            "{line}: {refused}"
        );
    }
    let mode = fault("net corrupt --percent 5%").named("mode").unwrap_err();
    assert_eq!(
        mode.to_string(),
        "`mode` of `net.corrupt` is no quantity and cannot ramp; write one value (what can is: percent)"
    );
}

/// What is set is read back, and nothing else has changed.
#[test]
fn a_value_goes_where_it_was_taken_from() {
    let mut ramping = 0;
    let mut command = FaultInFile::command();
    command.build();
    for (path, plain) in faults(&command) {
        let mut copy = plain.clone();
        for decided in copy.parameters() {
            let Ramps(parameter, place) = decided else {
                continue;
            };
            let was = place.value();
            let mut changed = plain.clone();
            changed.put(parameter, was.with(77_000));
            assert_eq!(changed.amount(parameter), Ok(was.with(77_000)), "{path:?}");
            assert_ne!(changed, plain, "{path:?}");
            changed.put(parameter, was);
            assert_eq!(changed, plain, "{path:?}");
            ramping += 1;
        }
    }
    assert!(ramping > 25, "{ramping}");
}
