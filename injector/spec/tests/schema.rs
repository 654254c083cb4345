//! `injector schema` describes what is read: each file of the project fits it, and what has an unknown name, or lacks
//! what a fault needs, does not.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, path::Path};

use injector_spec::experiment::file::{parse, schema};
use jsonschema::Validator;
use serde_json::Value;

fn validator() -> Validator {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::draft202012::new(&schema).unwrap()
}

fn as_json(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn each_file_of_the_project_fits() {
    let validator = validator();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/experiments");
    let former = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/former");
    let mut count = 0;
    let game_days = folder.join("game-days");
    let agents = folder.join("agents");
    for entry in [folder, game_days, agents, former]
        .iter()
        .flat_map(|path| fs::read_dir(path).unwrap())
    {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let file = as_json(&fs::read_to_string(&path).unwrap());
        let wrong: Vec<String> = validator
            .iter_errors(&file)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
        count += 1;
    }
    assert!(count >= 30, "{count} files");
}

/// What stands behind `faults: [`, and whether it fits; the reader has the same opinion.
#[rustfmt::skip]
const FAULTS: &[(&str, bool)] = &[
    ("net.delay: { latency: 500ms, dest-port: [8080, 9000-9010], when: 3 }", true),
    ("net.delay: { latency: 500ms, dest-port: 443 }", true),
    ("net.delay: {}", false),
    ("net.delay", false),
    ("net.dealy: { latency: 1s }", false),
    ("net.delay: { latncy: 1s }", false),
    ("net.delay: { latency: 1s, dest-port: [] }", false),
    ("net.delay: { latency: [1s] }", false),
    ("net.delay: [latency]", false),
    ("net: { latency: 1s }", false),
    ("net.blackhole", true),
    ("net.blackhole: ", true),
    ("net.blackhole: { direction: both }", true),
    ("net.blackhole: { direction: up }", false),
    ("net.loss: { percent: 1% }", true),
    ("net.loss: { gemodel: '1%,2%' }", true),
    ("net.loss: {}", false),
    ("net.partition: {}", false),
    ("sys.error: {}", false),
    ("net.blackhole: {}, net.reset: {}", false),
];

#[test]
fn it_knows_faults_and_what_they_need() {
    let validator = validator();
    for (fault, fits) in FAULTS {
        let text =
            format!("targets: {{ a: {{ pid: 7 }} }}\nduration: 1m\nfaults:\n  - {{ {fault} }}\n");
        let text = text
            .replace("{ net.delay }", "net.delay")
            .replace("{ net.blackhole }", "net.blackhole");
        assert_eq!(validator.is_valid(&as_json(&text)), *fits, "{fault}");
        assert_eq!(parse(&text, "x.yaml", None).is_ok(), *fits, "{fault}");
    }
}

/// What stands in front of a fault, and whether it fits; the reader has the same opinion.
#[rustfmt::skip]
const HEADS: &[(&str, bool)] = &[
    ("", true),
    ("apiVersion: injector/v1", true),
    ("apiVersion: injector/v2", false),
    ("labels: { a: 1, b: c }", true),
    ("labels: [a]", false),
    ("lables: { a: b }", false),
    ("variables: { a: }", true),
    ("variables: { a: [1] }", false),
    ("variables: { a: 1 }\nprofiles: { ci: { set: { a: 2 } } }", true),
    ("profiles: { ci: { sett: {} } }", false),
    ("stages: { a: { ground: sandbox }, b: { after: a, approve: true } }", true),
    ("stages: { a: { grund: sandbox } }", false),
    ("stages: {}", false),
    ("stage: { name: a, asks: 0123456789abcdef }", true),
    ("stage: { name: a }", false),
    ("profiles: { ci: }", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]", true),
    ("probes: { p: { tcp: 'a:80', fails: 2 of 3 } }\nsteady-state: [p]", true),
    ("probes: { p: { tcp: 'a:80', status: 200 } }\nsteady-state: [p]", false),
    ("probes: { p: { http: 'https://a', ca: /ca.pem } }\nsteady-state: [p]", true),
    ("probes: { p: { tcp: 'a:80', ca: /ca.pem } }\nsteady-state: [p]", false),
    ("probes: { p: { prometheus: 'http://a', query: up } }\nsteady-state: [p]", false),
    ("probes: { p: { file: /log } }\nsteady-state: [p]", false),
    ("probes: { p: { file: /log, absent: x, present: y } }\nsteady-state: [p]", false),
    ("probes: { p: { journald: a, present: x, every: 1s } }\nsteady-state: [p]", true),
    ("probes: { p: { journald: a } }\nsteady-state: [p]", false),
    ("probes: { p: { process: { unit: a }, rss: < 1 GiB, alive: true } }\nsteady-state: [p]", true),
    ("probes: { p: { process: { unti: a } } }\nsteady-state: [p]", false),
    ("probes: { p: { command: /bin/x } }\nsteady-state: [p]", false),
    ("probes: { p: { } }\nsteady-state: [p]", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: []", false),
    ("objectives: { rta: 5s }", false),
    ("probes: { p: 'tcp a:80', q: 'tcp b:80' }\nsteady-state: [p]\ndetect: q\nobjectives: { detect: 30s }", true),
    ("probes: { p: 'tcp a:80', q: 'tcp b:80' }\nsteady-state: [p]\ndetect: [q]", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nledgers: { l: { acknowledged: { file: /a }, kept: { command: [/bin/b] } } }\nobjectives: { rpo: { ledger: l, age: 5s } }", true),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nledgers: { l: { acknowledged: { http: 'http://a/' }, kept: { file: /b }, within: 5s } }\nobjectives: { rpo: [ { ledger: l, lost: 3 } ] }", true),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nledgers: { l: { acknowledged: { file: /a, http: 'http://a/' }, kept: { file: /b } } }", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nledgers: { l: { acknowledged: { }, kept: { file: /b } } }", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nledgers: { l: { kept: { file: /b } } }", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nledgers: { }", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nledgers: { l: { acknowledged: { file: /a }, kept: { file: /b } } }\nobjectives: { rpo: { lost: 3 } }", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nledgers: { l: { acknowledged: { file: /a }, kept: { file: /b } } }\nobjectives: { rpo: [] }", false),
    ("operations: { o: { of: a, kind: connect, connect-to: 'a:80', good: { within: 2s } } }\nsteady-state: [o]", true),
    ("operations: { o: }\nsteady-state: [{ operations: o, ratio: '>= 99%' }]", true),
    ("operations: { o: { connect-to: ['a:80', 'b:80'] } }\nsteady-state: [{ operations: o }]", true),
    ("operations: { o: { connect-to: [] } }\nsteady-state: [o]", false),
    ("operations: { o: { off: a } }\nsteady-state: [o]", false),
    ("operations: { o: { kind: call } }\nsteady-state: [o]", false),
    ("operations: { o: { good: { witihn: 2s } } }\nsteady-state: [o]", false),
    ("operations: { o: }\nsteady-state: [{ ratio: '>= 99%' }]", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [{ probe: p, mode: on-fault }]", true),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [{ probe: p, mode: never }]", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [{ probe: p, ratio: 1% }]", false),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nobjectives: { success: 99%, latency: { p99: 1s } }", true),
    ("probes: { p: 'tcp a:80' }\nsteady-state: [p]\nobjectives: { latency: { p98: 1s } }", false),
    ("blast-radius: { processes: 5, share: 50%, hits: 1000 }", true),
    ("blast-radius: { process: 5 }", false),
    ("blast-radius: 5", false),
    ("halt: [ 'host.load > 8' ]", true),
    ("halt: []", false),
    ("on-target-exit: end", true),
    ("on-target-exit: never", false),
    ("variables: { x: end }\non-target-exit: '${x}'", true),
    ("probes: { p: { process: { unit: a }, alive: 'true' } }\nsteady-state: [p]", true),
    ("rollback: [ [/bin/x, a], { command: [/bin/y], within: 5s } ]", true),
    ("notify: [webhook, journald]", true),
    ("fail-on: []", false),
    ("fail-on: [storm]", false),
    ("fail-on: hung", false),
    ("escalate: [ { to: on-call, within: 5m } ]", true),
    ("escalate: []", false),
    ("escalate: [ { to: on-call } ]", false),
    ("escalate: [ on-call ]", false),
    ("notify: []", false),
    ("notify: [webhok]", false),
    ("notify: webhook", false),
    ("rollback: []", false),
    ("rollback: [ /bin/x ]", false),
    ("rollback: [ { command: /bin/x } ]", false),
    ("rollback: [ { within: 5s } ]", false),
    ("rollback: [ { command: [/bin/x], timeout: 5s } ]", false),
    ("steps: []", false),
    ("steps: [ { duration: 1s } ]", false),
];

#[test]
fn it_knows_every_key() {
    let validator = validator();
    for (head, fits) in HEADS {
        let text = format!(
            "{head}\ntargets: {{ a: {{ pid: 7 }} }}\nduration: 1m\nfaults: [net.blackhole]\n"
        );
        assert_eq!(validator.is_valid(&as_json(&text)), *fits, "{head}");
        assert_eq!(parse(&text, "x.yaml", None).is_ok(), *fits, "{head}");
    }
    for (target, fits) in [
        ("{ unit: a }", true),
        ("{ pid: [7, 8], tree: true }", true),
        ("{ pidd: 7 }", false),
        ("[]", false),
    ] {
        let text = format!("targets: {{ a: {target} }}\nduration: 1m\nfaults: [net.blackhole]\n");
        assert_eq!(validator.is_valid(&as_json(&text)), fits, "{target}");
    }
}

/// What stands in `steps: [`, and whether it fits; the reader has the same opinion.
#[rustfmt::skip]
const STEPS: &[(&str, bool)] = &[
    ("{ duration: 1s, faults: [net.blackhole] }", true),
    ("{ repeat: 3, pause: 1s, steps: [ { duration: 1s, faults: [net.blackhole] } ] }", true),
    ("{ repeat: 3, steps: [ { repeat: 2, steps: [ { duration: 1s, faults: [net.blackhole] } ] } ] }", true),
    ("{ repeat: 3, faults: [net.blackhole] }", false),
    ("{ repeat: 3, steps: [] }", false),
    ("{ repeat: 3, duration: 1s, steps: [ { duration: 1s, faults: [net.blackhole] } ] }", false),
    ("{ pause: 1s }, { duration: 1s, faults: [net.blackhole] }", true),
    ("{ gate: { until: tcp a:80, timeout: 1m } }, { duration: 1s, faults: [net.blackhole] }", true),
    ("{ gate: { until: { tcp: 'a:80' }, timeout: 1m } }, { duration: 1s, faults: [net.blackhole] }", true),
    ("{ gate: { approve: true, timeout: 1m } }, { duration: 1s, faults: [net.blackhole] }", true),
    ("{ gate: { approve: true } }, { duration: 1s, faults: [net.blackhole] }", false),
    ("{ gate: { timeout: 1m } }, { duration: 1s, faults: [net.blackhole] }", false),
    ("{ gate: { until: tcp a:80, approve: true, timeout: 1m } }, { duration: 1s, faults: [net.blackhole] }", false),
    ("{ gate: { approve: true, timeout: 1m }, faults: [net.blackhole] }", false),
    ("{ name: go, run: { command: [/bin/true, a], timeout: 1m } }, { duration: 1s, faults: [net.blackhole] }", true),
    ("{ run: { command: [/bin/true] } }, { duration: 1s, faults: [net.blackhole] }", false),
    ("{ run: { timeout: 1m } }, { duration: 1s, faults: [net.blackhole] }", false),
    ("{ run: { command: /bin/true, timeout: 1m } }, { duration: 1s, faults: [net.blackhole] }", false),
    ("{ run: { command: [/bin/true], timeout: 1m }, faults: [net.blackhole] }", false),
    ("{ pause: 1s, duration: 1s, faults: [net.blackhole] }", false),
    ("{ duration: 9s, pulse: { on: 1s, off: 1s }, faults: [net.blackhole] }", true),
    ("{ duration: 9s, pulse: { on: 1s }, faults: [net.blackhole] }", false),
    ("{ duration: 9s, pulse: 1s, faults: [net.blackhole] }", false),
];

#[test]
fn it_knows_blocks_pauses_and_pulses() {
    let validator = validator();
    for (steps, fits) in STEPS {
        let text = format!("targets: {{ a: {{ pid: 7 }} }}\nsteps: [ {steps} ]\n");
        assert_eq!(validator.is_valid(&as_json(&text)), *fits, "{steps}");
        assert_eq!(parse(&text, "x.yaml", None).is_ok(), *fits, "{steps}");
    }
}

/// No key of the reader is without a description.
#[test]
fn no_key_is_left_out() {
    fn look(value: &Value, at: &str) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::Object(properties)) = fields.get("properties") {
                    for (key, property) in properties {
                        assert!(
                            property["description"].is_string(),
                            "{at}.{key}: {property}"
                        );
                    }
                }
                for (key, value) in fields {
                    look(value, &format!("{at}.{key}"));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, at)),
            _ => {}
        }
    }
    look(&schema(), "");
}
