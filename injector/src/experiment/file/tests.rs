use super::*;
use crate::experiment::{Delay, FaultKind, Follow};

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
    assert_eq!(faults[1].chance.percent.0, (0.005 * 4_294_967_296.0) as u32);
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

/// A file with one fault on one target; the fault stands in line 4 from column 5 on.
fn with_fault(fault: &str) -> String {
    format!("targets: {{ a: {{ pid: 7 }} }}\nduration: 5s\nfaults:\n  - {fault}\n")
}

#[test]
fn complaints_name_line_and_column() {
    let target =
        |text: &str| format!("targets:\n  a: {text}\nduration: 5s\nfaults: [net.blackhole]\n");
    let step = |text: &str| format!("targets: {{ a: {{ pid: 7 }} }}\nsteps:\n  - {text}\n");
    let mut wrong = String::new();
    for (text, line, column, part) in [
        (
            with_fault("net.delay: { latncy: 1s }"),
            4,
            18,
            "no field `latncy`; did you mean `latency`?",
        ),
        (
            with_fault("net.delay: { latency: 5 apples }"),
            4,
            27,
            "`latency`: `5 apples` is not a duration",
        ),
        (
            with_fault("net.delay: { latency: 1s, percent: 150% }"),
            4,
            40,
            "more than everything",
        ),
        (
            with_fault("net.delay: { latency: 0s }"),
            4,
            5,
            "latency and jitter are zero",
        ),
        (
            with_fault("net.delay: {}"),
            4,
            5,
            "`net.delay` needs `latency`",
        ),
        (with_fault("net.delay: [latency]"), 4, 16, "are a map"),
        (
            with_fault("net.delay: { latency: [1s, 2s] }"),
            4,
            27,
            "one value, not a list",
        ),
        (with_fault("net.delay: { latency: }"), 4, 25, "has no value"),
        (
            with_fault("net.dealy: { latency: 1s }"),
            4,
            5,
            "did you mean `net.delay`?",
        ),
        (
            with_fault("net: { latency: 1s }"),
            4,
            5,
            "no fault is called `net`",
        ),
        (
            with_fault("net.loss: { percent: 1%, gemodel: '1%,2%' }"),
            4,
            17,
            "contradicts",
        ),
        (
            with_fault("net.loss: {}"),
            4,
            5,
            "`net.loss` needs `percent`",
        ),
        (
            with_fault("net.blackhole: { dest-port: [80, 0] }"),
            4,
            38,
            "`0` is not a port",
        ),
        (
            with_fault("net.blackhole: { direction: up }"),
            4,
            33,
            "write one of: egress, ingress, both",
        ),
        (
            with_fault("net.blackhole: { target: b }"),
            4,
            30,
            "no target is called `b`",
        ),
        (
            with_fault("net.blackhole: { hostname: a b }"),
            4,
            5,
            "`a b` is not a host name",
        ),
        (
            with_fault("net.partition: { peer: 10.0.0.0/99 }"),
            4,
            28,
            "`10.0.0.0/99` is not a peer",
        ),
        (
            with_fault("{ net.reset: {}, net.blackhole: {} }"),
            4,
            5,
            "a `-` of its own",
        ),
        (
            target("{ pid: 7, cgroup: x }"),
            2,
            8,
            "contradicts `cgroup`",
        ),
        (target("{ pid: 0 }"), 2, 13, "`pid`: 0 is not in"),
        (target("{}"), 2, 3, "target `a` selects nothing"),
        (
            target("{ process: '(' }"),
            2,
            17,
            "is not a regular expression",
        ),
        (
            target("{ cgroup: x, tree: true }"),
            2,
            8,
            "`cgroup` contradicts `tree`",
        ),
        (
            target("{ pid: 7, tree: perhaps }"),
            2,
            22,
            "is true or false",
        ),
        (step("name: x"), 3, 5, "a step needs a `duration`"),
        (step("duration: 0s"), 3, 15, "zero is no time"),
        (step("duration: 30"), 3, 15, "`30` is not a duration"),
        (
            step("{ duration: 5s, faults: [] }"),
            3,
            29,
            "at least one fault",
        ),
        (
            step("{ duration: 5s, fault: [] }"),
            3,
            21,
            "did you mean `faults`?",
        ),
        (
            step("{ duration: 5s }"),
            1,
            1,
            "no step of the experiment has a fault",
        ),
        (
            format!("{}faults: []\n", step("duration: 5s")),
            4,
            1,
            "cannot stand beside `steps`",
        ),
        (
            "targets: { a: { pid: 7 } }\nsteps: []\n".into(),
            2,
            8,
            "at least one step",
        ),
        (
            "name: x\nsteps: []\nstops: []\n".into(),
            3,
            1,
            "did you mean `steps`?",
        ),
        ("name: a\nname: b\n".into(), 2, 1, "name"),
        ("name: [\n".into(), 1, 7, "correct the YAML"),
        ("just words".into(), 1, 1, "an experiment is a map"),
        (String::new(), 1, 1, "an experiment is a map"),
        (
            "steps:\n  - duration: 5s\n".into(),
            1,
            1,
            "has no `targets`",
        ),
    ] {
        let error = parse(&text, "bad.yaml", None).expect_err(&text);
        let place = (error.line, error.column);
        let said = error.to_string();
        let is_right = error.sentence.contains(part) && place == (line, column);
        if !is_right || !said.starts_with(&format!("bad.yaml:{line}:{column}: ")) {
            wrong += &format!("expected {line}:{column} {part}, got {said}\n{text}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
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
