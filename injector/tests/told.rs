//! What a command tells reaches the one who asked, or its exit code says that it did not; and what it
//! tells programs, they can read. Needs no root.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs::OpenOptions,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// Commands that do what they are asked, whatever host they run on, and tell it on standard output.
const DONE: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["list"],
    &["status"],
    &["doctor"],
    &["stop", "--all"],
    &["audit"],
    &["resume"],
    &[
        "net",
        "blackhole",
        "--cgroup",
        "/no/such/cgroup",
        "--duration",
        "1s",
        "--dry-run",
    ],
];

/// Commands that are refused, each for another kind of reason.
const REFUSED: &[&[&str]] = &[
    &[],
    &["net", "vanish"],
    &["net", "blackhole", "--pid", "7"],
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
    &[
        "net",
        "blackhole",
        "--pid",
        "7",
        "--duration",
        "1s",
        "--no-such-flag",
    ],
    &["net", "blackhole", "--duration", "1s"],
    &["net", "blackhole", "--cgroup", "/", "--duration", "1s"],
    &["run", "no-such.yaml"],
    &["list", "--config"],
    &["stop", "r000000000000"],
    &["stop"],
    &["events", "no-such-run"],
    &["events", "--follow"],
    &["audit", "r000000000000"],
    &["daemon"],
];

/// The binary with a journal directory and a socket that no other process has.
fn injector(words: &[&str], more: &[&str], stdout: Stdio) -> Output {
    run(
        Command::new(env!("CARGO_BIN_EXE_injector"))
            .args(words)
            .args(more),
        stdout,
    )
}

fn run(command: &mut Command, stdout: Stdio) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let child = command
        .env("INJECTOR_STATE_DIR", folder.path().join("runs"))
        .env("INJECTOR_SOCKET", folder.path().join("injector.sock"))
        .env("INJECTOR_CONFIG", "")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn();
    child.unwrap().wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Each line is an object.
fn assert_objects(stderr: &[u8], of: &[&str]) {
    for line in text(stderr).lines() {
        let read: Value = serde_json::from_str(line).unwrap_or_default();
        assert!(read.is_object(), "{of:?}: {line}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    for words in DONE {
        for more in [&[][..], &["--json"]] {
            if *words == ["--version"] && !more.is_empty() {
                continue;
            }
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            let output = injector(words, more, full.into());
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{words:?} {more:?}: {said}");
            assert!(
                said.contains("did not reach standard output"),
                "{words:?} {more:?}: {said}"
            );
            assert!(said.contains("No space left"), "{words:?} {more:?}: {said}");
            if !more.is_empty() {
                assert_objects(&output.stderr, words);
            }
        }
    }
}

#[test]
fn a_closed_output_is_a_failure_and_dev_null_is_none() {
    let redirected = |words: &[&str], how: &str| {
        let script = format!("exec \"$0\" \"$@\" {how}");
        let binary = env!("CARGO_BIN_EXE_injector");
        let mut command = Command::new("sh");
        run(
            command.args(["-c", &script, binary]).args(words),
            Stdio::null(),
        )
    };
    for words in DONE {
        let output = redirected(words, ">&-");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(
            said.contains("did not reach standard output"),
            "{words:?}: {said}"
        );
        for null in [">/dev/null", "1<>/dev/null"] {
            let output = redirected(words, null);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{words:?} {null}: {output:?}"
            );
            assert!(output.stderr.is_empty(), "{words:?} {null}: {output:?}");
        }
    }
    // A refusal keeps its own code.
    assert_eq!(
        redirected(&["stop", "--json"], ">/dev/full").status.code(),
        Some(2)
    );
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    for words in DONE {
        let (ours, theirs) = std::io::pipe().unwrap();
        drop(ours);
        let output = injector(words, &[], theirs.into());
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
    }
}

#[test]
fn programs_read_one_document_and_objects() {
    for words in DONE {
        let output = injector(words, &["--json"], Stdio::piped());
        let document = serde_json::from_slice::<Value>(&output.stdout);
        assert!(document.is_ok(), "{words:?}: {output:?}");
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
        assert_objects(&output.stderr, words);
    }
    for words in REFUSED {
        let output = injector(words, &["--json"], Stdio::piped());
        let refusal: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let code = output.status.code();
        assert_eq!(
            refusal["exit"].as_i64(),
            code.map(i64::from),
            "{words:?}: {output:?}"
        );
        assert!(refusal["error"].is_string(), "{words:?}: {output:?}");
        assert!(matches!(code, Some(2 | 3)), "{words:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{words:?}: {output:?}");
        assert_objects(&output.stderr, words);
    }
}

/// What is no journal, with the name of one, and what is no file, with the name of one.
#[test]
fn nothing_waits_for_what_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    std::fs::create_dir(&runs).unwrap();
    let fifo = runs.join("r000000000001.jsonl");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", runs.join("r000000000002.jsonl")).unwrap();
    std::fs::create_dir(runs.join("r000000000003.jsonl")).unwrap();
    std::fs::write(runs.join("r000000000004.jsonl"), "garbage\n").unwrap();
    let path = fifo.to_str().unwrap();
    let ask = |words: &[&str], config: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_injector"))
            .args(words)
            .env("INJECTOR_STATE_DIR", &runs)
            .env("INJECTOR_SOCKET", folder.path().join("injector.sock"))
            .env("INJECTOR_CONFIG", config)
            .output()
            .unwrap();
        let said = text(&output.stderr).to_owned();
        (output.status.code(), text(&output.stdout).to_owned(), said)
    };
    for words in [&["list"][..], &["audit"], &["status"], &["events"]] {
        for more in [&[][..], &["--json"]] {
            let words = [words, more].concat();
            let (code, told, said) = ask(&words, "");
            assert_eq!(code, Some(1), "{words:?}: {told}{said}");
            for name in ["1.jsonl", "2.jsonl", "3.jsonl"] {
                assert!(said.contains(name), "{words:?}: {said}");
            }
        }
    }
    let (_, told, _) = ask(&["list"], "");
    assert!(
        told.contains("  unknown  ") && !told.contains("1970"),
        "{told}"
    );
    assert!(told.contains("1 damaged line in"), "{told}");
    let blackhole = [
        "net",
        "blackhole",
        "--pid",
        "7",
        "--duration",
        "1s",
        "--dry-run",
    ];
    for (words, config) in [
        (&["run", path][..], ""),
        (&blackhole, path),
        (&blackhole, "/dev/zero"),
    ] {
        let (code, told, said) = ask(words, config);
        let both = format!("{told}{said}");
        assert!(
            both.contains("only regular files are read"),
            "{words:?}: {both}"
        );
        // A dry run tells what a run would be refused for.
        assert!(matches!(code, Some(0 | 2)), "{words:?}: {both}");
    }
}
