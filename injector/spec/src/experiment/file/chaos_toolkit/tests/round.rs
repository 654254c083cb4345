//! What is written is read as the same, and reading ends whatever is read.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;
use crate::experiment::file::parse;

/// The steps, the faults and the probes of an experiment, and how its targets are chosen.
fn essence(experiment: &Experiment) -> (Value, Value, Value, Value) {
    let targets: Vec<&Selector> = experiment
        .targets
        .iter()
        .map(|target| &target.selector)
        .collect();
    (
        serde_json::to_value(&experiment.steps).unwrap(),
        serde_json::to_value(&experiment.steady_state).unwrap(),
        serde_json::to_value(&experiment.rollback).unwrap(),
        serde_json::to_value(targets).unwrap(),
    )
}

/// Reads an experiment of ours, and what is written of it.
fn is_kept(file: &str) {
    let experiment = parse(file, "x.yaml", None).unwrap_or_else(|error| panic!("{error}\n{file}"));
    let document = experiment
        .chaos_toolkit()
        .unwrap_or_else(|error| panic!("{error}\n{file}"));
    let text = serde_json::to_string_pretty(&document).unwrap();
    let again = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(essence(&again), essence(&experiment), "{text}");
    assert_eq!(
        (&again.name, &again.labels, &again.hypothesis),
        (&experiment.name, &experiment.labels, &experiment.hypothesis),
        "{text}"
    );
}

/// Faults with each kind of flag.
const FAULTS: &[&str] = &[
    "net.delay: { latency: 250ms, jitter: 10ms, distribution: normal, dest-port: [443, '8000-8010'], percent: 5%, seed: 7 }",
    "net.blackhole",
    "net.loss: { percent: 20%, correlation: 30%, max-hits: 9 }",
    "net.partition: { peer: ['10.0.0.0/8', 'db.example.com'], direction: ingress }",
    "net.bandwidth: { rate: 1mbit }",
    "dns.error: { type: nxdomain, hostname: ['*.example.com'] }",
    "sys.error: { syscall: [openat, read], errno: ENOENT, when: 3 }",
    "io.latency: { path: /var/lib/x, latency: 5ms }",
    "proc.pause",
    "plugin.kill: { plugin: '*mcp-server*', after: 100ms }",
];

const TARGETS: &[&str] = &[
    "{ pid: [7, 9], tree: true }",
    "{ cgroup: /sys/fs/cgroup/agent }",
    "{ process: 'python .*agent', all: true }",
    "{ unit: 'my-agent' }",
];

const PROBES: &[&str] = &[
    "{ http: 'http://127.0.0.1:80/health', every: 250ms, within: 250ms }",
    "{ http: 'http://127.0.0.1:80/', status: 204, fails: 2 of 3 }",
    "{ http: 'http://127.0.0.1:80/', json: '$.a.b == \"x y\"', within: 500ms, timeout: 2s }",
    "{ http: 'http://127.0.0.1:80/', json: '$.a == 5' }",
    "{ http: 'http://127.0.0.1:80/', json: '$.a == \"5\"' }",
    "{ http: 'http://127.0.0.1:80/', json: '$.a' }",
    "{ http: 'http://127.0.0.1:80/', body: 'rea(d|\"l)y' }",
    "{ command: [/bin/test, -e, 'a b', '${x}', '7'] }",
];

