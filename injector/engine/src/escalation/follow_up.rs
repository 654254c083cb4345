//! Asks about a run that is over: a process of its own, started when the run's last record is said.
//!
//! It has a session of its own, is handed whom to ask as its standard input, reads the run's journal, and adds its turns to
//! it. It holds nothing of the run, not even a lock, and no process waits for it. Where it is killed, no person is asked any
//! more; what keeps it from asking is on record.
//!
//! Whom to ask is what the run was started with. Rejected: reading the configuration again. An hour later it may have a
//! mistake, or another name for the one who was to be told, and no person would hear of either. What is handed over has
//! addresses, which may be secrets, so it is in memory alone, and neither in an argument nor in the journal.

use std::{
    fs::File,
    io::{self, Read, Seek as _, Write as _},
    path::Path,
    process::Stdio,
    sync::{Arc, mpsc::Receiver},
    thread,
    time::Duration,
};

use injector_host::kernel::clock::boot_ns;
use injector_record::{
    escalation::{Answer, Escalated, Matter},
    journal::{self, Journal, Record, RunId, RunState},
    measure::Verdict,
    report::{Outcome, RunReport},
};
use injector_spec::{error::Refusal, quantity::duration::nanos};
use rustix::fs::{MemfdFlags, memfd_create};

use super::{
    Chain, Link,
    asking::{Surroundings, ask},
    at_gate::acknowledged,
    slots::{self, Slot},
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

/// How often an answer is looked for: a person who was just told, and each that is told later.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOK_LATER_EVERY: Duration = Duration::from_secs(1);

/// How long after its begin it is looked often.
const LOOK_OFTEN_FOR: Duration = Duration::from_mins(1);

/// The longest list of those who are asked, in bytes: several times what a configuration may have.
const LONGEST: u64 = 8 << 20;

/// Whether a person may have to decide about a run with this report.
pub fn is_wanted(report: &RunReport) -> bool {
    matter(report, || true).is_some()
}

/// What is to be decided, if anything; the question is whether the run of the same experiment before it was inconclusive.
fn matter(report: &RunReport, was_inconclusive: impl FnOnce() -> bool) -> Option<Matter> {
    let verdict = report.verdict();
    let is_unsafe = !report.undo_errors.is_empty() || matches!(verdict, Some(Verdict::Unsafe(_)));
    let is_inconclusive = matches!(verdict, Some(Verdict::Inconclusive(_)));
    match &report.outcome {
        Outcome::Halted { .. } => Some(Matter::Halted),
        Outcome::Failed { .. } => Some(Matter::Failed),
        Outcome::Stopped
        | Outcome::Completed
        | Outcome::TargetEnded { .. }
        | Outcome::Unsteady { .. }
        | Outcome::GateShut { .. }
            if is_unsafe =>
        {
            Some(Matter::Unsafe)
        }
        // A person has ended it, and knows.
        Outcome::Stopped => None,
        Outcome::Completed
        | Outcome::TargetEnded { .. }
        | Outcome::Unsteady { .. }
        | Outcome::GateShut { .. } => {
            (is_inconclusive && was_inconclusive()).then_some(Matter::InconclusiveTwice)
        }
    }
}

/// Starts the process; it waits until the run's journal is closed. A run that cannot start it is over all the same; why is
/// returned.
pub fn start(run: &RunId, chain: &Chain) -> Result<(), String> {
    let mut command = spawn::own(COMMAND);
    let whom = in_memory(chain).map_err(|error| error.to_string())?;
    command
        .arg(run.as_str())
        .stdin(Stdio::from(whom))
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

/// Whom to ask, as a file without a name. A pipe may be full, and no end waits for its reader.
fn in_memory(chain: &Chain) -> io::Result<File> {
    let mut file = File::from(memfd_create("escalation", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(chain)?)?;
    file.rewind()?;
    Ok(file)
}

/// What [`start`] has handed over.
fn handed_over(file: impl Read) -> io::Result<Chain> {
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// The process's main function.
pub fn follow_up(run: &RunId) -> Result<(), Refusal> {
    let directory = journal::directory();
    let path = journal::file(&directory, run);
    let chain = handed_over(io::stdin().lock());
    let unreadable = |error: io::Error| {
        Refusal::failed(format!(
            "the journal of run {run} cannot be read: {error}; try again"
        ))
    };
    let deadline = boot_ns().saturating_add(nanos(CLOSED_WITHIN));
    let (listed, _) = loop {
        let read = journal::read(&path, run.clone()).map_err(unreadable)?;
        if read.0.state != RunState::Running || boot_ns() >= deadline {
            break read;
        }
        thread::sleep(LOOK_EVERY);
    };
    let Some(report) = listed.report else {
        return Ok(());
    };
    // A disk that takes no turn keeps no person from being told.
    let mut journal = Journal::reopen(&path).ok();
    let mut unread = None;
    let was_inconclusive = || {
        let before = journal::was_inconclusive_before(&directory, run);
        before.unwrap_or_else(|error| {
            unread = Some(format!(
                "whether the run before it was inconclusive cannot be read: {error}"
            ));
            false
        })
    };
    let Some(matter) = matter(&report, was_inconclusive) else {
        if let Some(why) = unread {
            note(&mut journal, Escalated::NotAsked { why });
        }
        return Ok(());
    };
    let (chain, _slot) = match seated(chain, &directory) {
        Ok(seated) => seated,
        Err(why) => {
            note(&mut journal, Escalated::NotAsked { why });
            return Ok(());
        }
    };
    let why = why(&report);
    let message = Message::of_decision(run, &report.name, matter, &why, Some(&report));
    let mut around = Around {
        run,
        directory: &directory,
        path: &path,
        journal,
        since_ns: boot_ns(),
        since_unix_ms: journal::unix_ms(),
        message: Arc::new(message),
    };
    ask(&chain, matter, &mut around);
    Ok(())
}

/// Those who are asked, with the place of this process; or why they are not asked.
fn seated(chain: io::Result<Chain>, directory: &Path) -> Result<(Chain, io::Result<Slot>), String> {
    let chain = chain.map_err(|error| format!("whom to ask was not handed over: {error}"))?;
    if chain.is_empty() {
        return Err("no notifier was handed over".into());
    }
    // Where it cannot be counted how many there are, people are told all the same.
    let slot = Slot::take(directory).transpose().ok_or_else(|| {
        let names = chain.names();
        format!(
            "{} runs are asked about already, so {names} are not told of this one",
            slots::MOST
        )
    })?;
    Ok((chain, slot))
}

fn note(journal: &mut Option<Journal>, turn: Escalated) {
    if let Some(journal) = journal {
        let _ = journal.append(&Record::Escalated { turn });
    }
}

/// How long to look away, so long after the begin.
fn rest(since_begin_ns: u64) -> Duration {
    if since_begin_ns < nanos(LOOK_OFTEN_FOR) {
        LOOK_EVERY
    } else {
        LOOK_LATER_EVERY
    }
}

/// Why a person is asked, and what answers.
fn why(report: &RunReport) -> String {
    let run = &report.run;
    let ended = match report.verdict().and_then(Verdict::why) {
        Some(verdict) => format!("{}: {verdict}", report.outcome),
        None => report.outcome.to_string(),
    };
    format!("{ended}; `injector report {run}` has the rest, `injector acknowledge {run}` answers")
}

struct Around<'r> {
    run: &'r RunId,
    directory: &'r Path,
    path: &'r Path,
    journal: Option<Journal>,
    since_ns: u64,
    since_unix_ms: u64,
    message: Arc<Message>,
}

impl Surroundings for Around<'_> {
    fn now_ns(&self) -> u64 {
        boot_ns()
    }

    fn rest(&mut self) {
        thread::sleep(rest(boot_ns().saturating_sub(self.since_ns)));
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
        note(&mut self.journal, turn);
    }
}

#[cfg(test)]
mod tests {
    use injector_record::measure::Judgement;

    use super::*;
    use crate::escalation::{Link, NotifierName, NotifierWay};

    #[test]
    fn whom_to_ask_comes_as_it_was_handed_over() {
        let ways = [
            NotifierWay::Command(vec!["/bin/page".into(), "--team=a b".into()]),
            NotifierWay::Webhook("http://127.0.0.1:9093/S3CR3T?a=b".parse().unwrap()),
            NotifierWay::Journald,
        ];
        let link = |(index, way)| Link {
            to: format!("n{index}").parse::<NotifierName>().unwrap(),
            way,
            within: Duration::from_millis(90_500),
        };
        let chain = Chain(ways.into_iter().enumerate().map(link).collect());
        assert_eq!(handed_over(in_memory(&chain).unwrap()).unwrap(), chain);
        let directory = tempfile::tempdir().unwrap();
        let why = |chain| seated(chain, directory.path()).unwrap_err();
        assert!(why(handed_over(&b"{"[..])).contains("was not handed over"));
        assert!(why(Ok(Chain::default())).contains("no notifier"));
        let slots: Vec<_> = (0..slots::MOST)
            .map(|_| seated(Ok(chain.clone()), directory.path()).unwrap())
            .collect();
        let full = why(Ok(chain.clone()));
        assert!(
            full.contains("16 runs") && full.contains("n0, n1, n2"),
            "{full}"
        );
        drop(slots);
        let absent = directory.path().join("absent");
        let (uncounted, slot) = seated(Ok(chain.clone()), &absent).unwrap();
        assert!(uncounted == chain && slot.is_err());
    }

    #[test]
    fn it_is_looked_less_often_after_a_while() {
        assert_eq!(rest(0), LOOK_EVERY);
        assert_eq!(rest(nanos(LOOK_OFTEN_FOR)), LOOK_LATER_EVERY);
    }

    fn report(outcome: Outcome, verdict: Option<Verdict>, undo_errors: Vec<String>) -> RunReport {
        let judgement = verdict.map(|verdict| {
            Box::new(Judgement {
                rto_ms: 1,
                planned: 1,
                met: 1,
                ..Judgement::of(verdict)
            })
        });
        RunReport {
            armed_for_ms: 5,
            judgement,
            undo_errors,
            ..RunReport::of("r000000010001".parse().unwrap(), "asked", outcome)
        }
    }

    #[test]
    fn a_run_that_was_stopped_is_asked_about_where_it_did_harm() {
        let why = || "x".to_owned();
        let harm = || Some(Verdict::Unsafe(why()));
        let unclear = || Some(Verdict::Inconclusive(why()));
        let halted = || Outcome::Halted { why: why() };
        let twice = Matter::InconclusiveTwice;
        for (outcome, verdict, undo_errors, expected) in [
            (Outcome::Stopped, None, vec![], None),
            (Outcome::Stopped, unclear(), vec![], None),
            (Outcome::Stopped, harm(), vec![], Some(Matter::Unsafe)),
            (Outcome::Stopped, None, vec![why()], Some(Matter::Unsafe)),
            (Outcome::Completed, unclear(), vec![], Some(twice)),
            (
                Outcome::Completed,
                unclear(),
                vec![why()],
                Some(Matter::Unsafe),
            ),
            (Outcome::Completed, Some(Verdict::Held), vec![], None),
            (halted(), harm(), vec![], Some(Matter::Halted)),
        ] {
            let report = report(outcome, verdict, undo_errors);
            assert_eq!(matter(&report, || true), expected, "{report:?}");
        }
        let once = report(Outcome::Completed, unclear(), vec![]);
        assert_eq!(matter(&once, || false), None);
    }
}
