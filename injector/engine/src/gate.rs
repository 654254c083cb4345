//! Waits at a gate: for a right answer, for a person, or for the end of a command.
//!
//! A thread of its own asks, looks for the approval, or runs the command; the run's loop looks at what it has posted, and never waits for a
//! service, a program or a disk. Halt conditions, the kill switch and orders end a run that waits as they end any other; a
//! command that still runs then is killed with its process group by the thread that has started it.

mod last_line;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use injector_host::{
    kernel::{self, clock::boot_ns},
    targets::guard::Guard,
};
use injector_record::{
    escalation::Escalated,
    gate::{Approval, GateEnd, GateReport},
    journal::{self, RunId},
    rollback::CommandEnd,
};
use injector_spec::{experiment::Gate, quantity::duration::millis};

use self::last_line::LastLine;
use crate::{
    approval::{self, AnswerFile},
    escalation::{AtGate, Chain},
    halt_monitor::{ExecHelper, Threads, keep_asking},
    rollback,
};

/// How often an approval is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A gate at which a run waits.
pub struct Waiting {
    step: String,
    since_ns: u64,
    /// How long a command has, where one is run.
    command_within: Option<Duration>,
    posted: Arc<Mutex<Posted>>,
    threads: Threads,
    /// Who is asked to come.
    asking: Option<AtGate>,
}

/// What the thread has found.
#[derive(Default)]
struct Posted {
    opened: Option<GateEnd>,
    /// What was wrong with the last answer.
    last: Option<String>,
    /// The end of what a command has printed.
    printed: LastLine,
}

/// Whose gate it is.
pub struct Whose<'w> {
    /// The run.
    pub run: &'w RunId,
    /// The experiment's name.
    pub experiment: &'w str,
    /// The step's name.
    pub step: &'w str,
    /// How long is waited at most.
    pub longest: Duration,
}

impl Waiting {
    /// Begins to wait; `guard` says whom a pattern of a probe never means.
    pub fn begin(gate: Gate, whose: &Whose<'_>, guard: &Guard) -> Result<Self, kernel::Error> {
        let since_ns = boot_ns();
        let posted = Arc::<Mutex<Posted>>::default();
        let mut threads = Threads::default();
        let to = Arc::clone(&posted);
        let mut command_within = None;
        match gate {
            Gate::Until(question) => {
                let guard = guard.clone();
                threads.spawn("gate", move |is_over| {
                    let post = |answer: Result<(), String>| {
                        let mut posted = lock(&to);
                        match answer {
                            Ok(()) => posted.opened = Some(GateEnd::Answered),
                            Err(why) => posted.last = Some(why),
                        }
                    };
                    keep_asking(&question.probe, question.pace, &guard, is_over, |one| {
                        post(one.answer);
                    });
                })?;
            }
            Gate::Approve => {
                let (run, step) = (whose.run.clone(), whose.step.to_owned());
                threads.spawn("gate", move |is_over| {
                    let opened = await_approval(&run, &step, since_ns, is_over);
                    lock(&to).opened = opened;
                })?;
            }
            Gate::Run(command) => {
                let within = whose.longest;
                let helper = ExecHelper::new(&command)
                    .tell("INJECTOR_RUN", &whose.run.to_string())
                    .tell("INJECTOR_EXPERIMENT", whose.experiment)
                    .tell("INJECTOR_STEP", whose.step);
                threads.spawn("command", move |is_over| {
                    let ending = helper.follow_all(within, is_over, |printed| {
                        lock(&to).printed.push(printed);
                    });
                    let mut posted = lock(&to);
                    posted.opened = Some(GateEnd::Ran {
                        end: rollback::said(ending),
                        said: posted.printed.text(),
                    });
                })?;
                command_within = Some(within);
            }
        }
        Ok(Self {
            step: whose.step.to_owned(),
            since_ns,
            command_within,
            posted,
            threads,
            asking: None,
        })
    }

    /// Begins to ask these for the approval; `why` says what is waited for, and the command that answers.
    pub fn ask(
        &mut self,
        chain: &Chain,
        run: &RunId,
        name_and_why: (&str, &str),
    ) -> Result<(), kernel::Error> {
        if !chain.is_empty() {
            let asking = AtGate::begin(chain, run, name_and_why, &mut self.threads)?;
            self.asking = Some(asking);
        }
        Ok(())
    }

