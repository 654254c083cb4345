//! The commands of the README and of the book exist, and their experiments are understood: each is tried as far as it
//! goes without doing harm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use injector_tests::injector::Injector;
use injector_tests::place::Place;
use injector_tests::victim::Victim;

use crate::needs::{INJECTOR, Need};
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let documents: Need = || documents().err().map(|error| format!("{error:#}"));
    vec![
        Case::new("readme::its_commands_are_understood", INJECTOR, commands).also_needs(documents),
        Case::new(
            "readme::its_experiments_are_understood",
            INJECTOR,
            experiments,
        )
        .also_needs(documents),
        Case::new("readme::doctor_says_what_is_there", INJECTOR, doctor),
    ]
}

/// The README and every page of the book, with its path.
fn documents() -> Result<Vec<(PathBuf, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths = vec![root.join("README.md")];
    for folder in ["docs/src", "docs/src/faults", "docs/src/internals"] {
        let folder = root.join(folder);
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("cannot read the folder {}", folder.display()))?;
        for entry in entries {
            paths.push(entry?.path());
        }
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Ok((path, text))
        })
        .collect()
}

/// The blocks of code in this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = text.split(fence.as_str()).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// Every `$ injector ...` line of a block of commands: its subcommand knows every flag that is written there.
fn commands() -> Result<()> {
    let injector = Injector::new()?;
    let mut tried = 0;
    for (path, text) in documents()? {
        for line in blocks(&text, "console").iter().flat_map(|it| it.lines()) {
            let line = line.trim_start_matches("$ ").trim_start_matches("sudo ");
            if let Some(arguments) = line.strip_prefix("injector ") {
                is_understood(&injector, arguments)
                    .with_context(|| format!("in {}", path.display()))?;
                tried += 1;
            }
        }
    }
    ensure!(tried >= 50, "only {tried} commands found");
    Ok(())
}

fn is_understood(injector: &Injector, arguments: &str) -> Result<()> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let is_name = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let depth = if matches!(
        words.first(),
        Some(&("net" | "dns" | "llm" | "tool" | "proc" | "plugin" | "sys" | "io" | "pipe"))
    ) {
        2
    } else {
        1
    };
    let mut ask: Vec<&str> = words
        .iter()
        .take(depth)
        .take_while(is_name)
        .copied()
        .collect();
    ask.push("--help");
    let help = injector.once(&ask)?;
    ensure!(help.code == Some(0), "`injector {arguments}`: {help:?}");
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        let flag = flag.split('=').next().unwrap_or_default();
        ensure!(
            help.stdout.contains(flag),
            "`injector {arguments}`: no {flag} in its help"
        );
    }
    Ok(())
}

/// Every experiment that a document shows, in a dry run on a process that is there.
fn experiments() -> Result<()> {
    let injector = Injector::new()?;
    let resident = Victim::start(Place::default(), &["sleep"])?;
    let pid = resident.pid().to_string();
    let file = injector.state().join("experiment.yaml");
    let name = file.to_string_lossy();
    let mut tried = 0;
    for (path, text) in documents()? {
        for block in blocks(&text, "yaml") {
            fs::write(&file, &block)?;
            let mut said = injector.once(&["run", &name, "--dry-run", "--pid", &pid])?;
            if said.stderr.contains("of them; leave one") {
                // One process cannot stand for several targets, which a block of its own names then.
                said = injector.once(&["run", &name, "--dry-run"])?;
            }
            ensure!(
                said.code == Some(0),
                "an experiment in {}: {said:?}\n{block}",
                path.display()
            );
            tried += 1;
        }
    }
    ensure!(tried >= 3, "only {tried} experiments found");
    Ok(())
}

fn doctor() -> Result<()> {
    let injector = Injector::new()?;
    let said = injector.once(&["doctor", "--json"])?;
    ensure!(said.code == Some(0), "{said:?}");
    let _valid: serde_json::Value = serde_json::from_str(&said.stdout)?;
    let words = injector.once(&["doctor"])?;
    ensure!(
        words.code == Some(0) && words.stdout.lines().count() >= 3,
        "{words:?}"
    );
    Ok(())
}
