//! What is said of a command line that cannot be meant.

use super::*;

#[test]
fn usage_errors_are_sentences_with_exit_code_2() {
    all_are_sentences(&[
        (
            "net blackhole --duration 1s",
            "names no target; add one of --pid",
        ),
        ("net blackhole --pid 7", "--duration"),
        ("net blackhole --pid 7 --duration 0s", "between 1ms and 1d"),
        ("net blackhole --pid 7 --duration 25h", "longer than a day"),
        (
            "net blackhole --pid 7 --cgroup x --duration 1s",
            "contradicts",
        ),
        (
            "net blackhole --cgroup x --tree --duration 1s",
            "contradicts",
        ),
        ("net blackhole --pid 7 --all --duration 1s", "contradicts"),
        (
            "net blackhole --pid 0 --duration 1s",
            "`0` is not a process id",
        ),
        (
            "net blackhole --process ( --duration 1s",
            "and not closed (character 1)",
        ),
        ("net blackhole --pid 7 --duration 1s --strict", "--dry-run"),
        ("net delay --pid 7 --duration 1s", "--latency"),
        (
            "net delay --latency 0s --pid 7 --duration 1s",
            "latency and jitter are zero",
        ),
        (
            "net delay --latency 1s --correlation 5% --pid 7 --duration 1s",
            "--jitter",
        ),
        ("net loss --pid 7 --duration 1s", "--percent"),
        (
            "net loss --percent 101% --pid 7 --duration 1s",
            "at most 100%",
        ),
        (
            "net loss --percent=-1% --pid 7 --duration 1s",
            "is not a percentage",
        ),
        (
            "net loss --percent 5% --gemodel 1%,2% --pid 7 --duration 1s",
            "contradicts",
        ),
        (
            "net reorder --percent 5% --gap 0 --pid 7 --duration 1s",
            "`0` is not a whole number from 1",
        ),
        (
            "net partition --peer 10.0.0.0/99 --pid 7 --duration 1s",
            "has 32 bits at most",
        ),
        (
            "net connect --errno ECONREFUSED --pid 7 --duration 1s",
            "did you mean ECONNREFUSED?",
        ),
        (
            "net connect --errno EIO --direction both --pid 7 --duration 1s",
            "has no flag --direction",
        ),
        (
            "dns error --type timeout --hostname [ --pid 7 --duration 1s",
            "is not a pattern for host names",
        ),
        ("net vanish", "vanish"),
        ("run no-such.yaml", "no-such.yaml cannot be read"),
        ("stop", "`injector stop` needs RUN or --all"),
        ("stop --all r65f0c2a19b3e", "contradicts"),
        ("stop no-such-run", "`no-such-run` is not the name of a run"),
    ]);
}

#[test]
fn what_cannot_be_picked_is_a_sentence_too() {
    let line = |target: &str| format!("net blackhole {target} --duration 1s");
    let lines = [
        ("--cgroup x --pick 2", "contradicts"),
        ("--unit x --pick 2", "contradicts"),
        ("--container abc --pick 2", "contradicts"),
        ("--process x --all --pick 0", "`0` is none"),
        ("--process x --pick 2", "add `all: true`"),
        ("--pid 7,8 --pick 3", "picks 3 of 2 processes"),
        ("--pid 7,8 --pick-seed 3", "--pick"),
    ]
    .map(|(target, part)| (line(target), part));
    let lines: Vec<_> = lines
        .iter()
        .map(|(line, part)| (line.as_str(), *part))
        .collect();
    all_are_sentences(&lines);
}

fn all_are_sentences(lines: &[(&str, &str)]) {
    for (line, part) in lines {
        let refusal = parsed(line).expect_err(line);
        assert_eq!(refusal.exit, Exit::Usage, "{line}");
        assert!(
            refusal.message.contains(part),
            "{line}\n{}",
            refusal.message
        );
        assert!(!refusal.message.starts_with("error"), "{}", refusal.message);
    }
}

/// Words of clap and of the standard library that people would meet, were it not for [`usage`].
const OF_LIBRARIES: [&str; 13] = [
    "invalid digit",
    "invalid value",
    "unexpected argument",
    "tip:",
    "Usage:",
    "for more information",
    "cannot be used with",
    "cannot be used multiple",
    "were not provided",
    "a value is required",
    "possible values",
    "unrecognized subcommand",
    "os error",
];

