//! Waits at a gate: for a right answer, or for a person.
//!
//! A thread of its own asks, or looks for the approval; the run's loop looks at what it has posted, and never waits for a
//! service or a disk. Halt conditions, the kill switch and orders end a run that waits as they end any other.

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
};
use injector_spec::experiment::Gate;

use crate::{
    approval::{self, AnswerFile},
    escalation::{AtGate, Chain},
    halt_monitor::{Threads, keep_asking},
};

/// How often an approval is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A gate at which a run waits.
pub struct Waiting {
    step: String,
    since_ns: u64,
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
}

impl Waiting {
    /// Begins to wait; `guard` says whom a pattern of a probe never means.
    pub fn begin(
        gate: Gate,
        step: &str,
        run: &RunId,
        guard: &Guard,
    ) -> Result<Self, kernel::Error> {
        let since_ns = boot_ns();
        let posted = Arc::<Mutex<Posted>>::default();
        let mut threads = Threads::default();
        let to = Arc::clone(&posted);
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
                let (run, step) = (run.clone(), step.to_owned());
                threads.spawn("gate", move |is_over| {
                    let opened = await_approval(&run, &step, since_ns, is_over);
                    lock(&to).opened = opened;
                })?;
            }
        }
        Ok(Self {
            step: step.to_owned(),
            since_ns,
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

    /// Whether the run may go on.
    pub fn is_open(&self) -> bool {
        lock(&self.posted).opened.is_some()
    }

    /// Ends the wait; `shut` is how it ended where nothing has opened the gate. No thread is waited for.
    pub fn end(self, shut: Shut) -> (GateReport, Vec<Escalated>) {
        self.threads.leave();
        let waited_ms = boot_ns().saturating_sub(self.since_ns) / 1_000_000;
        let mut posted = lock(&self.posted);
        let end = posted.opened.take().unwrap_or_else(|| match shut {
            Shut::TimeIsOver => GateEnd::TimedOut {
                last: posted.last.take(),
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
        Waiting::begin(gate, "go", &run, &Guard::new(std::process::id())).unwrap()
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
        assert!(!gate.is_open());
        let (report, _) = gate.end(Shut::TimeIsOver);
        assert!(
            matches!(&report.end, GateEnd::TimedOut { last: Some(_) }),
            "{report}"
        );

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let gate = waiting(until(&format!("tcp {address} every 100ms")));
        while !gate.is_open() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(gate.end(Shut::TimeIsOver).0.end, GateEnd::Answered);
    }

    #[test]
    fn without_a_person_it_stays_shut() {
        let gate = waiting(Gate::Approve);
        thread::sleep(Duration::from_millis(120));
        assert!(!gate.is_open());
        assert_eq!(gate.end(Shut::RunIsOver).0.end, GateEnd::RunEnded);
    }
}
