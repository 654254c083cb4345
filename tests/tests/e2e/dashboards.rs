//! A person before a run: a whole terminal that says how it stands, keys that end it, and the screen from before behind it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Companion, Injector, send};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::pseudo_terminal::PseudoTerminal;
use rustix::process::Signal;
use serde_json::Value;

use crate::needs::INJECTOR;
use crate::suite::Case;

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("dashboard::{name}"), INJECTOR, run)
    };
    vec![
        case("keys_end_a_run_and_its_card_is_left", keys_end_a_run),
        case(
            "a_recorder_that_dies_leaves_the_terminal_as_it_was",
            recorder_dies,
        ),
        case("another_command_watches_and_halts", watched),
        case("a_job_in_the_background_leaves_the_terminal_alone", jobs),
    ]
}

struct Stage {
    lab: Lab,
    injector: Injector,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Result<Self> {
        Ok(Self {
            lab: Lab::new(Wire::Loopback, Family::V4)?,
            injector: Injector::new()?,
            folder: tempfile::tempdir()?,
        })
    }

    /// Two steps, a probe and a control.
    fn experiment(&self) -> Result<PathBuf> {
        let cgroup = self.lab.cgroups.agent.path().to_string_lossy();
        let text = format!(
            "apiVersion: injector/v1\nname: shown\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\nprobes:\n  alive: \
             command [\"/bin/true\"] fails 5 every 200ms within 400ms\n  beside: command [\"/bin/true\"] fails 5 every 200ms within 400ms\nsteady-state: [alive]\n\
             controls: [beside]\nobjectives: {{ rto: 10s }}\nbaseline: 5s\nsteps:\n  - {{ name: cut, duration: 2m, \
             faults: [ net.connect: {{ errno: ECONNREFUSED, max-hits: 77 }} ] }}\nrecovery: 5s\n"
        );
        let file = self.folder.path().join("shown.yaml");
        fs::write(&file, text)?;
        Ok(file)
    }

    /// A command on a terminal.
    fn seated(&self, terminal: &PseudoTerminal, words: &[&str]) -> Result<Child> {
        let mut command = self.injector.command(words);
        command.env_remove("NO_COLOR").env("TERM", "xterm-256color");
        terminal.seat(&mut command)?;
        command.spawn().context("cannot start the injector")
    }

    /// A shell that gives its jobs process groups of their own, with the injector as `$INJECTOR`.
    fn shell(&self, terminal: &PseudoTerminal, script: &str) -> Result<Child> {
        let injector = self.injector.command(&[]);
        let mut shell = Command::new("/bin/sh");
        let environment = injector.get_envs();
        shell
            .args(["-m", "-c", script])
            .envs(environment.filter_map(|(name, value)| Some((name, value?))))
            .env("INJECTOR", injector.get_program())
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color");
        terminal.seat_shell(&mut shell)?;
        shell.spawn().context("cannot start a shell")
    }

    /// What the newest run's report says of its end.
    fn outcome(&self) -> Result<String> {
        let listed = self.injector.once(&["list", "--json"])?;
        let listed: Value = serde_json::from_str(&listed.stdout)?;
        let outcome = listed[0]["report"]["outcome"].as_str();
        Ok(outcome
            .with_context(|| format!("no outcome: {listed}"))?
            .to_owned())
    }
}

/// The screen after all of these bytes, and whether it is the alternate one.
fn screen(size: (u16, u16), said: &[u8]) -> Result<(Vec<String>, bool)> {
    let number = |number: u16| std::num::NonZeroU16::new(number).context("no size");
    let mut parser = vt100::Parser::new(number(size.1)?, number(size.0)?, 0);
    parser.process(said);
    let rows = parser.screen().contents();
    let rows = rows.lines().map(str::to_owned).collect();
    Ok((rows, parser.screen().alternate_screen()))
}

/// Waits until the screen has all of these texts.
fn shows(terminal: &PseudoTerminal, size: (u16, u16), from: usize, texts: &[&str]) -> Result<()> {
    eventually(&format!("{texts:?} on the screen"), SOON, || {
        let said = terminal.said();
        let (rows, _) = screen(size, said.get(from..).unwrap_or_default())?;
        let has = |text: &&str| rows.iter().any(|row| row.contains(*text));
        Ok(texts.iter().all(has).then_some(()))
    })
}

/// That nothing of the dashboard is left on the terminal.
fn is_as_before(terminal: &PseudoTerminal) -> Result<Vec<String>> {
    ensure!(
        terminal.reads_lines()?,
        "the terminal keeps the mode of the dashboard"
    );
    let (rows, is_alternate) = screen((100, 40), &terminal.said())?;
    ensure!(
        !is_alternate,
        "the alternate screen is still there: {rows:#?}"
    );
    ensure!(!rows.iter().any(|row| row == "Steps"), "{rows:#?}");
    Ok(rows)
}

fn keys_end_a_run() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.experiment()?.to_string_lossy().into_owned();
    let terminal = PseudoTerminal::new(100)?;
    let mut child = stage.seated(&terminal, &["run", &file])?;
    let texts = [
        "Steps",
        "> 1  baseline",
        "Target",
        "alive",
        "Controls",
        "Faults",
        "of 77",
        "lease ",
        "q halt this run",
    ];
    shows(&terminal, (100, 40), 0, &texts)?;
    ensure!(!terminal.reads_lines()?, "keys do not come one by one");
    let before = terminal.said().len();
    terminal.resize(70, 20)?;
    shows(
        &terminal,
        (70, 20),
        before,
        &["Steps", "alive", "q halt this run"],
    )?;
    let before = terminal.said().len();
    terminal.resize(100, 40)?;
    shows(&terminal, (100, 40), before, &["q halt this run   Ctrl-C"])?;
    terminal.press("q")?;
    shows(&terminal, (100, 40), before, &["halt this run? y/n"])?;
    terminal.press("n")?;
    shows(&terminal, (100, 40), before, &["q halt this run   Ctrl-C"])?;
    terminal.press("q")?;
    shows(&terminal, (100, 40), before, &["halt this run? y/n"])?;
    terminal.press("y")?;
    let status = eventually("the run to end", SOON, || Ok(child.try_wait()?))?;
    // It was to be judged, and was stopped before its time.
    ensure!(status.code() == Some(4), "{status}");
    ensure!(stage.outcome()? == "stopped");
    let rows = is_as_before(&terminal)?;
    for text in ["armed ", "stopped", "inconclusive"] {
        ensure!(
            rows.iter().any(|row| row.contains(text)),
            "no {text}: {rows:#?}"
        );
    }
    Ok(())
}

