use super::*;
use crate::experiment::{
    Experiment,
    file::{self, Reading},
};

/// One of everything that a file can say.
const FILE: &str = r#"apiVersion: injector/v1
name: "uneven ${latency} $${x}"
hypothesis: "Tasks finish: \"all\" of them, \u007f or \u0085."
owner: the team
labels: { team: payments }
variables: { latency: 5ms, other: "a$${b" }
profiles: { ci: { set: { latency: 7ms } } }
blast-radius: { processes: 5, share: 50%, hits: 1000 }
targets:
  agent: { pid: [7, 9], tree: true }
  "on": { process: "python .*agent", all: true }
  third: { cgroup: /sys/fs/cgroup/agent }
probes:
  health: "http http://127.0.0.1:80/health every 100ms within 100ms fails 2 of 3"
  neighbour: "tcp 127.0.0.1:81 every 100ms within 100ms"
  alarm: "tcp 127.0.0.1:82 every 100ms within 100ms"
  store: "tcp 127.0.0.1:83 every 1s within 1s"
operations:
  calls: { of: third, connect-to: ["127.0.0.1:80", "db.example.com:5432"], good: { within: 2s } }
  dials: { of: agent, kind: connect }
steady-state: [health, { probe: store, mode: on-fault }, { operations: calls, ratio: ">= 99.5%" }]
controls: [neighbour, dials]
detect: alarm
ledgers:
  orders: { acknowledged: { file: /var/lib/a }, kept: { command: [/bin/a, "b c"] }, within: 5s }
  mails: { acknowledged: { http: "http://127.0.0.1/a" }, kept: { file: "/var/lib/b d" } }
objectives: { rto: 5s, detect: 30s, success: 99.5%, latency: { p99: 750ms }, rpo: { ledger: orders, lost: 1, age: 5s } }
baseline: 10s
recovery: 20s
steps:
  - name: rising
    duration: 20s
    faults:
      - net.delay: { target: agent, latency: { from: "${latency}", to: 1s, over: 10s, shape: exponential }, jitter: 1ms }
      - net.partition: { target: "on", peer: ["10.0.0.0/8", "db.example.com"] }
  - { name: wait, gate: { until: health, timeout: 30s } }
  - { name: ask, gate: { approve: true, timeout: 1m } }
  - { name: restart, run: { command: [/bin/true, "a ${latency}"], timeout: 10s } }
  - name: calls
    duration: 5s
    faults:
      - sys.error: { target: third, syscall: [openat], errno: ENOENT, percent: "5%", seed: 7 }
      - dns.error: { target: third, type: nxdomain, hostname: ["*.example.com"] }
halt: ["host.load > 64", "target.restarts >= 3"]
rollback: [{ command: [/bin/true, "a b"], within: 10s }]
on-target-exit: end
"#;

fn experiment() -> Experiment {
    reading().text(FILE).unwrap()
}

fn reading() -> Reading<'static> {
    Reading {
        name: "experiment",
        profile: Some("ci"),
        ..Reading::default()
    }
}

#[test]
fn an_experiment_is_the_same_by_either_form_of_its_document() {
    let document = experiment().document(&[]);
    assert_eq!(reading().document(&document).unwrap(), experiment());
    let yaml = document.yaml();
    assert_eq!(reading().text(&yaml).unwrap(), experiment(), "{yaml}");
    let json = serde_json::to_string(&document).unwrap();
    let back: Document = serde_json::from_str(&json).unwrap();
    assert_eq!(back, document);
}

/// Each file of the repository, as what it is read as.
#[test]
fn every_experiment_of_the_repository_survives_its_document() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/experiments");
    let mut read = 0;
    let game_days = format!("{folder}/game-days");
    let agents = format!("{folder}/agents");
    for entry in [folder, &game_days, &agents]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
    {
        let path = entry.unwrap().path();
        if path.extension() != Some("yaml".as_ref()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let selector = crate::experiment::Selector::Cgroup("/a".into());
        let Ok(experiment) =
            file::parse(&text, "x", None).or_else(|_| file::parse(&text, "x", Some(selector)))
        else {
            continue;
        };
        let document = experiment.document(&[]);
        let plain = Reading {
            name: "x",
            ..Reading::default()
        };
        assert_eq!(
            plain.clone().document(&document).unwrap(),
            experiment,
            "{path:?}"
        );
        let yaml = document.yaml();
        assert_eq!(plain.text(&yaml).unwrap(), experiment, "{path:?}: {yaml}");
        read += 1;
    }
    assert!(read > 10, "{read} files");
}

#[test]
fn yaml_is_as_people_write_it() {
    let yaml = experiment().document(&[]).yaml();
    for line in [
        "apiVersion: injector/v1",
        "labels: { team: payments }",
        "variables: { latency: 7ms, other: \"a$${b\" }",
        "  agent: { pid: [7, 9], tree: true }",
        "  \"on\": { process: \"python .*agent\", all: true }",
        "  - name: rising",
        "    duration: 20s",
        "      - net.partition:",
        "          target: \"on\"",
        "          peer: [10.0.0.0/8, db.example.com]",
        "  - { name: ask, gate: { approve: true, timeout: 1m } }",
        "  - name: wait",
        "    gate:",
        "      timeout: 30s",
        "on-target-exit: end",
    ] {
        assert!(yaml.lines().any(|one| one == line), "{line}\nin\n{yaml}");
    }
}

#[test]
fn a_mistake_is_told_by_the_path_of_its_value() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut json = serde_json::to_value(experiment().document(&[])).unwrap();
        change(&mut json);
        let said = reading().document(&Document::from(json)).unwrap_err();
        assert!(!said.sentence.is_empty());
        said.place
    };
    let fault = |json: &mut Value, key: &str, value: Value| {
        json["steps"][1]["faults"][0]["net.delay"][key] = value;
    };
    let quiet = experiment().steps[0].faults.is_empty();
    assert!(quiet, "the first step is the baseline");
    for (place, change) in [
        (
            "experiment.name",
            Box::new(|json: &mut Value| json["name"] = serde_json::json!(["x"]))
                as Box<dyn Fn(&mut Value)>,
        ),
        (
            "experiment.steps[1].faults[0].net.delay.jitter",
            Box::new(move |json| fault(json, "jitter", "5".into())),
        ),
        (
            "experiment.steps[1].faults[0].net.delay.lag",
            Box::new(move |json| fault(json, "lag", 1.into())),
        ),
        (
            "experiment.halt[1]",
            Box::new(|json| json["halt"][1] = "nonsense".into()),
        ),
        (
            "experiment.targets.agent.pid[0]",
            Box::new(|json| json["targets"]["agent"]["pid"][0] = "x".into()),
        ),
    ] {
        let said = with(&change);
        assert!(
            said == place || place.starts_with(&said) && said != "experiment",
            "{place}: {said}"
        );
    }
}

#[test]
fn a_field_that_is_there_twice_is_refused() {
    let json = r#"{"targets": {"a": {"pid": 7}}, "duration": "5s", "duration": "6s", "faults": ["net.blackhole"]}"#;
    let document: Document = serde_json::from_str(json).unwrap();
    let said = Reading {
        name: "experiment",
        ..Reading::default()
    }
    .document(&document)
    .unwrap_err();
    assert!(said.sentence.contains("second time"), "{said}");
}
