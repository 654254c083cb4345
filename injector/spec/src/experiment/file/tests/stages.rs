//! Which stage a file is read as, what that unlocks, and complaints with their place.

use super::*;
use crate::experiment::{Ground, Stage};

const FILE: &str = "\
variables: { cgroup: nowhere, latency: 10ms }
profiles: { ci: { set: { latency: 20ms } } }
stages:
  sandbox: { set: { cgroup: sandbox.slice }, ground: sandbox }
  canary: { set: { cgroup: canary.slice, latency: 30ms }, after: sandbox }
  production: { set: { cgroup: agent.slice }, after: canary, approve: true }
targets: { agent: { cgroup: '${cgroup}' } }
duration: 5s
faults: [ net.delay: { latency: '${latency}' } ]
";

fn read(
    text: &str,
    name: Option<&str>,
    approved_by: Option<&str>,
) -> Result<Experiment, FileError> {
    let reading = Reading {
        name: "stages.yaml",
        stage: name.map(|name| StageChoice { name, approved_by }),
        ..Reading::default()
    };
    reading.text(text)
}

fn stage(text: &str, name: &str) -> Stage {
    let experiment = read(text, Some(name), Some("Ada Ames")).unwrap();
    *experiment.stage.unwrap()
}

#[test]
fn each_stage_has_its_values_and_knows_what_comes_first() {
    let sandbox = read(FILE, Some("sandbox"), None).unwrap();
    let own = sandbox.stage.clone().unwrap();
    assert_eq!((own.after.clone(), own.ground), (None, Ground::Sandbox));
    assert_eq!(own.approved_by, None);
    assert_eq!(
        read(FILE, None, None).as_ref(),
        Ok(&sandbox),
        "the first where none is named"
    );
    assert!(format!("{:?}", sandbox.targets).contains("sandbox.slice"));
    let canary = read(FILE, Some("canary"), None).unwrap();
    assert!(format!("{:?}", canary.steps).contains("30ms"));
    let earlier = canary.stage.clone().unwrap().after.unwrap();
    assert_eq!(
        (earlier.stage.as_str(), earlier.asks),
        ("sandbox", own.asks)
    );
    let production = stage(FILE, "production");
    assert_eq!(production.after.unwrap().asks, canary.stage.unwrap().asks);
    assert_eq!(production.approved_by.as_deref(), Some("Ada Ames"));
}

#[test]
fn what_a_stage_asks_is_its_content() {
    let asks = |text: &str| stage(text, "canary").after.unwrap().asks;
    let plain = asks(FILE);
    for same in [
        format!("# a comment\n{FILE}"),
        FILE.replace("set: { cgroup: canary.slice", "set: { cgroup: other.slice"),
        format!("hypothesis: it holds\n{FILE}"),
    ] {
        assert_eq!(asks(&same), plain, "{same}");
    }
    for other in [
        FILE.replace("duration: 5s", "duration: 6s"),
        FILE.replace("sandbox.slice", "other.slice"),
        FILE.replace("latency: 10ms", "latency: 11ms"),
        format!("name: another\n{FILE}"),
        format!("halt: [host.load > 8]\n{FILE}"),
        format!("rollback: [{{ command: [/bin/true], within: 10s }}]\n{FILE}"),
    ] {
        assert_ne!(asks(&other), plain, "{other}");
    }
    // Two stages that do the same are two.
    let alike = FILE.replace("canary.slice, latency: 30ms", "sandbox.slice");
    assert_ne!(stage(&alike, "canary").asks, stage(&alike, "sandbox").asks);
}

#[test]
fn a_document_has_the_stage_that_was_chosen() {
    for name in ["sandbox", "production"] {
        let experiment = read(FILE, Some(name), Some("Ada Ames")).unwrap();
        let reading = Reading {
            name: "experiment",
            ..Reading::default()
        };
        let again = reading.document(&experiment.document(&[])).unwrap();
        assert_eq!(again.stage, experiment.stage);
    }
}

/// What is changed in the file, and where the complaint stands.
#[rustfmt::skip]
const ROWS: &[Row2] = &[
    ("", "", Some("prod"), 1, 1, "no stage is called `prod`; did you mean `production`?"),
    ("", "", Some("production"), 6, 3, "add `--approved-by NAME`"),
    ("after: sandbox", "after: production", Some("canary"), 5, 66, "no stage in front of this one is called `production`"),
    ("after: sandbox", "after: canary", Some("sandbox"), 5, 66, "no stage in front of this one"),
    ("ground: sandbox", "ground: sandpit", Some("sandbox"), 4, 54, "`ground` is `anywhere` or `sandbox`"),
    ("approve: true", "approve: yes", Some("sandbox"), 6, 71, "`approve` is `true`"),
    ("approve: true", "aprove: true", Some("sandbox"), 6, 62, "did you mean `approve`?"),
    ("set: { cgroup: sandbox.slice }", "set: { cgrup: x }", Some("sandbox"), 4, 21, "no variable is called `cgrup`"),
    ("stages:\n", "stage: {}\nstages:\n", Some("sandbox"), 4, 1, "cannot stand beside"),
];

type Row2 = (
    &'static str,
    &'static str,
    Option<&'static str>,
    u64,
    u64,
    &'static str,
);

#[test]
fn what_is_no_stage_is_refused_in_its_place() {
    for (from, to, name, line, column, part) in ROWS {
        let text = FILE.replacen(from, to, 1);
        let error = read(&text, *name, None).unwrap_err();
        assert!(error.sentence.contains(part), "{to}: {error}");
        assert_eq!(
            (error.line, error.column),
            (*line, *column),
            "{to}: {error}"
        );
    }
    let plain = "targets: { a: { pid: 7 } }\nduration: 5s\nfaults: [net.blackhole]\n";
    let error = read(plain, Some("sandbox"), None).unwrap_err();
    assert!(error.sentence.contains("the file has none"), "{error}");
    for stage in [
        "{}",
        "{ name: x }",
        "{ name: x, asks: 12 }",
        "{ name: x, asks: 0123456789abcdef, after: y }",
    ] {
        let error = read(&format!("{plain}stage: {stage}\n"), None, None).unwrap_err();
        assert_eq!(error.line, 4, "{stage}: {error}");
    }
}
