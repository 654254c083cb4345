//! Asks for the approval that a gate waits for.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    thread,
    time::Duration,
};

use injector_host::kernel::{self, clock::boot_ns};
use injector_record::{
    escalation::{Answer, Escalated, Matter},
    gate::GateEnd,
    journal::{self, RunId},
};

use super::{
    Chain, Link,
    asking::{Surroundings, ask},
};
use crate::{
    approval::{self, AnswerFile},
    halt_monitor::Threads,
    notifier::{self, Message},
};

/// How often an acknowledgement is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The asking for one approval.
pub struct AtGate {
    since_ns: u64,
    posted: Arc<Mutex<Vec<Escalated>>>,
    /// Whether an answer, or the want of one, is among what was taken.
    is_told: bool,
}

impl AtGate {
    /// Begins to ask, on one of these threads; `why` says what is waited for, and the command that answers.
    pub fn begin(
        chain: &Chain,
        run: &RunId,
        (name, why): (&str, &str),
        threads: &mut Threads,
    ) -> Result<Self, kernel::Error> {
        let since_ns = boot_ns();
        let posted = Arc::<Mutex<Vec<Escalated>>>::default();
        let message = Arc::new(Message::of_decision(run, name, Matter::Gate, why, None));
        let (chain, run, to) = (chain.clone(), run.clone(), Arc::clone(&posted));
        threads.spawn("escalation", move |is_over| {
            let mut around = Around {
                run: &run,
                since_ns,
                message,
                posted: &to,
                is_over,
            };
            ask(&chain, Matter::Gate, &mut around);
        })?;
        Ok(Self {
            since_ns,
            posted,
            is_told: false,
        })
    }

    /// The turns since the last time.
    pub fn turns(&mut self) -> Vec<Escalated> {
        let turns = std::mem::take(&mut *lock(&self.posted));
        self.is_told |= turns.iter().any(Escalated::is_last);
        turns
    }

    /// The last turns, now that the gate's wait has ended so.
    pub fn end(mut self, end: &GateEnd) -> Vec<Escalated> {
        let mut turns = self.turns();
        if !self.is_told {
            let after_ms = boot_ns().saturating_sub(self.since_ns) / 1_000_000;
            let by = match end {
                GateEnd::Approved { approval } => Some(Answer::Approved {
                    approval: approval.clone(),
                }),
                GateEnd::RunEnded => Some(Answer::RunEnded),
                GateEnd::Answered | GateEnd::Ran { .. } | GateEnd::TimedOut { .. } => None,
            };
            turns.push(by.map_or(Escalated::Unanswered { after_ms }, |by| {
                Escalated::Answered { by, after_ms }
            }));
        }
        turns
    }
}

/// What the thread stands in.
struct Around<'t> {
    run: &'t RunId,
    since_ns: u64,
    message: Arc<Message>,
    posted: &'t Mutex<Vec<Escalated>>,
    is_over: &'t AtomicBool,
}

impl Surroundings for Around<'_> {
    fn now_ns(&self) -> u64 {
        boot_ns()
    }

    fn rest(&mut self) {
        thread::park_timeout(LOOK_EVERY);
    }

    fn tell(&mut self, link: &Link) -> Receiver<Result<(), String>> {
        notifier::tell_one(&link.way, &self.message)
    }

    fn answer(&mut self) -> Option<Answer> {
        let directory = journal::directory();
        let given = approval::read(&directory, self.run, AnswerFile::Acknowledgement);
        acknowledged(given, self.since_ns)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn turn(&mut self, turn: Escalated) {
        lock(self.posted).push(turn);
    }
}

/// The answer that an acknowledgement is, unless it is from before.
pub(super) fn acknowledged(
    given: Option<injector_record::escalation::Acknowledgement>,
    since_ns: u64,
) -> Option<Answer> {
    let acknowledgement = given.filter(|one| one.boot_ns >= since_ns)?;
    Some(Answer::Acknowledged { acknowledgement })
}

/// A thread that broke while it posted has posted whole turns.
fn lock(posted: &Mutex<Vec<Escalated>>) -> MutexGuard<'_, Vec<Escalated>> {
    posted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use injector_record::{escalation::Acknowledgement, gate::Approval};

    use super::*;

    fn asking(turns: Vec<Escalated>) -> AtGate {
        AtGate {
            since_ns: boot_ns(),
            posted: Arc::new(Mutex::new(turns)),
            is_told: false,
        }
    }

    #[test]
    fn a_gate_that_ends_has_an_answer_or_the_want_of_one() {
        let approval = Approval {
            by_uid: 0,
            by_pid: 7,
            login_uid: None,
            boot_ns: 9,
            step: "go".into(),
        };
        let answer = |end: &GateEnd| match asking(Vec::new()).end(end).pop() {
            Some(Escalated::Answered { by, .. }) => Some(by),
            Some(Escalated::Unanswered { .. }) => None,
            other => panic!("{other:?}"),
        };
        let approved = GateEnd::Approved {
            approval: approval.clone(),
        };
        assert_eq!(answer(&approved), Some(Answer::Approved { approval }));
        assert_eq!(answer(&GateEnd::RunEnded), Some(Answer::RunEnded));
        assert_eq!(answer(&GateEnd::TimedOut { last: None }), None);
        // One who has taken it over before has answered already.
        let acknowledgement = Acknowledgement {
            by_uid: 0,
            by_name: None,
            by_pid: 7,
            login_uid: None,
            boot_ns: 9,
        };
        let by = Answer::Acknowledged { acknowledgement };
        let mut taken = asking(vec![Escalated::Answered { by, after_ms: 5 }]);
        assert_eq!(taken.turns().len(), 1);
        assert_eq!(taken.end(&GateEnd::RunEnded), []);
    }
}