    /// What came of the asking since the last time.
    pub fn escalated(&mut self) -> Vec<Escalated> {
        self.asking.as_mut().map(AtGate::turns).unwrap_or_default()
    }

    /// Whether there is nothing to wait for any more: it is open, or its command has failed.
    pub fn is_over(&self) -> bool {
        lock(&self.posted).opened.is_some()
    }

    /// Ends the wait; `shut` is how it ended where nothing has opened the gate. No thread is waited for.
    pub fn end(self, shut: Shut) -> (GateReport, Vec<Escalated>) {
        self.threads.leave();
        let waited_ms = boot_ns().saturating_sub(self.since_ns) / 1_000_000;
        let mut posted = lock(&self.posted);
        let end = posted.opened.take().unwrap_or_else(|| match shut {
            Shut::TimeIsOver => match self.command_within {
                Some(within) => GateEnd::Ran {
                    end: CommandEnd::TimedOut {
                        within_ms: millis(within),
                    },
                    said: posted.printed.text(),
                },
                None => GateEnd::TimedOut {
                    last: posted.last.take(),
                },
            },
            Shut::RunIsOver => GateEnd::RunEnded,
        });
        drop(posted);
        let turns = self.asking.map(|asking| asking.end(&end));
        let report = GateReport {
            step: self.step,
            waited_ms,
            end,
        };
        (report, turns.unwrap_or_default())
    }
}

/// Why a run waits no longer at a gate that is shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// It has waited as long as it was to.
    TimeIsOver,
    /// Something else has ended it.
    RunIsOver,
}

fn await_approval(run: &RunId, step: &str, since_ns: u64, is_over: &AtomicBool) -> Option<GateEnd> {
    let directory = journal::directory();
    while !is_over.load(Ordering::Relaxed) {
        let given: Option<Approval> = approval::read(&directory, run, AnswerFile::Approval);
        let given = given.filter(|one| one.step == step && one.boot_ns >= since_ns);
        if let Some(approval) = given {
            return Some(GateEnd::Approved { approval });
        }
        thread::park_timeout(LOOK_EVERY);
    }
    None
}

/// A thread that broke while it posted has posted whole words.
fn lock(posted: &Mutex<Posted>) -> std::sync::MutexGuard<'_, Posted> {
    posted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, time::Instant};

    use super::*;

    fn waiting(gate: Gate) -> Waiting {
        let run = "r000000010001".parse().unwrap();
        let whose = Whose {
            run: &run,
            experiment: "gated",
            step: "go",
            longest: Duration::from_secs(5),
        };
        Waiting::begin(gate, &whose, &Guard::new(std::process::id())).unwrap()
    }

    fn until(line: &str) -> Gate {
        Gate::Until(Box::new(line.parse().unwrap()))
    }

    #[test]
    fn the_first_right_answer_opens_it_and_the_last_wrong_one_is_told() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let gate = waiting(until(&format!("tcp {closed} every 100ms")));
        let deadline = Instant::now() + Duration::from_secs(5);
        while lock(&gate.posted).last.is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!gate.is_over());
        let (report, _) = gate.end(Shut::TimeIsOver);
        assert!(
            matches!(&report.end, GateEnd::TimedOut { last: Some(_) }),
            "{report}"
        );

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let gate = waiting(until(&format!("tcp {address} every 100ms")));
        while !gate.is_over() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(gate.end(Shut::TimeIsOver).0.end, GateEnd::Answered);
    }

    /// The program that becomes another is the test's own here, which takes the words for names of tests, and ends with 0
    /// where there is none; the last line that it prints is the count of them. `gate::` of the end-to-end tests has real
    /// ones, with all ends.
    #[test]
    fn the_end_of_a_command_opens_it_and_its_last_line_is_told() {
        let gate = waiting(Gate::Run(vec!["no-such-test".to_owned()]));
        let deadline = Instant::now() + Duration::from_secs(5);
        while !gate.is_over() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let (report, _) = gate.end(Shut::TimeIsOver);
        assert!(report.is_open(), "{report}");
        assert!(report.to_string().contains("0 passed"), "{report}");
    }

    #[test]
    fn without_a_person_it_stays_shut() {
        let gate = waiting(Gate::Approve);
        thread::sleep(Duration::from_millis(120));
        assert!(!gate.is_over());
        assert_eq!(gate.end(Shut::RunIsOver).0.end, GateEnd::RunEnded);
    }
}
