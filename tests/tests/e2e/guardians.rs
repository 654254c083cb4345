//! Nothing outlives its time, whatever stands still and whichever process dies: each of injector's processes is
//! killed alone, every signal ends a run in good order, and neither a frozen disk nor a reader that does not read
//! holds up an end.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::CgroupPair;
use injector_tests::counter::Counter;
use injector_tests::disk::{self, Disk};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Companion, Injector, Running, send};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::place::Place;
use injector_tests::qdiscs;
use injector_tests::victim::Victim;
use rustix::pipe::PipeFlags;
use rustix::process::Signal;

use crate::needs::{CLSACT, INJECTOR, TCX, by_means_of, by_means_of_devices};
use crate::suite::Case;

/// How long after the last thread of a killed process everything may take to be as it was.
const AFTER_A_DEATH: Duration = Duration::from_secs(1);
/// The interface index of `lo`.
const LOOPBACK: u32 = 1;
/// How long an end may take on a busy machine.
const SOON: Duration = Duration::from_secs(10);

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (process, one) in [
        ("the_command", None),
        ("the_worker", Some(Companion::Worker)),
        ("the_guardian", Some(Companion::Guardian)),
        ("the_recorder", Some(Companion::Recorder)),
    ] {
        let name = format!("guardian::kill_9_of_{process}");
        cases.push(Case::new(name, INJECTOR, move || {
            for state in State::ALL {
                killed(state, one).with_context(|| format!("{state:?}"))?;
            }
            Ok(())
        }));
    }
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("guardian::{name}"), INJECTOR, run);
    cases.extend([
        case("every_signal_ends_in_good_order", signals),
        case("a_reader_that_does_not_read_holds_up_no_end", full_pipe),
        case("a_frozen_disk_holds_up_no_end", frozen_disk).also_needs(disk::lacks),
        case("a_second_run_on_the_same_state_is_refused", second_run),
    ]);
    cases
}

/// A change of the host that no descriptor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Freeze,
    Stop,
    Sysctls,
    Filters,
}

impl State {
    const ALL: [Self; 4] = [Self::Freeze, Self::Stop, Self::Sysctls, Self::Filters];

    /// An injector that makes the change.
    fn injector(self) -> Result<Injector> {
        let injector = Injector::new()?;
        Ok(match self {
            Self::Freeze | Self::Stop | Self::Sysctls => injector,
            Self::Filters => injector.without(TCX),
        })
    }
}

/// A target for every kind of state.
struct Stage {
    agent: Counter,
    cgroups: CgroupPair,
}

impl Stage {
    fn new() -> Result<Self> {
        let cgroups = CgroupPair::create()?;
        let agent = Counter::start(Place {
            cgroup: Some(&cgroups.agent),
            netns: None,
        })?;
        Ok(Self { agent, cgroups })
    }

    fn words(&self, state: State, duration: &str) -> Vec<String> {
        let fault = match state {
            State::Freeze | State::Stop => "proc pause",
            State::Sysctls => "net delay --latency 10ms",
            State::Filters => "net blackhole",
        };
        let target = match state {
            State::Stop => format!("--pid {}", self.agent.pid()),
            State::Freeze | State::Sysctls | State::Filters => {
                format!("--cgroup {}", self.cgroups.agent.path().display())
            }
        };
        format!("{fault} {target} --duration {duration}")
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect()
    }

    fn arm(&self, injector: &Injector, state: State, duration: &str) -> Result<Running> {
        let words = self.words(state, duration);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        injector.arm(&[&words[..], &["--json"]].concat())
    }

