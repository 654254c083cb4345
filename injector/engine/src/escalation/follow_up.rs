//! Asks about a run that is over: a process of its own, started when the run's last record is said.
//!
//! It has a session of its own, reads the run's journal and the host's configuration, and adds its turns to the journal. It
//! holds nothing of the run, and no process waits for it. Where it is killed, no person is asked any more.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, mpsc::Receiver},
    thread,
    time::Duration,
};

use injector_host::kernel::clock::boot_ns;
use injector_record::{
    configuration,
    escalation::{Answer, Escalated, Matter},
    journal::{self, Journal, Record, RunId, RunState},
    measure::Verdict,
    report::{Outcome, RunReport},
};
use injector_spec::{
    config::{ConfigFile, Source},
    error::Refusal,
    quantity::duration::nanos,
};

use super::{
    Chain, Link,
    asking::{Surroundings, ask},
    at_gate::acknowledged,
};
use crate::{
    approval::{self, AnswerFile},
    kill_switch,
    notifier::{self, Message},
    spawn,
};

/// How the hidden command is called.
pub const COMMAND: &str = "escalate";

/// How long the journal may take to be closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// How often an answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether a person may have to decide about a run with this report.
pub fn is_wanted(report: &RunReport) -> bool {
    matter(report, || true).is_some()
}

/// What is to be decided, if anything; the question is whether the run of the same experiment before it was inconclusive.
fn matter(report: &RunReport, was_inconclusive: impl FnOnce() -> bool) -> Option<Matter> {
    match &report.outcome {
        Outcome::Halted { .. } => return Some(Matter::Halted),
        Outcome::Failed { .. } => return Some(Matter::Failed),
        // A person has ended it, and knows.
        Outcome::Stopped => return None,
        Outcome::Completed
        | Outcome::TargetEnded { .. }
        | Outcome::Unsteady { .. }
        | Outcome::GateShut { .. } => {}
    }
    match report
        .judgement
        .as_ref()
        .map(|judgement| &judgement.verdict)
    {
        Some(Verdict::Unsafe(_)) => Some(Matter::Unsafe),
        Some(Verdict::Inconclusive(_)) => was_inconclusive().then_some(Matter::InconclusiveTwice),
        Some(Verdict::Held | Verdict::Deviated(_) | Verdict::Halted(_)) | None => {
            (!report.undo_errors.is_empty()).then_some(Matter::Unsafe)
        }
    }
}

/// Starts the process. A run that cannot start it is over all the same; why is returned.
pub fn start(run: &RunId, config: Option<&ConfigFile>) -> Result<(), String> {
    let mut command = spawn::own(COMMAND);
    command.arg(run.as_str());
    if let Some(config) = config {
        command.arg("--config").arg(&config.path);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child =
        spawn::start(command, spawn::Lifetime::Own).map_err(|error| error.to_string())?;
    // A daemon lives longer than it.
    let wait = move || {
        let _ = child.wait();
    };
    let _ = thread::Builder::new().name("follow-up".into()).spawn(wait);
    Ok(())
}

/// The process's main function.
pub fn follow_up(run: &RunId, config: &Source) -> Result<(), Refusal> {
    let directory = journal::directory();
    let path = journal::file(&directory, run);
    let config = configuration::load(config)?;
    let unreadable = |error: std::io::Error| {
        Refusal::failed(format!(
            "the journal of run {run} cannot be read: {error}; try again"
        ))
    };
    let deadline = boot_ns().saturating_add(nanos(CLOSED_WITHIN));
    let (listed, replay) = loop {
        let read = journal::read(&path, run.clone()).map_err(unreadable)?;
        if read.0.state != RunState::Running || boot_ns() >= deadline {
            break read;
        }
        thread::sleep(LOOK_EVERY);
    };
    let Some(report) = listed.report else {
        return Ok(());
    };
    let was_inconclusive = || journal::was_inconclusive_before(&directory, run).unwrap_or_default();
    let Some(matter) = matter(&report, was_inconclusive) else {
        return Ok(());
    };
    let experiment = replay.experiment();
    let named = experiment.map_or(&[][..], |experiment| &experiment.escalate);
    let why = why(&report);
    let message = Message::of_decision(run, &report.name, matter, &why, Some(&report));
    let mut around = Around {
        run,
        directory: &directory,
        path,
        since_ns: boot_ns(),
        since_unix_ms: journal::unix_ms(),
        message: Arc::new(message),
    };
    ask(&Chain::of(&config, named), matter, &mut around);
    Ok(())
}

/// Why a person is asked, and what answers.
fn why(report: &RunReport) -> String {
    let run = &report.run;
    let verdict = report
        .judgement
        .as_ref()
        .and_then(|judgement| judgement.verdict.why().cloned());
    let ended = match verdict {
        Some(verdict) => format!("{}: {verdict}", report.outcome),
        None => report.outcome.to_string(),
    };
    format!("{ended}; `injector report {run}` has the rest, `injector acknowledge {run}` answers")
}

struct Around<'r> {
    run: &'r RunId,
    directory: &'r Path,
    path: PathBuf,
    since_ns: u64,
    since_unix_ms: u64,
    message: Arc<Message>,
}

impl Surroundings for Around<'_> {
    fn now_ns(&self) -> u64 {
        boot_ns()
    }

    fn rest(&mut self) {
        thread::sleep(LOOK_EVERY);
    }

    fn tell(&mut self, link: &Link) -> Receiver<Result<(), String>> {
        notifier::tell_one(&link.way, &self.message)
    }

    fn answer(&mut self) -> Option<Answer> {
        let given = approval::read(self.directory, self.run, AnswerFile::Acknowledgement);
        acknowledged(given, self.since_ns).or_else(|| {
            // One that was pulled before is what the run was halted by, and no answer to that.
            let halt = kill_switch::standing(self.directory).ok().flatten()?;
            (halt.since_unix_ms >= self.since_unix_ms).then_some(Answer::Halted { halt })
        })
    }

    /// Where its journal was deleted, the run is forgotten.
    fn is_over(&self) -> bool {
        !self.path.exists()
    }

    fn turn(&mut self, turn: Escalated) {
        if self.path.exists() {
            // A disk that does not take it keeps no person from being told.
            let _ = Journal::note(&self.path, &Record::Escalated { turn });
        }
    }
}
