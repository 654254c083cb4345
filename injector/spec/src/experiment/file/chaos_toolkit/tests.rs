//! Documents of Chaos Toolkit become experiments, or are refused in their place; experiments become documents.

mod round;

use super::*;
use crate::{
    condition::Probe,
    experiment::{
        Experiment, Gate, Selector,
        file::{FileError, Reading},
        head::Assignment,
    },
};

const SLOW_MODEL: &str = include_str!("../../../../tests/chaos-toolkit/slow-model.json");
const RENAMED_FILE: &str = include_str!("../../../../tests/chaos-toolkit/renamed-file.yaml");

/// A process with a short environment.
const SURROUNDINGS: Surroundings = Surroundings {
    variable: |name| (name == "AGENT_SCOPE").then(|| "other.slice".to_owned()),
    program: |name| Some(format!("/usr/bin/{name}")),
    authorities: |_| Ok(()),
};

fn read(text: &str) -> Result<Experiment, FileError> {
    let reading = Reading {
        name: "ct.json",
        surroundings: SURROUNDINGS,
        ..Reading::default()
    };
    reading.text(text)
}

fn names(experiment: &Experiment) -> Vec<(&str, u64)> {
    let steps = experiment.steps.iter();
    steps
        .map(|step| (step.name.as_str(), step.duration.as_secs()))
        .collect()
}

#[test]
fn a_document_of_faults_is_an_experiment() {
    let experiment = read(SLOW_MODEL).unwrap();
    assert_eq!(experiment.name, "The agent lives with a slow model API");
    let hypothesis = experiment.hypothesis.as_deref().unwrap();
    assert!(hypothesis.starts_with("Tasks are finished"), "{hypothesis}");
    let labels: Vec<_> = experiment
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        labels,
        [
            ("agent", "true"),
            ("model-api", "true"),
            ("team", "payments")
        ]
    );
    assert_eq!(
        names(&experiment),
        [
            ("baseline", 30),
            ("slow down the model", 30),
            ("pause", 5),
            ("lose some of its packets", 10),
            ("recovery", 65),
            ("restart it", 20),
        ]
    );
    // Both faults are for one target, by the environment.
    assert_eq!(experiment.targets.len(), 1);
    assert_eq!(
        experiment.targets[0].selector,
        Selector::Cgroup("other.slice".into())
    );
    let said: Vec<String> = experiment
        .describe()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        said[0].contains("latency 2s") && said[0].contains("dest-port 443,8443"),
        "{said:?}"
    );
    assert!(
        said[1].contains("net.loss") && said[1].contains("20%"),
        "{said:?}"
    );
    let probes: Vec<String> = experiment
        .steady_state
        .as_ref()
        .unwrap()
        .probes
        .iter()
        .map(|probe| format!("{}: {}", probe.name, probe.question))
        .collect();
    for (probe, said) in probes.iter().zip([
        "it answers: http http://127.0.0.1:8080/health status 200 fails 1 every 1s within 1s",
        "it is ready: http http://127.0.0.1:8080/state status 200 json \"$.state == \\\"ready\\\"\" fails 1 every 1s within 3s",
        "it says so: http http://127.0.0.1:8080/state status 200 body \"\\\\bready\\\\b\" fails 1 every 1s within 1s",
        "its process is there: command [\"/usr/bin/pgrep\", \"-f\", \"agent\", \"-c\"] fails 1 every 1s within 1s",
        "its queue is short (least): command [\"/usr/local/bin/queue-length\"] number >= 0 fails 1 every 1s within 500ms",
        "its queue is short (most): command [\"/usr/local/bin/queue-length\"] number <= 10 fails 1 every 1s within 500ms",
    ]) {
        assert_eq!(probe, said);
    }
    assert_eq!(probes.len(), 6);
    // A rollback is run always there: after a breach by `rollback`, and at the end otherwise.
    assert_eq!(experiment.rollback.len(), 1);
    let words = ["/usr/bin/systemctl", "restart", "my-agent"].map(str::to_owned);
    assert_eq!(experiment.rollback[0].command, words);
    assert_eq!(experiment.steps[5].gate, Some(Gate::Run(words.to_vec())));
}