/// One step: a pause, a command or a fault.
fn step() -> impl Strategy<Value = String> {
    let time = || select(vec!["1s", "1500ms", "250ms", "2m", "1m 30s"]);
    let name = select(vec![
        "slow",
        "a: b",
        "7",
        "true",
        "${name}",
        "\\\"q\\\"",
        "é #x",
    ]);
    let fault = (name.clone(), time(), select(FAULTS), 0..TARGETS.len()).prop_map(
        |(name, time, fault, target)| {
            let target = format!("target: t{target}");
            let fault = match fault.split_once("{ ") {
                Some((kind, rest)) => format!("{kind}{{ {target}, {rest}"),
                None => format!("{fault}: {{ {target} }}"),
            };
            format!("{{ name: \"{name}\", duration: {time}, faults: [ {fault} ] }}")
        },
    );
    let command = (name, time()).prop_map(|(name, time)| {
        format!("{{ name: \"{name}\", run: {{ command: [/bin/echo, 'a b', '--x=1', '0'], timeout: {time} }} }}")
    });
    prop_oneof![3 => fault, 1 => command]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_as_the_same(
        mut steps in vec((step(), option::of(select(vec!["3s", "500ms"]))), 1..6),
        probes in vec(select(PROBES), 0..4),
        is_rolled_back: bool,
    ) {
        // A command in front of a fault is refused.
        steps.sort_by_key(|(step, _)| step.contains("run: "));
        let mut walk = Vec::new();
        for (step, pause) in &steps {
            walk.push(step.clone());
            walk.extend(pause.map(|pause| format!("{{ pause: {pause} }}")));
        }
        // A target that no fault has is refused, and one that has is asked for in the order of the steps.
        let mut targets: Vec<(usize, usize)> = (0..TARGETS.len())
            .filter_map(|index| Some((walk.iter().position(|step| step.contains(&format!("target: t{index}")))?, index)))
            .collect();
        targets.sort_unstable();
        let mut file = String::from("apiVersion: injector/v1\nname: \"x: $${y}\"\nhypothesis: It lives.\nlabels: { a: 'true', b: c d }\n");
        if !targets.is_empty() {
            file += "targets:\n";
            for (_, index) in targets {
                file += &["  t", &index.to_string(), ": ", TARGETS[index], "\n"].concat();
            }
        }
        if !probes.is_empty() {
            file.push_str("baseline: 40s\nrecovery: 70s\nobjectives: { rto: 30s }\nprobes:\n");
            let named = probes.iter().enumerate();
            file.extend(named.map(|(index, probe)| format!("  \"p {index}\": {}\n", probe.replace("${", "$${"))));
            let names: Vec<String> = (0..probes.len()).map(|index| format!("\"p {index}\"")).collect();
            file += &["steady-state: [", &names.join(", "), "]\n"].concat();
            if is_rolled_back {
                // The recovery is in front of them then.
                file = file.replace("recovery: 70s\n", "");
                walk.push("{ name: recovery, pause: 1m 10s }".into());
            }
        }
        if is_rolled_back {
            file.push_str("rollback: [ { command: [/bin/true, b], within: 1s } ]\n");
            walk.push("{ name: back, run: { command: [/bin/true, b], timeout: 1s } }".into());
        }
        file.push_str("steps:\n");
        file.extend(walk.iter().map(|step| format!("  - {}\n", step.replace("${", "$${"))));
        is_kept(&file);
    }

    /// Any JSON at all, with the words of such documents in it.
    #[test]
    fn reading_ends_with_an_experiment_or_a_place(value in any_json()) {
        let text = value.to_string();
        if let Err(error) = read(&text) {
            prop_assert!(!error.sentence.is_empty() && error.line >= 1 && error.column >= 1);
        }
    }

    /// A document in which one value is any other.
    #[test]
    fn one_value_that_is_another_is_read_or_refused(at in any::<prop::sample::Index>(), value in any_json()) {
        let mut document: Value = serde_json::from_str(SLOW_MODEL).unwrap();
        let mut places = Vec::new();
        pointers(&document, "", &mut places);
        *document.pointer_mut(&places[at.index(places.len())]).unwrap() = value;
        if let Ok(experiment) = read(&document.to_string()) {
            prop_assert!(experiment.check().is_ok());
        }
    }
}