/// Command lines, and a part of what is said about each.
const MISTAKES: &[(&str, &str)] = &[
    (
        "net blackhole --pid abc --duration 1s",
        "--pid: `abc` is not a process id; write a number from 1 to 4194304",
    ),
    (
        "net blackhole --pid 7 --duration -1s",
        "--duration: `-1s` is below zero",
    ),
    (
        "net blackhole --pid 7 --duration=-1s",
        "`-1s` is below zero",
    ),
    (
        "net blackhole --pid 7 --duration 5",
        "write `5s` for seconds",
    ),
    (
        "net blackhole --cgroup T/cgroup.procs --duration 1s",
        "is a file of the cgroup `T`; name the cgroup: `T`",
    ),
    (
        "net blackhole --container my_name --duration 1s",
        "`my_name` is not the id of a container",
    ),
    (
        "net blackhole --pid 7 --duration 1s --duration 2s",
        "--duration is given twice",
    ),
    (
        "net blackhole --pid 7 --duration",
        "--duration has no value",
    ),
    (
        "net blackhole --pid 7 --duration 1s --latncy 1s",
        "`injector net blackhole` has no flag --latncy",
    ),
    (
        "net delay --pid 7 --duration 1s --latncy 1s",
        "did you mean `--latency`?",
    ),
    (
        "net corrupt --percent 1% --mode paylod --pid 7 --duration 1s",
        "did you mean `payload`?",
    ),
    (
        "net corrupt --percent 1% --mode x --pid 7 --duration 1s",
        "write one of: payload, wire",
    ),
    (
        "net dealy",
        "`dealy` is no command of `injector net`; did you mean `injector net delay`?",
    ),
    ("net", "`injector net` alone does nothing"),
    (
        "list extra",
        "`extra` is a word too many for `injector list`",
    ),
    (
        "net loss --pid 7 --duration 1s",
        "`injector net loss` needs --percent or --gemodel; add it",
    ),
    (
        "net duplicate --pid 7 --duration 1s",
        "`injector net duplicate` needs --percent; add it",
    ),
    (
        "sys error --errno EIO --pid 7 --duration 1s",
        "needs --syscall or --syscall-class",
    ),
    (
        "net delay --pid 7",
        "needs --latency and --duration; add them",
    ),
    (
        "net connect --errno 1000 --pid 7 --duration 1s",
        "the number 1000 is not that of an errno",
    ),
    (
        "net connect --errno refused --pid 7 --duration 1s",
        "did you mean ECONNREFUSED?",
    ),
    (
        "net blackhole --dest-ip localhost --pid 7 --duration 1s",
        "--dest-ip: `localhost` is a host name",
    ),
    (
        "net delay --latency 1h --pid 7 --duration 1s --dry-run",
        "10m is the most",
    ),
    (
        "net reset --protocol udp --pid 7 --duration 1s --dry-run",
        "acts on TCP connections",
    ),
    (
        "net blackhole --max-hits 0 --pid 7 --duration 1s",
        "--max-hits: `0` is not a whole number of 1 or more",
    ),
    (
        "proc starve --memory-high 64 --cgroup x --duration 1s",
        "`64m` for mebibytes",
    ),
    (
        "sys error --syscall connect --path /x --dest-port 1 --errno EIO --pid 7 --duration 1s",
        "about IPv4 and IPv6 sockets",
    ),
    (
        "sys error --syscall openat --dest-port 1 --errno EIO --pid 7 --duration 1s --dry-run",
        "no one mechanism reaches openat",
    ),
    ("audit --since 5", "write `5s`"),
];

#[test]
fn mistakes_are_told_in_words_of_our_own() {
    for (line, part) in MISTAKES {
        let refusal = parsed(line).expect_err(line);
        assert_eq!(refusal.exit, Exit::Usage, "{line}");
        let message = &refusal.message;
        assert!(message.contains(part), "{line}\n{message}");
        for words in OF_LIBRARIES {
            assert!(!message.contains(words), "{line}\n{message}");
        }
        assert!(!message.contains('\n') && message.len() < 300, "{message}");
    }
}

#[test]
fn a_word_that_is_not_utf8_is_a_usage_error() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    for flag in ["--process", "--cgroup", "--hostname"] {
        let words = ["injector", "net", "blackhole", "--duration", "1s", flag];
        let mut words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        words.push(OsString::from_vec(b"caf\xe9".to_vec()));
        let refusal = parse(words).unwrap_err();
        assert_eq!(refusal.exit, Exit::Usage);
        assert!(
            refusal.message.contains("is not UTF-8"),
            "{}",
            refusal.message
        );
    }
}

#[test]
fn a_command_is_found_by_a_part_of_its_name() {
    for (line, like) in [
        ("delay", "`injector net delay`"),
        ("net band", "`injector net bandwidth`"),
        ("network delay", "`injector net`"),
        ("audits", "`injector audit`"),
    ] {
        let refusal = parsed(line).expect_err(line);
        assert!(
            refusal.message.contains(like),
            "{line}\n{}",
            refusal.message
        );
    }
    assert!(
        !parsed("xq")
            .expect_err("xq")
            .message
            .contains("did you mean")
    );
}