    /// Whether the state is in force.
    fn is_changed(&self, state: State) -> Result<bool> {
        Ok(match state {
            State::Freeze => {
                let file = self.cgroups.agent.path().join("cgroup.freeze");
                fs::read_to_string(file)?.trim() == "1"
            }
            State::Stop => {
                let stat = fs::read_to_string(format!("/proc/{}/stat", self.agent.pid()))?;
                let (_name, rest) = stat.rsplit_once(')').context("no stat")?;
                rest.trim_start().starts_with('T')
            }
            State::Sysctls => {
                let file = "/proc/sys/net/ipv4/conf/lo/accept_local";
                fs::read_to_string(file)?.trim() == "1"
            }
            State::Filters => qdiscs::devices()?.contains(&LOOPBACK),
        })
    }

    /// Waits until the state is as it was.
    fn expect_undone(&self, state: State, within: Duration) -> Result<()> {
        eventually("the target's old state", within, || {
            Ok((!self.is_changed(state)?).then_some(()))
        })
    }
}

/// One process dies; `None` is the command itself.
fn killed(wanted: State, one: Option<Companion>) -> Result<()> {
    let stage = Stage::new()?;
    if stage.is_changed(wanted)? {
        // The host has it so; nothing would be changed.
        return Ok(());
    }
    let injector = wanted.injector()?;
    let running = stage.arm(&injector, wanted, "60s")?;
    ensure!(stage.is_changed(wanted)?, "the state is not in force");
    let pid = match one {
        None => running.pid(),
        Some(companion) => running.companion(companion)?,
    };
    send(pid, Signal::KILL)?;
    stage.expect_undone(wanted, AFTER_A_DEATH)?;
    let finished = running.wait_within(SOON)?;
    ensure!(
        finished.code != Some(0),
        "it calls that a success: {finished:?}"
    );
    if one == Some(Companion::Worker) {
        let document: serde_json::Value = serde_json::from_str(&finished.stdout)
            .with_context(|| format!("no document, or more than one: {finished:?}"))?;
        let why = document["error"].as_str().unwrap_or_default();
        ensure!(
            why.contains("the worker was ended by signal 9"),
            "{document}"
        );
    }
    eventually("the end of the others", SOON, || {
        let is_over = match one {
            // Without its command the run has no end in its journal; the next start writes it.
            None => injector
                .once(&["sweep"])?
                .stdout
                .contains("was aborted with its supervisor"),
            // What the others had to say is on record, and nothing is left to be done.
            Some(_) => injector
                .once(&["sweep", "--dry-run"])?
                .stdout
                .contains("nothing is left"),
        };
        Ok(is_over.then_some(()))
    })?;
    stage.agent.expect_going("the target")
}

fn signals() -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    for (signal, whose) in [
        (Signal::QUIT, None),
        (Signal::USR1, None),
        (Signal::ALARM, None),
        (Signal::XCPU, None),
        (Signal::USR2, Some(Companion::Worker)),
        (Signal::QUIT, Some(Companion::Worker)),
    ] {
        let running = stage.arm(&injector, State::Freeze, "60s")?;
        let pid = match whose {
            None => running.pid(),
            Some(companion) => running.companion(companion)?,
        };
        send(pid, signal)?;
        let finished = running.wait_within(SOON)?;
        let report = finished.report()?;
        ensure!(
            (finished.code, report.outcome.as_str()) == (Some(0), "stopped"),
            "{signal:?} of {whose:?}: {finished:?}"
        );
        ensure!(report.undo_errors.is_empty(), "{report:?}");
        stage.expect_undone(State::Freeze, Duration::ZERO)?;
    }
    // The others take none of these, and the run goes on.
    let running = stage.arm(&injector, State::Freeze, "60s")?;
    for companion in [Companion::Guardian, Companion::Recorder] {
        for signal in [Signal::TERM, Signal::QUIT, Signal::USR1] {
            send(running.companion(companion)?, signal)?;
        }
    }
    sleep(Duration::from_millis(200));
    ensure!(stage.is_changed(State::Freeze)?, "a signal ended the run");
    running.report()?;
    Ok(())
}

/// A pipe that is full, whose reader does not read.
fn stuffed() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
    while rustix::io::write(&writer, &[b'x'; 4096]).is_ok() {}
    while rustix::io::write(&writer, b"x").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty())?;
    Ok((reader, writer))
}