#[test]
fn a_document_of_commands_needs_no_target() {
    let experiment = read(RENAMED_FILE).unwrap();
    assert!(experiment.targets.is_empty() && experiment.is_of_commands());
    assert_eq!(
        names(&experiment),
        [
            ("baseline", 30),
            ("move the file away", 60),
            ("pause", 10),
            ("recovery", 65),
            ("move it back", 10)
        ]
    );
    let tried: Vec<bool> = (0..5).map(|step| experiment.tries(step)).collect();
    assert_eq!(tried, [false, true, false, false, false]);
    let probe = &experiment.steady_state.as_ref().unwrap().probes[0]
        .question
        .probe;
    let Probe::Command {
        words,
        number: None,
    } = probe
    else {
        panic!("{probe:?}")
    };
    assert_eq!(
        words,
        &[
            "/usr/bin/grep",
            "-q",
            "greeting=hello",
            "/run/service/answer"
        ]
    );
}

#[test]
fn a_value_is_set_over_the_environment_and_has_to_be_there() {
    let sets = [Assignment {
        name: "latency".into(),
        value: "3s".into(),
    }];
    let reading = Reading {
        name: "ct.json",
        sets: &sets,
        surroundings: SURROUNDINGS,
        ..Reading::default()
    };
    let experiment = reading.text(SLOW_MODEL).unwrap();
    let said = experiment.describe()[0].to_string();
    assert!(said.contains("latency 3s"), "{said}");
    let needed = SLOW_MODEL.replace(
        r#""key": "MODEL_LATENCY", "default": "2s""#,
        r#""key": "MODEL_LATENCY""#,
    );
    let error = read(&needed).unwrap_err();
    assert!(error.sentence.contains("--set latency=..."), "{error}");
    // What the reader knows nothing of is no value of its own.
    let reading = Reading {
        name: "ct.json",
        ..Reading::default()
    };
    let experiment = reading.text(SLOW_MODEL).unwrap();
    assert_eq!(
        experiment.targets[0].selector,
        Selector::Cgroup("agent.slice/agent.scope".into())
    );
}

/// A document with one action and one probe; `{0}`..`{3}` are replaced.
const WHOLE: &str = r#"{ "title": "t", "description": "d",
"tags": [],
"steady-state-hypothesis": { "title": "s", "probes": [
{ "type": "probe", "name": "p", "tolerance": 200, "provider": { "type": "http", "url": "http://127.0.0.1:80/" } }
] },
"method": [
{ "type": "action", "name": "a", "provider": { "type": "process", "path": "injector", "arguments": "net blackhole --pid 7 --duration 5s" } }
],
"rollbacks": []
}
"#;

