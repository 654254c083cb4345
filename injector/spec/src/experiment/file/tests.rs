use std::fmt::Write;

use super::*;
use crate::{
    experiment::{Delay, FaultKind, Follow},
    quantity::Percent,
};

mod head;
mod ledgers;
mod notify;
mod operations;
mod parallel;
mod pick;
mod probe;
mod quality;
mod rollback;
mod signs;
mod stages;
mod steps;

const GOOD: &str = "\
hypothesis: it holds
targets:
  agent: { pid: [7, 8], tree: true }
  tool: { container: 12e45 }
steps:
  - duration: 5s
  - name: spike
    duration: 1m 30s
    faults:
      - net.delay: { target: agent, latency: 500ms, dest-port: [8080, 9000-9010], when: 3 }
      - net.blackhole: { target: tool, percent: 0.50%, direction: both }
      - dns.error: { target: agent, type: nxdomain, hostname: '*.example.com' }
";

#[test]
fn a_file_is_a_command_line() {
    let experiment = parse(GOOD, "dir/good.yaml", None).unwrap();
    assert_eq!(
        (experiment.name.as_str(), experiment.duration().as_secs()),
        ("good", 95)
    );
    let pids = Selector::Pids {
        pids: vec![7, 8],
        follow: Follow::Tree,
        pick: None,
    };
    assert_eq!(experiment.targets[0].selector, pids);
    assert_eq!(
        experiment.targets[1].selector,
        Selector::Container("12e45".into())
    );
    assert_eq!(
        (
            experiment.steps[0].name.as_str(),
            experiment.steps[0].faults.len()
        ),
        ("step 1", 0)
    );
    let faults = &experiment.steps[1].faults;
    let latency = |kind: &FaultKind| match kind {
        FaultKind::Delay(Delay { latency, .. }) => latency.as_millis(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (latency(&faults[0].kind), faults[1].target, faults[2].target),
        (500, 1, 0)
    );
    assert_eq!(faults[0].traffic.dest_ports.len(), 2);
    assert_eq!(
        faults[1].chance.percent,
        "0.5%".parse::<Percent>().unwrap().0
    );
    let json = serde_json::to_string(&experiment).unwrap();
    assert_eq!(
        serde_json::from_str::<Experiment>(&json).unwrap(),
        experiment
    );
}

#[test]
fn a_short_file_needs_no_steps_and_no_selector() {
    let selector = Selector::Unit("agent.service".into());
    let text = "duration: 5s\nfaults: [net.blackhole]\n";
    let experiment = parse(text, "short.yaml", Some(selector.clone())).unwrap();
    assert_eq!(experiment.targets[0].selector, selector);
    let text = "targets: { a: }\nduration: 5s\nfaults:\n  - net.blackhole:\n";
    let experiment = parse(text, "short.yaml", Some(selector.clone())).unwrap();
    assert_eq!(
        (
            experiment.targets[0].name.as_str(),
            &experiment.targets[0].selector
        ),
        ("a", &selector)
    );
    let two = "targets: { a: {pid: 7}, b: {pid: 8} }\nduration: 5s\nfaults: [net.blackhole]\n";
    let error = parse(two, "two.yaml", Some(selector)).unwrap_err();
    assert!(error.sentence.contains("has 2 of them"), "{error}");
}

/// A place and a part of the complaint about it.
type Row = (&'static str, u64, u64, &'static str);

/// What stands behind the `-` of the only fault, which begins in line 4, column 5.
#[rustfmt::skip]
const FAULTS: &[Row] = &[
    ("net.delay: { latncy: 1s }", 4, 18, "no field `latncy`; did you mean `latency`?"),
    ("net.delay: { latency: 5 apples }", 4, 27, "`latency`: `5 apples` is not a duration"),
    ("net.delay: { latency: 1s, percent: 150% }", 4, 40, "more than everything"),
    ("net.delay: { latency: 0s }", 4, 5, "latency and jitter are zero"),
    ("net.delay: {}", 4, 5, "`net.delay` needs `latency`"),
    ("net.delay: [latency]", 4, 16, "are a map"),
    ("net.delay: { latency: [1s, 2s] }", 4, 27, "one value, not a list"),
    ("net.delay: { latency: }", 4, 25, "has no value"),
    ("net.delay: { latency: 1s, latency: 2s }", 4, 31, "`latency` stands here for the second time"),
    ("net.dealy: { latency: 1s }", 4, 5, "did you mean `net.delay`?"),
    ("net: { latency: 1s }", 4, 5, "no fault is called `net`"),
    ("net.loss: { percent: 1%, gemodel: '1%,2%' }", 4, 17, "contradicts"),
    ("net.loss: {}", 4, 5, "`net.loss` needs `percent`"),
    ("net.blackhole: { dest-port: [80, 0] }", 4, 38, "`0` is not a port"),
    ("net.blackhole: { direction: up }", 4, 33, "write one of: egress, ingress, both"),
    ("net.blackhole: { target: b }", 4, 30, "no target is called `b`"),
    ("net.blackhole: { hostname: a b }", 4, 32, "`a b` is several names"),
    ("net.partition: { peer: 10.0.0.0/99 }", 4, 28, "`10.0.0.0/99` has 32 bits at most"),
    ("{ net.reset: {}, net.blackhole: {} }", 4, 5, "a `-` of its own"),
];

/// What stands behind the name of the only target, in line 2 from column 6 on.
#[rustfmt::skip]
const TARGETS: &[Row] = &[
    ("{ pid: 7, cgroup: x }", 2, 8, "contradicts `cgroup`"),
    ("{ pid: 0 }", 2, 13, "`pid`: `0` is not a process id"),
    ("{}", 2, 3, "target `a` selects nothing"),
    ("{ process: '(' }", 2, 17, "is not a regular expression"),
    ("{ cgroup: x, tree: true }", 2, 8, "`cgroup` contradicts `tree`"),
    ("{ pid: 7, tree: perhaps }", 2, 22, "is true or false"),
];

/// What stands behind the `-` of the only step, in line 3 from column 5 on.
#[rustfmt::skip]
const STEPS: &[Row] = &[
    ("name: x", 3, 5, "a step needs a `duration`"),
    ("duration: 0s", 3, 15, "zero is no time"),
    ("duration: 30", 3, 15, "`30` has no unit"),
    ("{ duration: 5s, faults: [] }", 3, 29, "at least one fault"),
    ("{ duration: 5s, fault: [] }", 3, 21, "did you mean `faults`?"),
    ("{ duration: 5s }", 1, 1, "no step of the experiment has a fault"),
    ("duration: 5s\nfaults: []", 4, 1, "cannot stand beside `steps`"),
];

/// What stands behind the `-` of the only fault of a step of 5 s, in line 4 from column 5 on.
#[rustfmt::skip]
const RAMPS: &[Row] = &[
    ("net.delay: { latency: { to: 2s, over: 2s } }", 4, 27, "the ramp of `latency` has no `from`"),
    ("net.delay: { latency: { from: 1s, over: 2s } }", 4, 27, "the ramp of `latency` has no `to`"),
    ("net.delay: { latency: { from: 1s, to: 2s } }", 4, 27, "the ramp of `latency` has no `over`"),
    ("net.delay: { latency: {} }", 4, 27, "has no `from`"),
    ("net.delay: { latency: { from: 1s, to: 2s, ovr: 2s } }", 4, 47, "did you mean `over`?"),
    ("net.delay: { latency: { from: 1s, to: 2s, over: 6s } }", 4, 53, "takes 6s, and its step is over after 5s"),
    ("net.delay: { latency: { from: 1s, to: 2s, over: 0s } }", 4, 53, "takes no time"),
    ("net.delay: { latency: { from: 1s, to: 2s, over: 6 } }", 4, 53, "has no unit"),
    ("net.delay: { latency: { from: 1s, to: 1000ms, over: 2s } }", 4, 27, "stays at 1s"),
    ("net.delay: { latency: { from: 0s, to: 2s, over: 2s, shape: exponential } }", 4, 35, "no factor leads from or to 0s"),
    ("net.delay: { latency: { from: 1s, to: 0s, over: 2s, shape: exponential } }", 4, 43, "no factor leads from or to 0s"),
    ("net.delay: { latency: { from: 1s, to: 2s, over: 2s, shape: linaer } }", 4, 64, "did you mean `linear`?"),
    ("net.delay: { latency: { from: 1s, to: 2s, over: 2s, shape: wave } }", 4, 64, "known are: linear, exponential"),
    ("net.delay: { latency: { from: 1s, to: 2, over: 2s } }", 4, 43, "`2` has no unit"),
    ("net.delay: { latency: { from: [1s], to: 2s, over: 2s } }", 4, 35, "`from` is one value"),
    ("net.delay: { latency: { from: 1s, to: 11m, over: 2s } }", 4, 5, "longer"),
    ("net.delay: { latency: 1s, max-hits: { from: 1, to: 9, over: 2s } }", 4, 31, "`max-hits` of `net.delay` cannot ramp: it counts over the whole step; write one value"),
    ("net.delay: { latency: 1s, dest-port: { from: 80, to: 90, over: 2s } }", 4, 31, "cannot ramp: it says which packets"),
    ("net.delay: { latency: 1s, direction: { from: egress, to: both, over: 2s } }", 4, 31, "is no quantity"),
    ("net.delay: { latency: 1s, target: { from: a, to: a, over: 2s } }", 4, 31, "is no quantity"),
    ("net.delay: { latncy: { from: 1s, to: 2s, over: 2s } }", 4, 18, "did you mean `latency`?"),
    ("net.corrupt: { percent: 5%, mode: { from: payload, to: wire, over: 2s } }", 4, 33, "is no quantity"),
    ("net.bandwidth: { rate: { from: 1mbit, to: 0bit, over: 2s } }", 4, 47, "lets nothing through"),
    ("io.short: { path: /x, at-most: { from: 1, to: 9, over: 2s } }", 4, 27, "size of a cut"),
    ("io.corrupt: { path: /x, max-length: { from: 1, to: 9, over: 2s } }", 4, 29, "size of a cut"),
    ("proc.pause: { active: { from: 1s, to: 2s, over: 2s }, dormant: 1s }", 4, 19, "own process acts"),
    ("net.reset: { percent: { from: 1%, to: 9%, over: 2s } }", 4, 18, "asked once for each connection"),
    ("sys.delay: { syscall: write, delay-enter: { from: 1s, to: 11s, over: 2s } }", 4, 5, "10s"),
];

/// Whole files.
#[rustfmt::skip]
const FILES: &[Row] = &[
    ("targets: { a: { pid: 7 } }\nsteps: []\n", 2, 8, "at least one step"),
    ("name: x\nsteps: []\nstops: []\n", 3, 1, "did you mean `steps`?"),
    ("name: a\nname: b\n", 2, 1, "`name` stands here for the second time"),
    ("\"a\\nb\": 1\n\"a\\nb\": 2\n", 2, 1, "`a\\nb` stands here for the second time"),
    ("name: [\n", 1, 7, "opened and not closed"),
    ("name: 'a\nduration: 5s\n", 1, 7, "quotation mark is opened"),
    ("name: a\n---\nname: b\n", 3, 1, "a second document begins here"),
    ("name: a\n...\nname: b\n", 3, 1, "a second document begins here"),
    ("steps:\n\t- name: a\n", 2, 2, "indent with spaces"),
    ("name: a\n  duration: 5s\n", 2, 11, "a colon is missing"),
    ("name: a\nduration 5s\n", 2, 1, "a colon is missing"),
    ("name: *agent\n", 1, 7, "names an anchor"),
    ("name: @a\n", 1, 7, "no value begins with this character"),
    ("name: .nan\n", 1, 7, "no finite number"),
    ("name: \"\\x\"\n", 1, 7, "this one means nothing"),
    ("? [a]\n: b\n", 1, 3, "a key is one word"),
    ("<<: a\n", 1, 5, "takes in a map"),
    ("targets: {}\nduration: 5s\nfaults: [net.blackhole]\n", 1, 10, "`targets` is empty"),
    ("just words", 1, 1, "an experiment is a map"),
    ("", 1, 1, "the file is empty; an experiment is a map"),
    ("# a comment\n", 2, 1, "the file is empty"),
    ("steps:\n  - duration: 5s\n", 1, 1, "has no `targets`"),
    ("targets: { a: { pid: 7 } }\nduration: 5s\nfaults: [net.blackhole]\nhalt: []\n", 4, 7, "at least one condition"),
    ("targets: { a: { pid: 7 } }\nduration: 5s\nfaults: [net.blackhole]\nhalt:\n  - hsot.load > 8\n", 5, 5, "did you mean `host.load`?"),
    ("targets: { a: { pid: 7 } }\nduration: 5s\nfaults: [net.blackhole]\nhalts:\n  - host.load > 8\n", 4, 1, "did you mean `halt`?"),
];

#[test]
fn complaints_name_line_and_column() {
    type Whole<'a> = &'a dyn Fn(&str) -> String;
    let fault =
        |text: &str| format!("targets: {{ a: {{ pid: 7 }} }}\nduration: 5s\nfaults:\n  - {text}\n");
    let target =
        |text: &str| format!("targets:\n  a: {text}\nduration: 5s\nfaults: [net.blackhole]\n");
    let step = |text: &str| format!("targets: {{ a: {{ pid: 7 }} }}\nsteps:\n  - {text}\n");
    let mut wrong = Vec::new();
    let tables: [(&[Row], Whole<'_>); 5] = [
        (FAULTS, &fault),
        (RAMPS, &fault),
        (TARGETS, &target),
        (STEPS, &step),
        (FILES, &str::to_owned),
    ];
    for (table, whole) in tables {
        for (text, line, column, part) in table {
            let text = whole(text);
            let said = parse(&text, "bad.yaml", None).expect_err(&text).to_string();
            if !said.starts_with(&format!("bad.yaml:{line}:{column}: ")) || !said.contains(part) {
                wrong.push(format!(
                    "expected {line}:{column} {part}, got {said}\n{text}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Words that only those know who program with the parser.
fn is_foreign(said: &str) -> bool {
    [
        "Options", "Policy", "from_", "budget", "Budget", "breached", "{", "expected",
    ]
    .iter()
    .any(|word| said.replace("{pid: 4711}", "").contains(word))
}

#[test]
fn what_is_too_deep_or_too_large_is_told_in_our_words() {
    let deep = format!("name: {}{}\n", "[".repeat(33), "]".repeat(33));
    let many = format!("name: [{}]\n", "a,".repeat(100_001));
    let mut billion = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (above, name) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let nine = vec![format!("*{above}"); 9].join(",");
        writeln!(billion, "{name}: &{name} [{nine}]").unwrap();
    }
    for (text, part) in [
        (deep, "more than 32 deep"),
        (many, "too large for one experiment"),
        (billion, "too large for one experiment"),
    ] {
        let said = parse(&text, "bad.yaml", None).unwrap_err().to_string();
        assert!(said.contains(part) && !is_foreign(&said), "{said}");
        assert!(!said.starts_with("bad.yaml:1:1: "), "{said}");
    }
}

fn bytes(bytes: &[u8], name: &str) -> Result<Experiment, FileError> {
    let reading = Reading {
        name,
        ..Reading::default()
    };
    reading.bytes(bytes)
}

#[test]
fn a_file_that_is_no_utf_8_has_a_place_too() {
    let error = bytes(b"name: a\n# caf\xe9\n", "bad\n.yaml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "bad\\n.yaml:2:6: byte E9 is not UTF-8; save the file as UTF-8"
    );
    let wide: Vec<u8> = "\u{feff}name: a\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let error = bytes(&wide, "wide.yaml").unwrap_err();
    assert_eq!((error.line, error.column), (1, 1), "{error}");
    let marked = format!("\u{feff}{GOOD}");
    assert!(bytes(marked.as_bytes(), "marked.yaml").is_ok());
}

#[test]
fn several_targets_must_be_told_apart() {
    let text = "targets: { a: {pid: 7}, b: {pid: 8} }\nduration: 5s\nfaults: [net.blackhole]\n";
    let error = parse(text, "two.yaml", None).unwrap_err();
    assert!(
        error
            .sentence
            .contains("needs a `target`, since there are several: a, b"),
        "{error}"
    );
}

proptest::proptest! {
    #[test]
    fn parsing_is_total(text in "\\PC*|[a-z: \\n{}\\[\\],-]{0,80}") {
        let _ = parse(&text, "any.yaml", None);
    }
}

#[test]
fn the_files_of_the_project_are_experiments() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/experiments");
    let mut count = 0;
    let game_days = format!("{folder}/game-days");
    let agents = format!("{folder}/agents");
    for entry in [folder, &game_days, &agents]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
    {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        parse(&text, &path.display().to_string(), None).unwrap();
        count += 1;
    }
    assert!(count >= 14, "{count} files in {folder}");
}

const MEASURED: &str = "targets: { a: {pid: 7} }
probes: { web: 'tcp 127.0.0.1:80 every 250ms within 250ms', other: 'tcp 127.0.0.1:81 fails 2 of 3' }
steady-state: [web]
controls: [other]
duration: 5s
faults: [net.blackhole]
";

#[test]
fn a_steady_state_brings_its_quiet_times() {
    let quiet = |text: &str| {
        let experiment = parse(text, "measured.yaml", None).unwrap();
        let steps = experiment.steps.iter();
        let steps: Vec<_> = steps
            .map(|step| {
                (
                    step.name.clone(),
                    step.duration.as_secs(),
                    step.faults.len(),
                )
            })
            .collect();
        (experiment, steps)
    };
    let (experiment, steps) = quiet(MEASURED);
    let named = |name: &str, seconds, faults| (name.to_owned(), seconds, faults);
    let expected = [
        named("baseline", 30, 0),
        named("measured", 5, 1),
        named("recovery", 65, 0),
    ];
    assert_eq!(steps, expected);
    // What is said wins; a quiet step is a quiet time.
    let (_, steps) = quiet(&format!(
        "{MEASURED}baseline: 12s\nobjectives: {{ rto: 20s }}\n"
    ));
    assert_eq!((steps[0].1, steps[2].1), (12, 25));
    // It travels as JSON to the daemon and into the journal.
    let json = serde_json::to_string(&experiment).unwrap();
    assert!(
        json.contains(r#""question":"tcp 127.0.0.1:80 fails 1 every 250ms within 250ms""#),
        "{json}"
    );
    assert_eq!(
        serde_json::from_str::<Experiment>(&json).unwrap(),
        experiment
    );
}

#[test]
fn a_control_alone_judges_nothing() {
    let text = MEASURED.replace(
        "steady-state: [web]\ncontrols: [other]",
        "controls: [web, other]",
    );
    let said = parse(&text, "measured.yaml", None).unwrap_err().to_string();
    assert!(
        said.contains("no probe is about the steady state"),
        "{said}"
    );
}

#[test]
fn a_run_keeps_so_many_answers_and_no_more() {
    let text = MEASURED
        .replace("every 250ms within 250ms", "every 100ms within 100ms")
        .replace("fails 2 of 3", "every 500ms within 500ms");
    let lasting = |hours: u32| parse(&format!("{text}baseline: {hours}h\n"), "long.yaml", None);
    assert!(lasting(23).is_ok());
    // 24 hours of twelve answers a second.
    let said = lasting(24).unwrap_err().to_string();
    assert!(said.contains("at most 1000000 answers"), "{said}");
}