fn full_pipe() -> Result<()> {
    for state in State::ALL {
        let stage = Stage::new()?;
        if stage.is_changed(state)? {
            continue;
        }
        match state {
            State::Sysctls => by_means_of_devices()?,
            State::Filters => by_means_of(CLSACT)?,
            State::Freeze | State::Stop => {}
        }
        let injector = state.injector()?;
        let (reader, writer) = stuffed()?;
        let words = stage.words(state, "1s");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut child = injector
            .command(&words)
            .stdout(Stdio::from(writer.as_fd().try_clone_to_owned()?))
            .stderr(Stdio::from(writer))
            .spawn()?;
        let began = Instant::now();
        eventually("the state to be in force", SOON, || {
            Ok(stage.is_changed(state)?.then_some(()))
        })?;
        stage.expect_undone(state, Duration::from_secs(3))?;
        ensure!(
            began.elapsed() >= Duration::from_millis(500),
            "{state:?}: it was over before its time"
        );
        // Read at last: the command has waited for its reader, as programs do.
        drop(reader);
        eventually("the command to end", SOON, || Ok(child.try_wait()?))?;
    }
    Ok(())
}

fn frozen_disk() -> Result<()> {
    for state in State::ALL {
        let stage = Stage::new()?;
        if stage.is_changed(state)? {
            continue;
        }
        let injector = state.injector()?;
        let runs = injector.runs();
        let mut disk = Disk::mount(&runs)?;
        let on_disk = |words: &[&str]| injector.start_here(words);
        let words = stage.words(state, "1500ms");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut running = on_disk(&[&words[..], &["--json"]].concat())?;
        running.wait_until_armed()?;
        ensure!(stage.is_changed(state)?, "the state is not in force");
        disk.freeze()?;
        stage
            .expect_undone(state, Duration::from_millis(2500))
            .with_context(|| format!("{state:?} with a frozen disk"))?;
        let finished = running.wait_within(SOON)?;
        ensure!(
            finished.code == Some(1) && finished.stderr.contains("not on disk yet"),
            "{finished:?}"
        );
        // Nothing is begun that cannot be put on record first.
        let refused = on_disk(&words)?.wait_within(SOON)?;
        ensure!(refused.code == Some(2), "{refused:?}");
        ensure!(
            !stage.is_changed(state)?,
            "a start that was refused changed it"
        );
        disk.thaw()?;
        eventually("the record of the end", SOON, || {
            let ended = fs::read_dir(&runs)?.flatten().any(|entry| {
                fs::read_to_string(entry.path())
                    .is_ok_and(|text| text.contains("\"type\":\"ended\""))
            });
            Ok(ended.then_some(()))
        })?;
        drop(stage);
    }
    Ok(())
}

fn second_run() -> Result<()> {
    let stage = Stage::new()?;
    let injector = Injector::new()?;
    let running = stage.arm(&injector, State::Freeze, "60s")?;
    let words = stage.words(State::Freeze, "1s");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let refused = injector.once(&words)?;
    ensure!(
        refused.code == Some(2)
            && refused
                .stderr
                .contains("pauses processes of the same target"),
        "{refused:?}"
    );
    ensure!(
        stage.is_changed(State::Freeze)?,
        "the first run was disturbed"
    );
    running.report()?;
    // Two delays on one namespace share its sysctls, whichever ends first.
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    if stage.is_changed(State::Sysctls)? {
        return Ok(());
    }
    let first = stage.arm(&injector, State::Sysctls, "60s")?;
    let second = lab.arm(&injector, &["net", "delay", "--latency", "10ms"])?;
    first.report()?;
    ensure!(
        stage.is_changed(State::Sysctls)?,
        "the first to end took the second's setting away"
    );
    second.report()?;
    stage.expect_undone(State::Sysctls, Duration::ZERO)
}