fn recorder_dies() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.experiment()?.to_string_lossy().into_owned();
    let terminal = PseudoTerminal::new(100)?;
    let mut child = stage.seated(&terminal, &["run", &file])?;
    shows(&terminal, (100, 40), 0, &["q halt this run"])?;
    send(Companion::Recorder.of(child.id())?, Signal::KILL)?;
    let status = eventually("the run to end", SOON, || Ok(child.try_wait()?))?;
    ensure!(!status.success(), "{status}");
    is_as_before(&terminal).map(drop)
}

fn watched() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.experiment()?.to_string_lossy().into_owned();
    let mut run = stage.injector.start_here(&["run", &file, "--json"])?;
    run.wait_until_armed()?;
    let texts = [
        "Steps",
        "alive",
        "Limits",
        "hits/s | ",
        "q leave, and the run goes on",
        "h halt this run",
    ];
    // One who leaves, and one who is ended, leave the run alone and the terminal as it was.
    for signal in [None, Some(Signal::TERM), Some(Signal::QUIT)] {
        let terminal = PseudoTerminal::new(100)?;
        let mut child = stage.seated(&terminal, &["watch", "last"])?;
        shows(&terminal, (100, 40), 0, &texts)?;
        match signal {
            None => terminal.press("q")?,
            Some(signal) => send(child.id(), signal)?,
        }
        let status = eventually("the command to end", SOON, || Ok(child.try_wait()?))?;
        ensure!(status.success(), "{status}");
        is_as_before(&terminal)?;
    }
    ensure!(run.is_running()?, "the run has ended with its watcher");
    let pipe = stage.injector.start_here(&["watch", "last"])?;
    let terminal = PseudoTerminal::new(100)?;
    let mut child = stage.seated(&terminal, &["watch", "last"])?;
    shows(&terminal, (100, 40), 0, &texts)?;
    terminal.press("h")?;
    shows(&terminal, (100, 40), 0, &["halt this run? y/n"])?;
    terminal.press("y")?;
    let status = eventually("the command to end", SOON, || Ok(child.try_wait()?))?;
    ensure!(status.success(), "{status}");
    let finished = run.wait_within(SOON)?;
    ensure!(
        finished.code == Some(4) && stage.outcome()? == "stopped",
        "{finished:?}"
    );
    let rows = is_as_before(&terminal)?;
    ensure!(
        rows.iter().any(|row| row.contains("stopped")),
        "no card: {rows:#?}"
    );
    let lines = pipe.wait_within(SOON)?;
    ensure!(!lines.stdout.contains('\x1b'), "{lines:?}");
    for text in ["step baseline", "stopped"] {
        ensure!(lines.stdout.contains(text), "no {text}: {lines:?}");
    }
    Ok(())
}

fn jobs() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.experiment()?.to_string_lossy().into_owned();
    let size = (100, 40);
    let terminal = PseudoTerminal::new(size.0)?;
    let script = format!("\"$INJECTOR\" run {file} & wait");
    let mut run = stage.shell(&terminal, &script)?;
    shows(&terminal, size, 0, &["armed ", " left"])?;
    is_as_before(&terminal).context("a run in the background has the terminal")?;

    // A watcher that the shell lets go on in the background, and in the foreground again.
    let another = PseudoTerminal::new(size.0)?;
    let script = "\"$INJECTOR\" watch last; read a; bg; read b; fg; read c; bg; wait";
    let mut watch = stage.shell(&another, script)?;
    let is_there = |from| shows(&another, size, from, &["Steps", "q leave"]);
    let is_left = || {
        eventually("the terminal to be left", SOON, || {
            Ok(is_as_before(&another).is_ok().then_some(()))
        })
    };
    is_there(0)?;
    another.press("\x1a")?;
    is_left()?;
    let before = another.said().len();
    another.press("\n")?;
    // What `bg` says.
    shows(&another, size, before, &["watch last"])?;
    is_as_before(&another).context("a watcher in the background has the terminal")?;
    // Too small for it when `fg` comes, and large enough again later.
    another.resize(40, 10)?;
    let before = another.said().len();
    another.press("\n")?;
    shows(&another, size, before, &["watch last"])?;
    is_as_before(&another).context("a small terminal has the dashboard")?;
    another.resize(size.0, size.1)?;
    is_there(before)?;
    another.press("\x1a")?;
    is_left()?;
    another.press("\n")?;

    let stopped = stage.injector.once(&["stop", "--all"])?;
    ensure!(stopped.code == Some(0), "{stopped:?}");
    for child in [&mut run, &mut watch] {
        eventually("the shell to end", SOON, || Ok(child.try_wait()?))?;
    }
    for terminal in [&terminal, &another] {
        let rows = is_as_before(terminal)?;
        let has_card = rows.iter().any(|row| row.contains("inconclusive"));
        ensure!(has_card, "no card: {rows:#?}");
    }
    Ok(())
}
