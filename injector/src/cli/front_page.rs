//! What `injector` and `injector --help` show first: the commands by what they are for, and an example of each
//! group.
//!
//! clap lists commands in one table. The text is made here from clap's own names and sentences, so that a command
//! has one sentence; a test finds a command that no group has.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};

use super::Cli;

/// Commands that are for one thing.
struct Group {
    title: &'static str,
    commands: &'static [&'static str],
    /// Those that have no row of their own.
    also: &'static [&'static str],
    example: &'static str,
}

const GROUPS: [Group; 4] = [
    Group {
        title: "Put a process through one fault",
        commands: &[
            "net", "dns", "llm", "tool", "proc", "plugin", "sys", "io", "pipe",
        ],
        also: &[],
        example: "injector net delay --latency 500ms --dest-port 443 --pid 4711 --duration 30s",
    },
    Group {
        title: "Run experiments, here or for other programs",
        commands: &["run"],
        also: &[
            "acknowledge",
            "approve",
            "ca",
            "convert",
            "daemon",
            "schema",
            "search",
            "suite",
        ],
        example: "injector run experiment.yaml --dry-run",
    },
    Group {
        title: "Look",
        commands: &["doctor", "demo", "observe", "report"],
        also: &[
            "audit",
            "compare",
            "events",
            "lessons",
            "list",
            "postmortem",
            "status",
            "watch",
        ],
        example: "injector report last --format html --output report.html",
    },
    Group {
        title: "End and clean up",
        commands: &["stop", "halt"],
        also: &["resume", "sweep"],
        example: "injector halt --reason \"the wrong process\"",
    },
];

/// What the exit codes mean.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, halted or deviated, 2 usage or set-up, 3 refused, 4 inconclusive";

/// The whole page.
pub(super) fn text() -> String {
    let mut root = Cli::command();
    root.build();
    let about = root.get_about().map(ToString::to_string);
    let mut text = format!(
        "{}\n\nUsage: injector <COMMAND> [OPTIONS]\n",
        about.unwrap_or_default()
    );
    for group in &GROUPS {
        let _ = writeln!(text, "\n{}:", group.title);
        for name in group.commands {
            let _ = writeln!(text, "  {name:<8}{}", sentence(&root, name));
        }
        if !group.also.is_empty() {
            let _ = writeln!(text, "  also: {}", group.also.join(", "));
        }
        let _ = writeln!(text, "  $ {}", group.example);
    }
    text.push_str(
        "\nOptions:\n  --config <FILE>  What this host allows; else `INJECTOR_CONFIG`, or /etc/injector/injector.toml\n  \
         --help           Behind any command: its flags; `--version` prints the version\n\n",
    );
    text.push_str(EXIT_CODES);
    text.push('\n');
    text
}

/// What clap says of a command.
fn sentence(root: &Command, name: &str) -> String {
    root.find_subcommand(name)
        .and_then(Command::get_about)
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_for_people_is_in_one_group() {
        let root = Cli::command();
        let shown: Vec<&str> = root
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(Command::get_name)
            .collect();
        let grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|group| group.commands.iter().chain(group.also))
            .copied()
            .collect();
        for name in &shown {
            let count = grouped.iter().filter(|grouped| *grouped == name).count();
            assert_eq!(count, 1, "{name}");
        }
        assert_eq!(grouped.len(), shown.len());
    }

    #[test]
    fn every_example_is_understood() {
        for group in &GROUPS {
            let words = group.example.replace("\"the wrong process\"", "reason");
            let words = words.split(' ').map(std::ffi::OsString::from);
            // The file of the example is not there; its words are understood.
            if let Err(refusal) = super::super::parse(words) {
                let text = refusal.to_string();
                assert!(text.contains("experiment.yaml"), "{text}");
            }
        }
    }

    #[test]
    fn the_page_fits_a_terminal() {
        let text = text();
        assert!(text.lines().count() <= 40, "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}
