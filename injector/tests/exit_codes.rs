//! What scripts rely on: exit codes, and where results and refusals are printed. Needs no root.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::{Command, Output};

use serde_json::Value;

/// Runs the binary with a journal directory and a socket that no other process has.
fn injector(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_injector"))
        .args(arguments)
        .env("INJECTOR_STATE_DIR", folder.path().join("runs"))
        .env("INJECTOR_SOCKET", folder.path().join("injector.sock"))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn done_is_0() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &[],
        &["net", "delay", "--help"],
        &["list"],
        &["status"],
        &["events"],
        &["stop", "--all"],
        &["audit"],
        &["resume"],
    ] {
        let output = injector(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

/// A file that comes by a pipe is an experiment like any other, and its mistakes have places.
#[test]
fn an_experiment_comes_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let given = |text: &str| {
        let file = folder.path().join("given");
        std::fs::write(&file, text).unwrap();
        Command::new(env!("CARGO_BIN_EXE_injector"))
            .args(["run", "-", "--dry-run"])
            .env("INJECTOR_STATE_DIR", folder.path().join("runs"))
            .env("INJECTOR_SOCKET", folder.path().join("injector.sock"))
            .stdin(std::fs::File::open(&file).unwrap())
            .output()
            .unwrap()
    };
    let pid = std::process::id();
    let good =
        format!("targets: {{ a: {{ pid: {pid} }} }}\nduration: 1s\nfaults: [proc.pause: {{}}]\n");
    let output = given(&good);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("proc.pause"), "{output:?}");
    let output = given(&good.replace("duration: 1s", "duration: soon"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains(":2:11:") && said.contains("soon"), "{said}");
}

#[test]
fn usage_and_setup_are_2() {
    for arguments in [
        &["stop"][..],
        &["net", "vanish"],
        &["net", "blackhole", "--duration", "1s"],
        &[
            "net",
            "loss",
            "--percent",
            "101%",
            "--pid",
            "7",
            "--duration",
            "1s",
        ],
        &["run", "no-such.yaml"],
        &["stop", "r000000000000"],
        &["stop", "no-such-run"],
        &["events", "r000000000000"],
        &["events", "--follow"],
    ] {
        let output = injector(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(said.starts_with("injector: ") && said.len() > 30, "{said}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn programs_read_refusals_too() {
    let output = injector(&["stop", "r000000000000", "--json"]);
    let refusal: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &refusal["exit"]),
        (Some(2), &2.into())
    );
    assert!(
        refusal["error"]
            .as_str()
            .unwrap()
            .contains("there is no run r000000000000")
    );
}

#[test]
fn programs_read_answers() {
    let empty: Value = serde_json::from_slice(&injector(&["list", "--json"]).stdout).unwrap();
    assert_eq!(empty, Value::Array(vec![]));
    let status: Value = serde_json::from_slice(&injector(&["status", "--json"]).stdout).unwrap();
    assert_eq!(status["daemon"], Value::Null);
}

/// An absent target is a fact about this machine, not about the experiment; `--strict` minds.
#[test]
fn a_dry_run_minds_an_absent_target_only_when_strict() {
    let dry_run = |more: &[&str]| {
        let ask = [
            "net",
            "blackhole",
            "--cgroup",
            "/no/such/cgroup",
            "--duration",
            "1s",
        ];
        injector(&[&ask, more].concat())
    };
    let output = dry_run(&["--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        text(&output.stdout).contains("a run would be refused now: "),
        "{output:?}"
    );
    assert_eq!(dry_run(&["--dry-run", "--strict"]).status.code(), Some(3));
    let output = dry_run(&["--dry-run", "--json"]);
    let rehearsed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rehearsed["refusal"]["error"].is_string() && rehearsed["plan"].is_string());
}
