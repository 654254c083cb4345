//! Blocks, pauses and pulses become the plain steps that a person would have written.

use super::*;
use crate::experiment::Gate;

fn read(steps: &str) -> Result<Experiment, FileError> {
    let text = format!("targets: {{ a: {{pid: 7}} }}\nsteps:\n  - {steps}\n");
    parse(&text, "steps.yaml", None)
}

/// Names, times in seconds, and how many faults.
fn walk(experiment: &Experiment) -> Vec<(&str, u64, usize)> {
    let steps = experiment.steps.iter();
    steps
        .map(|step| {
            (
                step.name.as_str(),
                step.duration.as_secs(),
                step.faults.len(),
            )
        })
        .collect()
}

#[test]
fn a_block_is_written_out_round_by_round() {
    let block = "{ repeat: 2, pause: 9s, steps: [ { name: a, duration: 1s, faults: [net.blackhole] }, { duration: 2s } ] }\n  - pause: 7s";
    let experiment = read(block).unwrap();
    let expected = [
        ("a (1 of 2)", 1, 1),
        ("step 2 (1 of 2)", 2, 0),
        ("pause (1 of 1)", 9, 0),
        ("a (2 of 2)", 1, 1),
        ("step 2 (2 of 2)", 2, 0),
        ("pause", 7, 0),
    ];
    assert_eq!(walk(&experiment), expected);
    let nested = "{ repeat: 2, steps: [ { repeat: 2, steps: [ { name: a, duration: 1s, faults: [net.blackhole] } ] } ] }";
    let names: Vec<String> = read(nested)
        .unwrap()
        .steps
        .into_iter()
        .map(|step| step.name)
        .collect();
    assert_eq!(names[0], "a (1 of 2) (1 of 2)");
    assert_eq!(names[3], "a (2 of 2) (2 of 2)");
}

#[test]
fn a_pulse_fills_its_step_and_no_more() {
    let pulsed = |duration: &str| {
        let step = format!(
            "{{ name: p, duration: {duration}, pulse: {{ on: 5s, off: 10s }}, faults: [net.blackhole] }}"
        );
        read(&step)
    };
    let experiment = pulsed("20s").unwrap();
    let twice = [
        ("p (pulse 1 of 2)", 5, 1),
        ("p (rest 1 of 2)", 10, 0),
        ("p (pulse 2 of 2)", 5, 1),
    ];
    assert_eq!(walk(&experiment), twice);
    // One that does not fit whole is none.
    let experiment = pulsed("34s").unwrap();
    assert_eq!(walk(&experiment)[..3], twice);
    assert_eq!(walk(&experiment)[3..], [("p (rest 2 of 2)", 14, 0)]);
    let experiment = pulsed("1m 35s").unwrap();
    assert_eq!(experiment.duration().as_secs(), 95);
    assert_eq!(experiment.faults().count(), 7);
}

/// What stands behind the `-` of the only step, in line 3 from column 5 on.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("{ repeat: 0, steps: [ { duration: 1s } ] }", 3, 15, "0 times does nothing"),
    ("{ repeat: -1, steps: [ { duration: 1s } ] }", 3, 15, "`-1` does not say how often; write a whole number"),
    ("{ repeat: 1.5, steps: [ { duration: 1s } ] }", 3, 15, "write a whole number"),
    ("{ repeat: often, steps: [ { duration: 1s } ] }", 3, 15, "write a whole number"),
    ("{ repeat: 99999999999999999999, steps: [ { duration: 1s } ] }", 3, 15, "write a whole number"),
    ("{ repeat: 1001, steps: [ { duration: 1s } ] }", 3, 15, "1001 steps, and an experiment has at most 1000; repeat less"),
    ("{ repeat: 18446744073709551615, pause: 1s, steps: [ { duration: 1s } ] }", 3, 15, "at most 1000"),
    ("{ repeat: 33, steps: [ { duration: 1s, faults: [net.blackhole] } ] }", 3, 5, "target `a` has 33 faults up to here, and at most 32"),
    ("{ repeat: 3 }", 3, 5, "add `steps`"),
    ("{ steps: [ { duration: 1s } ] }", 3, 5, "add `repeat`"),
    ("{ repeat: 3, steps: [] }", 3, 25, "at least one step"),
    ("{ repeat: 3, duration: 5s }", 3, 18, "a block that is repeated has no field `duration`"),
    ("{ repeat: 3, pause: 0s, steps: [ { duration: 1s } ] }", 3, 25, "zero is no time"),
    ("{ repeat: 3, steps: [ { duraton: 1s } ] }", 3, 29, "did you mean `duration`?"),
    ("{ pause: 0s }", 3, 14, "zero is no time"),
    ("{ pause: 5s, faults: [] }", 3, 18, "a pause has no field `faults`"),
    ("{ duration: 30s, pulse: { on: 5s, off: 5s } }", 3, 29, "this one has none; add `faults`"),
    ("{ duration: 9s, pulse: { on: 5s, off: 5s }, faults: [net.blackhole] }", 3, 28, "does not come twice within 9s"),
    ("{ duration: 9s, pulse: { on: 5s }, faults: [net.blackhole] }", 3, 28, "add `off`"),
    ("{ duration: 9s, pulse: { on: 0s, off: 1s }, faults: [net.blackhole] }", 3, 34, "zero is no time"),
    ("{ duration: 9s, pulse: { on: 1s, of: 1s }, faults: [net.blackhole] }", 3, 38, "did you mean `off`?"),
    ("{ duration: 9s, pulse: 5s, faults: [net.blackhole] }", 3, 28, "`pulse` is a map of on, off"),
    ("{ duration: 24h, pulse: { on: 1ns, off: 1ns }, faults: [net.blackhole] }", 3, 29, "at most 1000"),
    ("{ duration: 9s, pulse: { on: 1s, off: 1s }, faults: [ net.delay: { latency: { from: 1s, to: 2s, over: 2s } } ] }", 3, 107, "its step is over after 1s"),
];

