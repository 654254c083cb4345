//! What a person sees at a terminal: one live line while a run is on, a card at its end, and no control sequence where
//! none is wanted. A terminal that stands still holds up no end of a fault.

use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::pseudo_terminal::PseudoTerminal;

use crate::needs::{INJECTOR, by_means_of_devices};
use crate::probe::Probe;
use crate::suite::Case;

/// How long an end may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Rows of a card at most.
const CARD: usize = 12;

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("terminal::{name}"), INJECTOR, run);
    vec![
        case("a_run_has_one_live_line_and_a_card", live_line_and_card),
        case("what_wants_no_control_sequence_gets_none", plain),
        case("one_that_stands_still_holds_up_no_end", frozen),
    ]
}

/// A run of this length on a terminal of its own; the cgroup is the agent's.
fn start(
    injector: &Injector,
    terminal: &PseudoTerminal,
    lab: &Lab,
    duration: &str,
    environment: &[(&str, &str)],
) -> Result<Child> {
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let mut command = injector.command(&[
        "net",
        "blackhole",
        "--cgroup",
        &cgroup,
        "--duration",
        duration,
    ]);
    command
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .envs(environment.iter().copied());
    terminal.seat(&mut command)?;
    // The command, which has copies of the terminal, goes here, so that the terminal's end can be seen.
    command.spawn().context("cannot start the injector")
}

fn screen(columns: u16, said: &[u8]) -> Result<Vec<String>> {
    let size = |number: u16| std::num::NonZeroU16::new(number).context("no size");
    let mut parser = vt100::Parser::new(size(40)?, size(columns)?, 0);
    parser.process(said);
    let rows = parser.screen().contents();
    Ok(rows.lines().map(str::to_owned).collect())
}

fn live_line_and_card() -> Result<()> {
    by_means_of_devices()?;
    for columns in [60, 100] {
        let lab = Lab::new(Wire::Loopback, Family::V4)?;
        let injector = Injector::new()?;
        let terminal = PseudoTerminal::new(columns)?;
        let mut child = start(&injector, &terminal, &lab, "2s", &[])?;
        let mut lines = Vec::new();
        let status = eventually("the run to end", SOON, || {
            let rows = screen(columns, &terminal.said())?;
            let live: Vec<_> = rows.iter().filter(|row| row.contains("s left")).collect();
            ensure!(live.len() <= 1, "more than one live line: {rows:#?}");
            lines.extend(live.first().map(|row| (*row).clone()));
            Ok(child.try_wait()?)
        })?;
        ensure!(status.success(), "{status}");
        lines.dedup();
        ensure!(
            lines.len() >= 2 && lines.iter().any(|line| line.contains("lease 1.")),
            "the live line does not live: {lines:#?}"
        );
        let said = terminal.all();
        let rows = screen(columns, &said)?;
        ensure!(
            !rows
                .iter()
                .any(|row| row.contains("s left") || row.starts_with("step ")),
            "not only the card is left: {rows:#?}"
        );
        let card = rows.iter().position(|row| row.contains("completed"));
        let card = &rows[card.with_context(|| format!("no card: {rows:#?}"))?..];
        let card: Vec<_> = card
            .iter()
            .take_while(|row| !row.starts_with("injector: "))
            .collect();
        ensure!(card.len() <= CARD, "{card:#?}");
        ensure!(
            card.iter()
                .any(|row| row.contains("net.blackhole") && row.ends_with('0')),
            "no row of the fault: {card:#?}"
        );
        ensure!(!card.iter().any(|row| row.contains(" step ")), "{card:#?}");
    }
    Ok(())
}

/// Whether bytes have a control sequence, or a carriage return that ends no line.
fn moves_the_cursor(said: &[u8]) -> bool {
    let returns = said.iter().enumerate().any(|(at, byte)| {
        *byte == b'\r' && said[at..].iter().find(|byte| **byte != b'\r') != Some(&b'\n')
    });
    said.contains(&0x1b) || returns
}

fn plain() -> Result<()> {
    by_means_of_devices()?;
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let terminal = PseudoTerminal::new(100)?;
        let mut child = start(&injector, &terminal, &lab, "1s", &[environment])?;
        eventually("the run to end", SOON, || Ok(child.try_wait()?))?;
        let said = terminal.all();
        let text = String::from_utf8_lossy(&said).into_owned();
        ensure!(!moves_the_cursor(&said), "{environment:?}: {text:?}");
        for line in ["armed ", "step net.blackhole", "completed"] {
            ensure!(text.contains(line), "{environment:?}: no {line} in {text}");
        }
    }
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let words = ["net", "blackhole", "--cgroup", &cgroup, "--duration", "1s"];
    for words in [&words[..], &["doctor"], &["list"], &["audit"], &["--help"]] {
        let finished = injector.once(words)?;
        let said = [finished.stdout.as_bytes(), finished.stderr.as_bytes()].concat();
        ensure!(!moves_the_cursor(&said), "{words:?}: {finished:?}");
    }
    // What is told of ended runs comes from their index, hits too.
    let listed = injector.once(&["list"])?.stdout;
    let hits: Vec<_> = listed
        .lines()
        .map(|line| line.split_whitespace().nth(2).unwrap_or_default())
        .collect();
    ensure!(hits == ["HITS", "0", "0", "0"], "{listed}");
    Ok(())
}

fn frozen() -> Result<()> {
    by_means_of_devices()?;
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let terminal = PseudoTerminal::new(100)?;
    let mut child = start(&injector, &terminal, &lab, "3s", &[])?;
    eventually("the live line", SOON, || {
        let said = String::from_utf8_lossy(&terminal.said()).into_owned();
        Ok(said.contains("s left").then_some(()))
    })?;
    let live_since = Instant::now();
    terminal.freeze()?;
    ensure!(agent.look()?.ok == 0, "the fault is not there");
    eventually("the fault to end by its time", SOON, || {
        Ok((agent.look()?.ok > 0).then_some(()))
    })?;
    let lasted = live_since.elapsed();
    ensure!(
        lasted < Duration::from_secs(6),
        "the terminal held the fault for {lasted:?}"
    );
    // The command waits for its reader, as programs do.
    sleep(Duration::from_millis(500));
    ensure!(child.try_wait()?.is_none(), "it ended before it was read");
    let before = terminal.said().len();
    terminal.thaw()?;
    let status = eventually("the command to end", SOON, || Ok(child.try_wait()?))?;
    ensure!(status.success(), "{status}");
    let said = terminal.all();
    let late = String::from_utf8_lossy(&said[before..]).into_owned();
    // Of the lines that waited, no more than the one that was being written came.
    ensure!(late.matches("s left").count() <= 1, "{late:?}");
    ensure!(late.contains("completed"), "{late:?}");
    Ok(())
}
