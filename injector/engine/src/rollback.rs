//! Runs the commands of a rollback, where a run has ended by a breach.
//!
//! They come when nothing fires any more and everything is put back, and before people are told, who hear how they came
//! out. The thread of the run waits for each, so the run is on record as running until the last has ended.
//!
//! Invariants:
//! - No command delays the end of a fault: all of them come after it.
//! - None outlives its deadline. Where the run is asked to end meanwhile, they have [`LEFT`] together: its supervisor gives
//!   it 8 s, of which the notifiers may take 5.
//!
//! Rejected: the guardian, for a worker that was killed. It holds what undoes changes and must not wait for a program;
//! the journal of such a run says that it was aborted, and the person who reads it has the commands.

use std::{
    io,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use injector_record::{
    report::RunReport,
    rollback::{CommandEnd, RolledBack},
};
use injector_spec::{experiment::RollbackCommand, quantity::duration::millis};

use crate::{
    executor::Order,
    halt_monitor::{Ending, ExecHelper},
};

/// What is left to all commands together once the run was asked to end.
const LEFT: Duration = Duration::from_secs(2);

/// How often it is looked whether the run is asked to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs the commands one after the other where the report tells of a breach; `note` hears of each when it has ended.
/// `asked_to_end` is when the run was asked to end, if that was after its faults were off.
pub fn run(
    commands: &[RollbackCommand],
    report: &RunReport,
    orders: &Receiver<Order>,
    asked_to_end: Option<Instant>,
    note: &mut dyn FnMut(&RolledBack),
) -> Vec<RolledBack> {
    let Some((outcome, why)) = report.breach() else {
        return Vec::new();
    };
    let run = report.run.to_string();
    let about = [
        ("INJECTOR_RUN", run.as_str()),
        ("INJECTOR_EXPERIMENT", &report.name),
        ("INJECTOR_OUTCOME", outcome),
        ("INJECTOR_REASON", why),
    ];
    let mut patience = Patience {
        orders,
        ends_at: asked_to_end.map(|at| at + LEFT),
    };
    let mut all = Vec::new();
    for command in commands {
        let one = patience.run(command, about);
        note(&one);
        all.push(one);
    }
    all
}

/// How long commands are waited for.
struct Patience<'o> {
    orders: &'o Receiver<Order>,
    /// Since the run was asked to end: until when.
    ends_at: Option<Instant>,
}

impl Patience<'_> {
    fn run(&mut self, command: &RollbackCommand, about: [(&str, &str); 4]) -> RolledBack {
        self.hear(Duration::ZERO);
        let begun = Instant::now();
        let end = if self.is_over() {
            Ending::NotWanted
        } else {
            let helper = ExecHelper::new(&command.command);
            let helper = about
                .into_iter()
                .fold(helper, |helper, (name, value)| helper.tell(name, value));
            self.wait(helper, command.within)
                .unwrap_or_else(|error| Ending::NotStarted(error.to_string()))
        };
        let took = match end {
            Ending::NotStarted(_) => Duration::ZERO,
            _ => begun.elapsed(),
        };
        RolledBack {
            command: command.command.clone(),
            took_ms: millis(took),
            end: said(end),
        }
    }

    /// Runs one on a thread of its own, and hears orders meanwhile.
    fn wait(&mut self, helper: ExecHelper, within: Duration) -> io::Result<Ending> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiting = thread::Builder::new()
                .name("rollback".into())
                .spawn_scoped(scope, || helper.run(within, &is_over))?;
            while !waiting.is_finished() {
                self.hear(LOOK_EVERY);
                is_over.store(self.is_over(), Ordering::Relaxed);
            }
            let broke = |_| io::Error::other("the thread that waited for it broke");
            waiting.join().map_err(broke)
        })
    }

    fn is_over(&self) -> bool {
        self.ends_at.is_some_and(|at| Instant::now() >= at)
    }

    /// Hears for so long whether the run is asked to end.
    fn hear(&mut self, pause: Duration) {
        match self.orders.recv_timeout(pause) {
            Ok(Order::Stop) => {
                self.ends_at.get_or_insert(Instant::now() + LEFT);
            }
            Err(RecvTimeoutError::Timeout) => {}
            // No process is left that could ask.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(pause),
        }
    }
}

/// The end of a command, for the record.
pub(crate) fn said(ending: Ending) -> CommandEnd {
    match ending {
        Ending::Code(code) => CommandEnd::Exited { code },
        Ending::Signal(signal) => CommandEnd::Killed { signal },
        Ending::Late(within) => CommandEnd::TimedOut {
            within_ms: millis(within),
        },
        Ending::NotStarted(why) => CommandEnd::NotStarted { why },
        Ending::NotWanted => CommandEnd::CutShort,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use injector_record::report::Outcome;

    use super::*;

    fn report(outcome: Outcome) -> RunReport {
        RunReport {
            armed_for_ms: 5,
            ..RunReport::of("r000000010001".parse().unwrap(), "spike", outcome)
        }
    }

    fn halted() -> RunReport {
        report(Outcome::Halted {
            why: "too much".into(),
        })
    }

    /// The program that becomes another is the test's own here, so that none of these is ever the one that is named:
    /// `rollback::` of the end-to-end tests has real ones.
    fn command() -> RollbackCommand {
        RollbackCommand {
            command: vec!["/bin/true".into()],
            within: Duration::from_secs(5),
        }
    }

    #[test]
    fn only_a_breach_is_rolled_back() {
        let (_orders, inbox) = mpsc::channel();
        let why = || "it was so".to_owned();
        for outcome in [
            Outcome::Completed,
            Outcome::Stopped,
            Outcome::TargetEnded { why: why() },
            Outcome::Unsteady { why: why() },
            Outcome::GateShut { why: why() },
        ] {
            let mut noted = 0;
            let all = run(&[command()], &report(outcome), &inbox, None, &mut |_| {
                noted += 1;
            });
            assert!(all.is_empty() && noted == 0);
        }
        let unsafe_end = RunReport {
            fail_on: None,
            signs: None,
            undo_errors: vec!["sysctl x: gone".into()],
            ..report(Outcome::Completed)
        };
        for breach in [halted(), unsafe_end] {
            let mut noted = Vec::new();
            let both = [command(), command()];
            let all = run(&both, &breach, &inbox, None, &mut |one| {
                noted.push(one.clone());
            });
            assert_eq!((all.len(), &all), (2, &noted));
        }
    }

    #[test]
    fn a_run_that_is_asked_to_end_begins_no_command_after_its_time() {
        let (orders, inbox) = mpsc::channel();
        orders.send(Order::Stop).unwrap();
        let mut patience = Patience {
            orders: &inbox,
            ends_at: None,
        };
        patience.hear(Duration::ZERO);
        assert!(!patience.is_over(), "nothing is left to it");
        patience.ends_at = Some(Instant::now());
        let one = patience.run(&command(), [("A", "b"); 4]);
        assert_eq!((one.end, one.took_ms), (CommandEnd::CutShort, 0));
    }
}