/// Where each value of a document is.
fn pointers(value: &Value, at: &str, to: &mut Vec<String>) {
    to.push(at.to_owned());
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), to)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), to)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = vec![
        "method",
        "steady-state-hypothesis",
        "probes",
        "type",
        "action",
        "probe",
        "process",
        "http",
        "python",
        "provider",
        "path",
        "injector",
        "arguments",
        "net",
        "delay",
        "--latency=1s",
        "--pid=7",
        "--duration=1s",
        "--cgroup",
        "timeout",
        "tolerance",
        "regex",
        "jsonpath",
        "range",
        "target",
        "body",
        "stdout",
        "status",
        "pauses",
        "after",
        "name",
        "ref",
        "rollbacks",
        "configuration",
        "key",
        "extensions",
        "runtime",
        "strategy",
        "url",
        "http://127.0.0.1:80/",
        "expect",
        "$.a",
        "pattern",
        "net delay --pid 7 --duration 1s",
        "",
        "${a}",
        "apiVersion",
        "title",
        "tags",
    ];
    let word = select(words);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        word.clone().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((word.clone(), inner), 0..6).prop_map(|entries| {
                Value::Object(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// What there is no word for is named.
#[test]
fn what_they_have_no_word_for_is_refused_by_name() {
    let step = "steps: [ { name: s, duration: 5s, faults: [net.blackhole] } ]\n";
    let of = |text: &str| {
        let experiment =
            parse(text, "x.yaml", None).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let error = experiment.chaos_toolkit().unwrap_err();
        let said = error.to_string();
        assert!(said.ends_with("run the experiment with injector"), "{said}");
        said
    };
    let probe = |probe: &str| {
        format!(
            "targets: {{ a: {{ pid: 7 }} }}\nprobes: {{ p: {probe} }}\nsteady-state: [p]\n{step}"
        )
    };
    for (text, said) in [
        (format!("targets: {{ a: {{ pid: 7 }} }}\nhalt: [host.load > 64]\n{step}"), "halt conditions"),
        (format!("targets: {{ a: {{ pid: 7 }} }}\non-target-exit: end\n{step}"), "the end of a run with its target"),
        (format!("targets: {{ a: {{ pid: 7 }}, b: {{ pid: 9 }} }}\n{}", step.replace("net.blackhole", "net.blackhole: {target: a}")), "target `b`"),
        ("targets: { a: { pid: 7 } }\nsteps: [ { duration: 5s, faults: [net.blackhole, net.loss: {percent: 1%}] } ]\n".into(), "several faults at once"),
        ("targets: { a: { pid: 7 } }\nsteps: [ { duration: 5s, faults: [net.delay: {latency: {from: 1s, to: 2s, over: 2s}}] } ]\n".into(), "a ramp (step `step 1`)"),
        (format!("targets: {{ a: {{ pid: 7 }} }}\n{}", step.replace("[ {", "[ { gate: { approve: true, timeout: 5s } }, {")), "a gate (step `gate`)"),
        (probe("tcp 127.0.0.1:80"), "a probe by tcp (`p`)"),
        (probe("process pid 7"), "a probe of processes (`p`)"),
        (probe("{ command: [/bin/a], number: '< 5' }"), "a number that a program prints (`p`)"),
        (probe("{ http: 'http://127.0.0.1:80/', json: '$.a < 5' }"), "an http probe that looks at several things"),
        (probe("{ http: 'http://127.0.0.1:80/' }").replace("probes: { p:", "controls: [q]\nprobes: { q: tcp 127.0.0.1:80, p:"), "controls that are about bystanders"),
    ] {
        assert!(of(&text).contains(said), "{said}: {}", of(&text));
    }
}

/// One of theirs that was read is written again, and read as the same.
#[test]
fn one_of_theirs_comes_back() {
    let experiment = read(RENAMED_FILE).unwrap();
    let text = serde_json::to_string(&experiment.chaos_toolkit().unwrap()).unwrap();
    assert_eq!(read(&text).unwrap(), experiment, "{text}");
    let ours = experiment.document(&[]).yaml();
    assert_eq!(read(&ours).unwrap(), experiment, "{ours}");
}
