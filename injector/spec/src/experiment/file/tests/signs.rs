//! What is declared of targets: read, written as a document, and refused by name.

use super::*;
use crate::experiment::{Flaw, Success};

/// What stands above the steps, around a fault on requests.
fn read(declared: &str) -> Result<Experiment, FileError> {
    let text = format!(
        "targets: {{ a: {{pid: 7}} }}\n{declared}\nduration: 5s\nfaults: [ {{ llm.error: {{ status: 503, dest-port: 11434 }} }} ]\n"
    );
    parse(&text, "signs.yaml", None)
}

const BOTH: &str = "handoff: { file: /var/log/alerts, lines: 'a|b' }\n\
    success: { claim: { connect-to: '127.0.0.1:1' }, effects: [ { file: /out }, { connect-to: ['127.0.0.1:2', 'a.b:3'] } ] }\n\
    fail-on: [silent, false-success, gave-up]";

#[test]
fn signs_are_read_and_written_as_they_were() {
    let experiment = read(BOTH).unwrap();
    let signs: Vec<String> = experiment.signs().map(ToString::to_string).collect();
    assert_eq!(
        signs,
        [
            r#"file "/var/log/alerts" lines "a|b""#,
            "connect-to 127.0.0.1:1",
            r#"file "/out""#,
            "connect-to 127.0.0.1:2 a.b:3",
        ]
    );
    assert_eq!(
        experiment.fail_on,
        [Flaw::Silent, Flaw::FalseSuccess, Flaw::GaveUp]
    );
    let document = experiment.document(&[]).yaml();
    let again = parse(&document, "signs.yaml", None).unwrap();
    assert_eq!(again.declared, experiment.declared, "{document}");
    let json = serde_json::to_string(&experiment).unwrap();
    assert_eq!(
        serde_json::from_str::<Experiment>(&json).unwrap(),
        experiment
    );
    let plain = read("").unwrap();
    assert_eq!(plain.declared, None);
    assert_ne!(plain.fingerprint(), experiment.fingerprint());
    let one = read("success: { claim: { file: /log }, effects: { file: /out } }").unwrap();
    assert!(matches!(one.success(), Some(Success { effects, .. }) if effects.len() == 1));
}

#[test]
fn what_could_never_be_said_is_refused() {
    for (declared, part) in [
        ("handoff: {}", "a sign is `file`"),
        ("handoff: { lines: a }", "a sign is `file`"),
        ("handoff: { file: alerts }", "is no path"),
        (
            "handoff: { file: /a, connect-to: 'a:1' }",
            "a sign is `file`",
        ),
        ("handoff: { exec: /bin/true }", "a sign has no field `exec`"),
        ("success: { claim: { file: /a } }", "needs 1 to 16 effects"),
        (
            "success: { claim: { file: /a }, effects: [] }",
            "needs 1 to 16 effects",
        ),
        ("success: { effects: [ { file: /a } ] }", "no `claim`"),
        (
            "handoff: { connect-to: ['a:1', 'b:11434'] }",
            "`exclude-port`",
        ),
        ("fail-on: [silent]", "no `handoff`"),
        ("fail-on: [false-success]", "no `success`"),
        ("fail-on: [accepted-truncation]", "`llm.cut`"),
        ("fail-on: [duplicate-effect]", "or by a ledger"),
    ] {
        let error = read(declared).unwrap_err();
        assert!(error.sentence.contains(part), "{declared}: {error}");
    }
    let text = "targets: { a: {pid: 7} }\nhandoff: { file: /a }\nduration: 5s\nfaults: [ net.blackhole ]\n";
    let error = parse(text, "signs.yaml", None).unwrap_err();
    assert!(
        error.sentence.contains("`handoff` is about tasks"),
        "{error}"
    );
}
