//! Two examples for each fault, under its `--help`, and what its values look like.

use std::{ffi::OsString, fmt::Write as _};

use clap::Command;

mod table;

pub(super) use table::EXAMPLES;

/// What is behind a flag's `<NAME>`.
const VALUES: [(&str, &str); 7] = [
    ("<TIME>", "500ms, 2s, 1m"),
    ("<PERCENT>", "5%, 0.1%"),
    ("<RATE>", "1mbit, 64kbit"),
    ("<SIZE>", "64kb, 10mb"),
    ("<PORTS>", "443, 8000-8100"),
    ("<ADDRESS>", "192.0.2.7, 10.0.0.0/8"),
    ("<ERRNO>", "ECONNREFUSED, EIO"),
];

/// A help, and where it is that of a fault, what the values in it look like and the fault's examples. They are not
/// clap's to print: it would break them to the terminal without a hanging indent.
pub(super) fn added_to(mut help: String, words: &[OsString]) -> String {
    let of_fault = words.windows(2).find_map(|pair| {
        EXAMPLES
            .into_iter()
            .find(|(family, fault, _)| pair[0] == *family && pair[1] == *fault)
    });
    let Some((family, fault, lines)) = of_fault else {
        return help;
    };
    let values: Vec<_> = VALUES
        .into_iter()
        .filter(|(name, _)| help.contains(name))
        .collect();
    help.push_str("\nValues:\n");
    for (name, looks) in values {
        let _ = writeln!(help, "  {name:<10} {looks}");
    }
    help.push('\n');
    help.push_str(&shown(family, fault, lines));
    help
}

/// The whole command line with the examples of each fault behind it, for manuals.
pub(super) fn in_manual(root: Command) -> Command {
    EXAMPLES
        .into_iter()
        .fold(root, |root, (family, fault, lines)| {
            root.mut_subcommand(family, |commands| {
                commands.mut_subcommand(fault, |command| {
                    command.after_help(shown(family, fault, lines))
                })
            })
        })
}

fn shown(family: &str, fault: &str, lines: [&str; 2]) -> String {
    let mut shown = String::from("Examples:\n");
    for line in lines {
        let _ = writeln!(shown, "  injector {family} {fault} {line}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::*;
    use crate::cli::{Action, Cli, parse};

    /// As a shell splits it: what stands between quotes is one word.
    fn split(line: &str) -> Vec<&str> {
        let parts = line.split('\'').enumerate();
        let words = parts.flat_map(|(place, part)| match place % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        });
        words.collect()
    }

    #[test]
    fn every_example_is_understood() {
        let mut refused = Vec::new();
        for (family, fault, lines) in EXAMPLES {
            for line in lines {
                let words = [vec!["injector", family, fault], split(line)].concat();
                match parse(words.into_iter().map(Into::into)) {
                    Ok(Action::Arm(_)) => {}
                    other => refused.push(format!("{family} {fault} {line}: {other:?}")),
                }
            }
        }
        assert!(refused.is_empty(), "{}", refused.join("\n"));
    }

    #[test]
    fn every_fault_has_examples() {
        let root = Cli::command();
        for family in [
            "net", "dns", "llm", "tool", "proc", "plugin", "sys", "io", "pipe",
        ] {
            let faults = root.find_subcommand(family).unwrap().get_subcommands();
            for fault in faults.map(Command::get_name).filter(|name| *name != "help") {
                let found = EXAMPLES
                    .iter()
                    .any(|(f, name, _)| *f == family && *name == fault);
                assert!(found, "{family} {fault}");
            }
        }
    }
}
