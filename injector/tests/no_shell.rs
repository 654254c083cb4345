//! No shell is ever called: what a person wrote would be read by another parser, with another idea of
//! where a word ends.
//!
//! The product starts two kinds of programs, itself and those that a configuration names, each with a list
//! of arguments. So its sources may not name a shell at all, not even in a comment. What is only for
//! developers (`xtask`, the tests) is left out.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Shells, and the functions of C that start one.
const SHELLS: [&str; 13] = [
    "\"sh\"",
    "\"bash\"",
    "\"dash\"",
    "\"zsh\"",
    "\"env\"",
    "bin/sh",
    "bin/bash",
    "bin/env",
    "\"-c\"",
    "libc::system(",
    "libc::popen(",
    "wordexp(",
    "\"eval\"",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn shells_in(source: &str) -> Vec<&'static str> {
    SHELLS
        .into_iter()
        .filter(|shell| source.contains(shell))
        .collect()
}

#[test]
fn the_product_names_no_shell() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for package in ["injector-common", "injector-ebpf"] {
        sources(&root.join(package).join("src"), &mut found);
    }
    for layer in fs::read_dir(root.join("injector")).unwrap() {
        let path = layer.unwrap().path();
        let path = if path.ends_with("src") {
            path
        } else {
            path.join("src")
        };
        if path.is_dir() {
            sources(&path, &mut found);
        }
    }
    assert!(found.len() > 100, "the sources were not found");
    for path in found {
        let shells = shells_in(&fs::read_to_string(&path).unwrap());
        assert!(shells.is_empty(), "{} names {shells:?}", path.display());
    }
}

#[test]
fn a_shell_would_be_found() {
    let source = r#"Command::new("sh").arg("-c").arg(hook)"#;
    assert_eq!(shells_in(source), ["\"sh\"", "\"-c\""]);
}
