//! An agent that asks its plug-in again and again, with habits that are known: it looks after it, or not.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use injector_tests::plugin_agent::Standing;

use crate::speak;

/// What the agent does about its plug-in.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Habit {
    /// It has a deadline, takes the exit status, and starts another.
    Careful,
    /// It waits for ever, takes no exit status and closes nothing.
    Naive,
}

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// What an agent is told.
#[derive(clap::Args)]
pub(crate) struct Character {
    /// Where it writes how it stands.
    #[arg(long)]
    file: PathBuf,
    #[arg(long, value_enum)]
    habit: Habit,
    /// How long a careful one waits for an answer. Longer than a busy machine makes it wait: it takes the plug-in for dead then.
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// Its plug-in outlives the end of its input.
    #[arg(long)]
    stays: bool,
    /// Its plug-in is a shell, and what answers is forked by it and executes nothing.
    #[arg(long)]
    launcher: bool,
}

/// The shell waits for what it forks, because there is something to do behind it.
const LAUNCHER: &str = r#"(while read -r line; do echo "$line"; done); true"#;

/// Asks for ever.
pub(crate) fn ask(character: &Character) -> Result<()> {
    let mut standing = Standing::default();
    let mut plugin = Plugin::start(character, &mut standing)?;
    write(&character.file, standing)?;
    speak::ready(None)?;
    for number in 0_u64.. {
        let asked = Instant::now();
        let question = format!("question {number}");
        let heard = plugin.ask(&question, character);
        let is_well = match heard {
            Heard::Line(line) => {
                let is_right = line == question;
                standing.answered += u64::from(is_right);
                standing.broken += u64::from(!is_right);
                let took = asked.elapsed().as_millis().try_into()?;
                standing.slowest_ms = standing.slowest_ms.max(took);
                true
            }
            Heard::Nothing => {
                standing.late += 1;
                false
            }
            Heard::End => {
                standing.ends += 1;
                false
            }
        };
        if !is_well && character.habit == Habit::Careful {
            plugin.end();
            plugin = Plugin::start(character, &mut standing)?;
        }
        write(&character.file, standing)?;
        sleep(PAUSE);
    }
    Ok(())
}

enum Heard {
    Line(String),
    Nothing,
    End,
}

struct Plugin {
    child: Child,
    to: ChildStdin,
    from: Receiver<String>,
}

impl Plugin {
    fn start(character: &Character, standing: &mut Standing) -> Result<Self> {
        let mut command;
        if character.launcher {
            command = Command::new("sh");
            command.args(["-c", LAUNCHER]);
        } else {
            command = Command::new(std::env::current_exe()?);
            command
                .arg("plugin")
                .args(character.stays.then_some("--stays"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        standing.started += 1;
        standing.plugin = child.id();
        let to = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        let (sender, from) = channel();
        let habit = character.habit;
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|length| length > 0) {
                if sender.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
                line.clear();
            }
            // A naive agent keeps its end of the pipe.
            drop(sender);
            if habit == Habit::Naive {
                std::mem::forget(output);
            }
        });
        Ok(Self { child, to, from })
    }

    fn ask(&mut self, question: &str, character: &Character) -> Heard {
        // A broken pipe is heard as the end below.
        let _broken = self.to.write_all(format!("{question}\n").as_bytes());
        let heard = match character.habit {
            Habit::Careful => self.from.recv_timeout(character.deadline),
            Habit::Naive => self.from.recv().map_err(RecvTimeoutError::from),
        };
        match heard {
            Ok(line) => Heard::Line(line),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    fn end(mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// As a whole, so that a reader never sees half of it.
fn write(file: &Path, standing: Standing) -> Result<()> {
    let half = file.with_extension("half");
    fs::write(&half, serde_json::to_vec(&standing)?)?;
    Ok(fs::rename(&half, file)?)
}
