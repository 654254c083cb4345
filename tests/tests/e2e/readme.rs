//! The commands of the README exist: each is tried as far as it goes without doing harm.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::Injector;

use crate::needs::{INJECTOR, Need};
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let readme: Need = || {
        let absent = readme().is_err();
        absent.then(|| "there is no README.md yet".to_owned())
    };
    vec![
        Case::new("readme::its_commands_are_understood", INJECTOR, commands).also_needs(readme),
        Case::new("readme::doctor_says_what_is_there", INJECTOR, doctor),
    ]
}

fn readme() -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Every `injector ...` line of a code block: its subcommand knows every flag that is written there.
fn commands() -> Result<()> {
    let injector = Injector::new()?;
    let text = readme()?;
    let mut in_block = false;
    let mut tried = 0;
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let line = line
            .trim()
            .trim_start_matches("$ ")
            .trim_start_matches("sudo ");
        let Some(arguments) = line.strip_prefix("injector ").filter(|_line| in_block) else {
            continue;
        };
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let is_name = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let depth = if matches!(
            words.first(),
            Some(&("net" | "dns" | "proc" | "sys" | "io" | "pipe"))
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
        tried += 1;
    }
    ensure!(tried >= 3, "only {tried} commands found in the README");
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