#[test]
fn what_cannot_be_written_out_is_refused_in_its_place() {
    for (steps, line, column, part) in ROWS {
        let error = read(steps).unwrap_err();
        assert!(error.sentence.contains(part), "{steps}: {error}");
        assert_eq!(
            (error.line, error.column),
            (*line, *column),
            "{steps}: {error}"
        );
    }
    let name = "n".repeat(125);
    let long = format!("{{ repeat: 3, steps: [ {{ name: {name}, duration: 1s }} ] }}");
    assert!(
        read(&long)
            .unwrap_err()
            .sentence
            .contains("give it a shorter one")
    );
}

/// What stands behind `gate: `, in line 3 from column 13 on.
#[rustfmt::skip]
const GATES: &[Row] = &[
    ("{ until: tcp 127.0.0.1:80 }", 3, 13, "without `timeout` could wait for ever; add one"),
    ("{ approve: true }", 3, 13, "without `timeout`"),
    ("{ timeout: 1m }", 3, 13, "waits for one of `until`"),
    ("{ until: tcp 127.0.0.1:80, approve: true, timeout: 1m }", 3, 13, "waits for one of `until`"),
    ("{ approve: false, timeout: 1m }", 3, 24, "`approve` is true"),
    ("{ approve: true, timeout: 0s }", 3, 39, "zero is no time"),
    ("{ approve: true, timeuot: 1m }", 3, 30, "did you mean `timeout`?"),
    ("{ until: wram, timeout: 1m }", 3, 22, "no probe is called `wram`; did you mean `warm`?"),
    ("{ until: host.load > 8, timeout: 1m }", 3, 22, "probe"),
    ("{ until: { tcp: 'a:0' }, timeout: 1m }", 3, 29, "port"),
    ("true", 3, 13, "a gate is a map of"),
];

#[test]
fn a_gate_waits_for_a_probe_or_a_person_and_not_for_ever() {
    let read = |gate: &str| {
        let text = format!(
            "targets: {{ a: {{pid: 7}} }}\nsteps:\n  - {{ gate: {gate} }}\n  - {{ duration: 1s, faults: [net.blackhole] }}\n\
             probes: {{ warm: 'tcp 127.0.0.1:80 every 100ms' }}\n"
        );
        parse(&text, "gate.yaml", None)
    };
    for (gate, opens) in [
        (
            "{ until: warm, timeout: 2m }",
            "tcp 127.0.0.1:80 every 100ms",
        ),
        ("{ until: http http://a/, timeout: 2m }", "http http://a/"),
        (
            "{ until: { tcp: 'a:80', every: 2s }, timeout: 2m }",
            "tcp a:80 every 2s",
        ),
    ] {
        let opens = Gate::Until(Box::new(opens.parse().unwrap()));
        match read(gate) {
            Ok(experiment) => assert_eq!(experiment.steps[0].gate, Some(opens), "{gate}"),
            // A probe that no gate asks either is used nowhere.
            Err(error) => {
                assert!(!gate.contains("warm"), "{error}");
                assert!(error.sentence.contains("`warm` is used nowhere"), "{error}");
                let alone = format!(
                    "targets: {{ a: {{pid: 7}} }}\nsteps: [ {{ gate: {gate} }}, {{ duration: 1s, faults: [net.blackhole] }} ]\n"
                );
                let experiment = parse(&alone, "gate.yaml", None).unwrap();
                assert_eq!(experiment.steps[0].gate, Some(opens), "{gate}");
            }
        }
    }
    let experiment = read("{ until: warm, timeout: 2m }").unwrap();
    assert_eq!(
        (&experiment.steady_state, experiment.duration().as_secs()),
        (&None, 121)
    );
    assert_eq!(experiment.baseline(), Duration::ZERO);
    let json = serde_json::to_string(&experiment).unwrap();
    assert_eq!(
        serde_json::from_str::<Experiment>(&json).unwrap(),
        experiment
    );
    for (gate, line, column, part) in GATES {
        let error = read(gate).unwrap_err();
        assert!(error.sentence.contains(part), "{gate}: {error}");
        assert_eq!(
            (error.line, error.column),
            (*line, *column),
            "{gate}: {error}"
        );
    }
}