/// What is replaced, by what, where the complaint is, and a part of it.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, u64, &str)] = &[
    ("\"tags\": []", "\"controls\": [{\"name\": \"x\"}]", 2, "`controls` run code"),
    ("\"tags\": []", "\"secrets\": {\"a\": {\"type\": \"env\", \"key\": \"A\"}}", 2, "`secrets` come from a store"),
    ("\"tags\": []", "\"dry\": true", 2, "no field `dry`"),
    ("\"tags\": []", "\"configuration\": {\"a\": {\"type\": \"vault\", \"key\": \"A\"}}", 2, "comes from `vault`"),
    ("\"tags\": []", "\"configuration\": {\"a\": {\"type\": \"probe\"}}", 2, "comes from `probe`"),
    ("\"tags\": []", "\"configuration\": {\"a\": [1]}", 2, "is a list"),
    ("\"tags\": []", "\"runtime\": {\"hypothesis\": {\"strategy\": \"skip\"}}", 2, "not as by `skip`"),
    ("\"tags\": []", "\"runtime\": {\"rollbacks\": {\"strategy\": \"never\"}}", 2, "not as by `never`"),
    ("\"tags\": []", "\"runtime\": {\"rollbacks\": {\"strategy\": \"always\"}}", 2, "not as by `always`"),
    ("\"tags\": []", "\"runtime\": {\"rollbacks\": {\"strategy\": \"deviated\"}}", 2, "not as by `deviated`"),
    ("\"tags\": []", "\"runtime\": {\"hypothesis\": {\"strategy\": \"continuously\", \"fail_fast\": true}}", 2, "as `fail_fast` has it"),
    ("\"tags\": []", "\"extensions\": [{\"name\": \"injector\", \"rpo\": 1}]", 2, "no field `rpo`"),
    ("\"tags\": []", "\"extensions\": [{\"name\": \"injector\", \"probes\": {\"q\": {\"every\": \"1s\"}}}]", 2, "no field `q`"),
    ("\"tags\": []", "\"extensions\": [{\"name\": \"injector\", \"probes\": {\"p\": {\"often\": \"1s\"}}}]", 2, "no field `often`"),
    ("\"tolerance\": 200, ", "", 4, "needs `tolerance`"),
    ("\"tolerance\": 200", "\"tolerance\": true", 4, "never what an http or process provider gives"),
    ("\"tolerance\": 200", "\"tolerance\": \"200\"", 4, "never what an http or process provider gives"),
    ("\"tolerance\": 200", "\"tolerance\": [200, 201]", 4, "not one of several"),
    ("\"tolerance\": 200", "\"tolerance\": {\"type\": \"probe\"}", 4, "type `probe` cannot be used"),
    ("\"tolerance\": 200", "\"tolerance\": {\"type\": \"range\", \"range\": [200, 299], \"target\": \"status\"}", 4, "not one of several"),
    ("\"tolerance\": 200", "\"tolerance\": {\"type\": \"jsonpath\", \"path\": \"$.a\"}", 4, "write `target: body`"),
    ("\"tolerance\": 200", "\"tolerance\": {\"type\": \"jsonpath\", \"path\": \"$.a\", \"count\": 2, \"target\": \"body\"}", 4, "not counted here"),
    ("\"tolerance\": 200", "\"tolerance\": {\"type\": \"jsonpath\", \"path\": \"$.[\", \"target\": \"body\"}", 4, "cannot be read as a JSON path"),
    ("\"tolerance\": 200", "\"tolerance\": {\"type\": \"regex\", \"pattern\": \"(\", \"target\": \"body\"}", 4, "regular expression"),
    ("\"url\": \"http:", "\"headers\": {\"A\": \"b\"}, \"url\": \"http:", 4, "without `headers`"),
    ("\"url\": \"http:", "\"method\": \"POST\", \"url\": \"http:", 4, "by GET alone"),
    ("\"url\": \"http:", "\"verify_tls\": false, \"url\": \"https:", 4, "`verify_tls` cannot be off"),
    ("\"type\": \"http\", \"url\": \"http://127.0.0.1:80/\"", "\"type\": \"python\", \"module\": \"os\", \"func\": \"getcwd\"", 4, "runs no Python"),
    ("{ \"type\": \"probe\"", "{ \"type\": \"action\"", 4, "no part of a steady state"),
    ("\"type\": \"action\",", "\"type\": \"action\", \"background\": true,", 7, "in the `background`"),
    ("\"type\": \"action\",", "\"type\": \"action\", \"controls\": [1],", 7, "around this activity"),
    ("{ \"type\": \"action\"", "{ \"ref\": \"q\" }, { \"type\": \"action\"", 7, "no activity is called `q`"),
    ("{ \"type\": \"action\"", "{ \"type\": \"probe\"", 7, "without `tolerance`"),
    ("net blackhole --pid 7 --duration 5s", "net dely --pid 7 --duration 5s", 7, "did you mean `net.delay`"),
    ("net blackhole --pid 7 --duration 5s", "halt", 7, "says a fault"),
    ("--pid 7 --duration 5s", "--pid 7", 7, "needs `--duration`"),
    ("--pid 7 --duration 5s", "--duration 5s", 7, "needs a target"),
    ("--pid 7 --duration 5s", "--pid 7 --duration", 7, "has no value"),
    ("--pid 7 --duration 5s", "--pid x --duration 5s", 7, "`pid`:"),
    ("--pid 7 --duration 5s", "--pid 7 --duration 5s --latency 1s", 7, "no flag of net.blackhole"),
    ("--pid 7 --duration 5s", "--pid 7 --duration 5s --target x", 7, "no flag of net.blackhole"),
    ("--pid 7 --duration 5s", "--pid 7 --duration 5s | tee x", 7, "read by a shell there"),
    ("--pid 7 --duration 5s", "--pid 7 --duration $LENGTH", 7, "read by a shell there"),
    ("--pid 7 --duration 5s", "--pid 7 --duration {5s,6s}", 7, "read by a shell there"),
    ("\"path\": \"injector\"", "\"timeout\": 9, \"path\": \"injector\"", 7, "leave `timeout` out"),
    ("\"path\": \"injector\"", "\"path\": \"./bin/x\"", 7, "write its whole path"),
    ("\"rollbacks\": []", "\"rollbacks\": [{\"ref\": \"a\"}]", 9, "written out"),
    ("\"rollbacks\": []", "\"rollbacks\": [{\"type\": \"action\", \"name\": \"b\", \"provider\": {\"type\": \"process\", \"path\": \"injector\"}}]", 9, "other than injector"),
    ("\"rollbacks\": []", "\"rollbacks\": [{\"type\": \"action\", \"name\": \"b\", \"pauses\": {\"after\": 1}, \"provider\": {\"type\": \"process\", \"path\": \"mv\"}}]", 9, "without `pauses`"),
    ("\"rollbacks\": []", "\"rollbacks\": [{\"type\": \"action\", \"name\": \"b\", \"provider\": {\"type\": \"process\", \"path\": \"mv\", \"timeout\": 90}}]", 9, "between 1ms and 1m"),
];

