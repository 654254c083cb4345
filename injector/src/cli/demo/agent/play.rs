//! One fault, on both agents at a time: each is a process that waits for its word, and a run is armed on it by a command of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use injector_record::report::{Outcome, Reaction, RunReport};
use injector_spec::{config::Source, error::Refusal, experiment::Flaw};

use super::{
    super::{
        act::{arming, heard_from, is_armed, read},
        cast::{COMMAND, this_program, within},
    },
    faults::{Fault, LIMIT},
    habit::Habit,
};

/// What one agent made of one fault.
#[derive(Clone, Debug)]
pub(super) struct Met {
    pub(super) report: RunReport,
    /// Nothing where the fault bit nothing.
    pub(super) reaction: Option<Reaction>,
}

impl Met {
    fn of(report: RunReport) -> Self {
        let reaction = report.faults.first().and_then(|fault| fault.reaction);
        Self { report, reaction }
    }

    /// What it did wrong.
    pub(super) fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = self
            .reaction
            .map_or_else(Vec::new, |reaction| reaction.flaws());
        flaws.dedup();
        flaws
    }

    /// So many requests met the fault.
    pub(super) fn hits(&self) -> u64 {
        self.report.faults.iter().map(|fault| fault.hit).sum()
    }

    /// Whether its run ended as it should.
    pub(super) fn is_in_order(&self) -> bool {
        let ended = matches!(
            self.report.outcome,
            Outcome::Completed | Outcome::TargetEnded { .. }
        );
        ended && self.report.undo_errors.is_empty()
    }
}

/// What both made of it: the naive agent, and the careful one.
pub(super) type Both = [Met; 2];

/// Whether the demo has broken off: its runs are to end at once.
#[derive(Clone, Debug, Default)]
pub(super) struct BrokenOff(Arc<AtomicBool>);

impl BrokenOff {
    /// It has.
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The command that carries a run, killed and waited for when dropped: its fault ends with it.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        // It has ended by itself as a rule.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Arms a fault on both agents, each in a run of its own at the same time, lets them work, and waits for the runs.
pub(super) fn both(
    fault: &'static Fault,
    server: SocketAddr,
    config: &Source,
    broken_off: &BrokenOff,
) -> Result<Both, Refusal> {
    let play = |habit| {
        let (config, broken_off) = (config.clone(), broken_off.clone());
        thread::spawn(move || one(fault, habit, server, &config, &broken_off))
    };
    let plays = [Habit::Naive, Habit::Careful].map(play);
    let [naive, careful] = plays.map(|play| {
        let broke = || Refusal::failed(format!("{} of the demo broke off.", fault.name));
        play.join().unwrap_or_else(|_| Err(broke()))
    });
    Ok([naive?, careful?])
}

fn one(
    fault: &Fault,
    habit: Habit,
    server: SocketAddr,
    config: &Source,
    broken_off: &BrokenOff,
) -> Result<Met, Refusal> {
    let broke = |why: &dyn std::fmt::Display| {
        let why = why.to_string();
        let why = why.trim_end_matches('.');
        Refusal::failed(format!("{} of the demo broke off: {why}.", fault.name))
    };
    let mut agent = Agent::start(fault, habit, server).map_err(|error| broke(&error))?;
    let mut run = arm(fault, agent.0.id(), config)
        .spawn()
        .map(Run)
        .map_err(|error| broke(&error))?;
    let told = run.0.stderr.take().map(heard_from);
    let said = run.0.stdout.take().map(all_of);
    if told.is_some_and(|told| is_armed(&told)) {
        agent.begin().map_err(|error| broke(&error))?;
    }
    within(LIMIT, || {
        broken_off.is_told() || !matches!(run.0.try_wait(), Ok(None))
    });
    drop(run);
    let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
    read(&said).map(Met::of)
}

/// What a run prints on standard output, to the end.
fn all_of(mut stdout: ChildStdout) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut said = Vec::new();
        // What has come by then is there.
        let _ = stdout.read_to_end(&mut said);
        said
    })
}

/// The command that arms a fault on an agent, and ends with it.
fn arm(fault: &Fault, pid: u32, config: &Source) -> Command {
    let mut command = arming(fault.words.split(' '), pid, fault.duration, config);
    command.args(["--on-target-exit", "end"]);
    command
}

/// Why this host would not carry a fault out now, on this process.
pub(super) fn refused(
    fault: &Fault,
    pid: u32,
    config: &Source,
) -> Result<Option<Refusal>, Refusal> {
    #[derive(serde::Deserialize)]
    struct Rehearsed {
        refusal: Option<Refusal>,
    }
    let output = arm(fault, pid, config).arg("--dry-run").output();
    let output = output.map_err(|error| {
        Refusal::failed(format!(
            "{} of the demo cannot be tried: {error}; try again.",
            fault.name
        ))
    })?;
    read::<Rehearsed>(&output.stdout).map(|rehearsed| rehearsed.refusal)
}

/// An agent, killed and waited for when dropped.
pub(super) struct Agent(Child);

impl Agent {
    /// Starts it; it waits for its word, and is this program again by now.
    pub(super) fn start(fault: &Fault, habit: Habit, server: SocketAddr) -> std::io::Result<Self> {
        let name = |habit| match habit {
            Habit::Naive => "naive",
            Habit::Careful => "careful",
        };
        let work = match fault.work {
            super::habit::Work::Ask => "ask",
            super::habit::Work::Pay => "pay",
        };
        let order = format!("{}-{}", name(habit), fault.order());
        let mut child = this_program()
            .args([COMMAND, "agent", name(habit), work, &order])
            .arg(server.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let agent = Self(child);
        let mut line = String::new();
        match stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line)) {
            Some(Ok(1..)) => Ok(agent),
            Some(Ok(0)) | None => Err(std::io::Error::other("an agent does not begin")),
            Some(Err(error)) => Err(error),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Gives it its word.
    fn begin(&mut self) -> std::io::Result<()> {
        match &mut self.0.stdin {
            Some(stdin) => stdin.write_all(b"\n"),
            None => Ok(()),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It has ended by itself as a rule.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