/// What stands behind `run: `, in line 3 from column 12 on.
#[rustfmt::skip]
const COMMANDS: &[Row] = &[
    ("{ command: [/bin/true] }", 3, 12, "without `timeout` could run for ever; add one"),
    ("{ timeout: 5s }", 3, 12, "`run` needs `command`"),
    ("{ command: [true], timeout: 5s }", 3, 23, "with its whole path"),
    ("{ command: [], timeout: 5s }", 3, 23, "with its whole path"),
    ("{ command: /bin/true, timeout: 5s }", 3, 23, "a list of the program"),
    ("{ command: [/bin/true], timeout: 0s }", 3, 45, "zero"),
    ("{ command: [/bin/true], within: 5s }", 3, 36, "no field `within`"),
    ("/bin/true", 3, 12, "`run` is a map of command, timeout"),
];

#[test]
fn a_command_is_a_step_of_its_own_with_an_end() {
    let read = |run: &str| {
        let text = format!(
            "targets: {{ a: {{pid: 7}} }}\nsteps:\n  - {{ run: {run} }}\n  - {{ duration: 1s, faults: [net.blackhole] }}\n"
        );
        parse(&text, "run.yaml", None)
    };
    let experiment = read("{ command: [/bin/echo, 'a b', 7], timeout: 5s }").unwrap();
    let step = &experiment.steps[0];
    let words = ["/bin/echo", "a b", "7"].map(str::to_owned);
    assert_eq!(step.gate, Some(Gate::Run(words.to_vec())));
    assert_eq!((step.name.as_str(), step.duration.as_secs()), ("run", 5));
    assert!(experiment.baseline().is_zero(), "a command is no baseline");
    let value = serde_json::to_value(&experiment).unwrap();
    assert_eq!(
        serde_json::from_value::<Experiment>(value).unwrap(),
        experiment
    );
    for (run, line, column, part) in COMMANDS {
        let error = read(run).unwrap_err();
        assert!(error.sentence.contains(part), "{run}: {error}");
        assert_eq!(
            (error.line, error.column),
            (*line, *column),
            "{run}: {error}"
        );
    }
    let long = format!(
        "{{ command: [/bin/echo, {}], timeout: 5s }}",
        "x".repeat(4096)
    );
    assert!(read(&long).unwrap_err().sentence.contains("4096"));
    // What comes in by another door is held to the same.
    let mut experiment = experiment;
    experiment.steps[0].gate = Some(Gate::Run(vec!["true".into()]));
    assert!(experiment.check().is_err());
}

/// The rest of a pulse is no recovery that a person meant: a judged run still gets its own.
#[test]
fn a_rest_is_no_recovery() {
    let steps = "  - { name: p, duration: 30s, pulse: { on: 5s, off: 5s }, faults: [net.blackhole] }\n  - { repeat: 2, \
                 steps: [ { duration: 1s, faults: [net.blackhole] }, { duration: 2s } ] }\n";
    let text = format!(
        "targets: {{ a: {{pid: 7}} }}\nprobes: {{ p: tcp 127.0.0.1:80 every 100ms within 100ms }}\nsteady-state: [p]\n\
         objectives: {{ rto: 5s }}\nsteps:\n{steps}"
    );
    let experiment = parse(&text, "x.yaml", None).unwrap();
    let names = walk(&experiment);
    assert_eq!(
        (names[0].0, names[names.len() - 1].0),
        ("baseline", "recovery")
    );
    let quiet = text.replace("pulse: { on: 5s, off: 5s }, faults: [net.blackhole]", "");
    let experiment = parse(&quiet.replace("30s,  }", "30s }"), "x.yaml", None).unwrap();
    assert_eq!(experiment.steps[0].name, "p");
}