#[test]
fn what_would_mean_something_else_is_refused_in_its_place() {
    let experiment = read(WHOLE).unwrap();
    assert_eq!(
        names(&experiment),
        [("baseline", 30), ("a", 5), ("recovery", 65)]
    );
    for (part, by, line, said) in REFUSED {
        assert!(WHOLE.contains(part), "{part}");
        let error = read(&WHOLE.replacen(part, by, 1)).unwrap_err();
        assert!(error.sentence.contains(said), "{by}: {error}");
        assert_eq!(error.line, *line, "{by}: {error}");
    }
    let error = read(r#"{ "title": "t", "method": [] }"#).unwrap_err();
    assert!(
        error.sentence.contains("`method` has no activity"),
        "{error}"
    );
}

#[test]
fn what_is_about_the_same_document_is_read() {
    for (part, by) in [
        (
            "\"tags\": []",
            "\"controls\": [], \"secrets\": {}, \"contributions\": {\"a\": \"high\"}, \"version\": \"1.0.0\"",
        ),
        (
            "\"tags\": []",
            "\"runtime\": {\"hypothesis\": {\"strategy\": \"continuously\"}, \"rollbacks\": {\"strategy\": \"default\"}}",
        ),
        (
            "\"tolerance\": 200",
            "\"tolerance\": {\"type\": \"range\", \"range\": [200, 200], \"target\": \"status\"}",
        ),
        (
            "\"tolerance\": 200",
            "\"tolerance\": {\"type\": \"jsonpath\", \"path\": \"$.a\", \"expect\": \"1\", \"target\": \"body\"}",
        ),
        (
            "\"net blackhole --pid 7 --duration 5s\"",
            "[\"net\", \"blackhole\", \"--halt-if=host.load > 64\", \"--pid=7\", \"--duration=5s\", \"--json\"]",
        ),
    ] {
        read(&WHOLE.replacen(part, by, 1)).unwrap_or_else(|error| panic!("{by}: {error}"));
    }
    // A number in quotation marks is a text.
    for (expect, said) in [
        ("\"1\"", "== \\\"1\\\""),
        ("1", "== 1"),
        ("[true]", "== true"),
        ("null", "== null"),
        ("\"ja\"", "== \\\"ja\\\""),
    ] {
        let tolerance = format!(
            "\"tolerance\": {{\"type\": \"jsonpath\", \"path\": \"$.a\", \"expect\": {expect}, \"target\": \"body\"}}"
        );
        let experiment = read(&WHOLE.replacen("\"tolerance\": 200", &tolerance, 1)).unwrap();
        let question = experiment.steady_state.unwrap().probes[0]
            .question
            .to_string();
        assert!(question.contains(said), "{expect}: {question}");
    }
}

/// A probe of the method holds the run up until it is right.
#[test]
fn a_probe_of_the_method_is_a_gate() {
    let probe = r#""method": [ { "type": "probe", "name": "warm", "tolerance": 204, "provider": { "type": "http", "url": "http://127.0.0.1:80/warm" } }, "#;
    let experiment = read(&WHOLE.replacen("\"method\": [", probe, 1)).unwrap();
    let gate = experiment.steps[1].gate.as_ref().unwrap();
    assert!(
        matches!(gate, Gate::Until(question) if question.to_string().contains("status 204")),
        "{gate}"
    );
}

/// `${` means nothing where there is no configuration.
#[test]
fn two_characters_are_two_characters() {
    let text = WHOLE.replacen("\"title\": \"t\"", "\"title\": \"a ${b}\"", 1);
    assert_eq!(read(&text).unwrap().name, "a ${b}");
    let text = text.replacen("\"tags\": []", "\"configuration\": {\"b\": 1}", 1);
    assert_eq!(read(&text).unwrap().name, "a ${b}");
}

#[test]
fn a_file_of_ours_is_none_of_theirs() {
    let ours = "apiVersion: injector/v1\ntargets: {a: {pid: 7}}\nmethod: []\nduration: 1s\nfaults: [net.blackhole]\n";
    let error = read(ours).unwrap_err();
    assert!(error.sentence.contains("no field `method`"), "{error}");
}
