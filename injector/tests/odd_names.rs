//! Names with control characters reach the terminal escaped, whichever person or process chose them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    process::Command,
};

/// Clears the screen, sets the title, forges a line, turns text around.
const EVIL: &str = "x\u{1b}[2J\u{1b}]0;pwned\u{7}\r\nrun r000000000000 ended\u{9b}1m\u{202e}y";

/// Everything that the command prints, on both ways out.
fn shown(arguments: &[&OsStr]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_injector"))
        .args(arguments)
        .env("INJECTOR_STATE_DIR", folder.path().join("runs"))
        .env("INJECTOR_SOCKET", folder.path().join("injector.sock"))
        .output()
        .unwrap();
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8(both).unwrap()
}

fn is_harmless(text: &str) -> bool {
    let is_odd = |character: char| {
        character.is_control() && character != '\n'
            || ('\u{202a}'..='\u{202e}').contains(&character)
    };
    !text.chars().any(is_odd)
}

#[test]
fn refusals_show_names_escaped() {
    let mut path = OsString::from(EVIL);
    path.push(OsStr::from_bytes(b"\xff\xfe"));
    for (flag, value) in [
        ("--cgroup", path.as_os_str()),
        ("--unit", EVIL.as_ref()),
        ("--container", EVIL.as_ref()),
        ("--process", EVIL.as_ref()),
    ] {
        for more in ["--dry-run", "--json"] {
            let said = shown(&[
                "net".as_ref(),
                "blackhole".as_ref(),
                flag.as_ref(),
                value,
                "--duration".as_ref(),
                "1s".as_ref(),
                more.as_ref(),
            ]);
            assert!(
                !said.is_empty() && is_harmless(&said),
                "{flag} {more}: {said:?}"
            );
        }
    }
}

#[test]
fn an_experiment_shows_its_names_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evil.yaml");
    let name = serde_json::to_string(EVIL).unwrap();
    let text = format!(
        "name: {name}\nhypothesis: {name}\ntargets: {{ a: {{ pid: 2147483647 }} }}\nduration: 1s\nfaults: [net.blackhole]\n"
    );
    std::fs::write(&file, text).unwrap();
    for more in ["--dry-run", "--json"] {
        let said = shown(&["run".as_ref(), file.as_ref(), more.as_ref()]);
        assert!(!said.is_empty() && is_harmless(&said), "{more}: {said:?}");
    }
}

#[test]
fn a_forged_line_is_seen_as_one_name() {
    let said = shown(&[
        "net".as_ref(),
        "blackhole".as_ref(),
        "--unit".as_ref(),
        EVIL.as_ref(),
        "--duration".as_ref(),
        "1s".as_ref(),
    ]);
    assert!(
        !said.lines().any(|line| line.starts_with("run r0")),
        "{said:?}"
    );
}
