//! The order of the asking, by a clock and a surrounding that its caller brings.

use std::sync::mpsc::{Receiver, TryRecvError};

use injector_record::escalation::{Answer, Escalated, Matter};
use injector_spec::{
    escalation::NotifierName,
    quantity::{duration, duration::nanos},
};

use super::{Chain, Link};
use crate::notifier::WITHIN;

/// What the asking stands in.
pub(super) trait Surroundings {
    /// Now, on the boot clock, in nanoseconds.
    fn now_ns(&self) -> u64;
    /// Waits for a moment.
    fn rest(&mut self);
    /// Begins to tell one, by a thread of its own; how that went comes later.
    fn tell(&mut self, link: &Link) -> Receiver<Result<(), String>>;
    /// The answer, where there is one by now.
    fn answer(&mut self) -> Option<Answer>;
    /// Whether no answer is wanted any more.
    fn is_over(&self) -> bool;
    /// Takes a turn over for the record.
    fn turn(&mut self, turn: Escalated);
}

/// One who was told, while it is not known how that went.
struct Told {
    to: NotifierName,
    outcome: Receiver<Result<(), String>>,
    /// When it is given up, on the boot clock, in nanoseconds.
    until_ns: u64,
}

/// What one look has shown.
enum Seen {
    /// There is an answer, or none is wanted.
    Over,
    /// The asking goes on; these could not be told.
    GoesOn { not_reached: Vec<NotifierName> },
}

/// How the wait for one of them ended.
enum Waited {
    /// There is an answer, or none is wanted.
    Over,
    /// The time is over, or this one could not be told.
    Next,
}

/// Asks one after the other. One who cannot be told is not waited for.
pub(super) fn ask(chain: &Chain, matter: Matter, around: &mut dyn Surroundings) {
    let began = around.now_ns();
    let mut told = Vec::new();
    for link in &chain.0 {
        let within = nanos(link.within);
        let now = around.now_ns();
        // Told first: a disk that stands still keeps the record, and no person from hearing of it.
        told.push(Told {
            to: link.to.clone(),
            outcome: around.tell(link),
            until_ns: now.saturating_add(nanos(WITHIN)),
        });
        around.turn(Escalated::Asked {
            to: link.to.clone(),
            channel: link.way.channel(),
            matter,
            within_ms: within / 1_000_000,
            after_ms: since(began, now),
        });
        let until = now.saturating_add(within);
        match wait(&link.to, until, began, &mut told, around) {
            Waited::Over => return,
            Waited::Next => {}
        }
    }
    // Telling may take longer than the last of them had to answer.
    loop {
        match look(&mut told, began, around) {
            Seen::Over => return,
            Seen::GoesOn { .. } => give_up(&mut told, began, around),
        }
        if told.is_empty() {
            break;
        }
        around.rest();
    }
    let after_ms = since(began, around.now_ns());
    around.turn(Escalated::Unanswered { after_ms });
}

fn wait(
    whom: &NotifierName,
    until_ns: u64,
    began_ns: u64,
    told: &mut Vec<Told>,
    around: &mut dyn Surroundings,
) -> Waited {
    loop {
        let not_reached = match look(told, began_ns, around) {
            Seen::Over => return Waited::Over,
            Seen::GoesOn { not_reached } => not_reached,
        };
        if around.now_ns() >= until_ns || not_reached.contains(whom) {
            return Waited::Next;
        }
        around.rest();
    }
}

/// Looks for how telling went, and for an answer.
fn look(told: &mut Vec<Told>, began_ns: u64, around: &mut dyn Surroundings) -> Seen {
    let not_reached = hear(told, began_ns, around);
    if around.is_over() {
        return Seen::Over;
    }
    let now = around.now_ns();
    if let Some(by) = around.answer() {
        let after_ms = since(began_ns, now);
        around.turn(Escalated::Answered { by, after_ms });
        return Seen::Over;
    }
    Seen::GoesOn { not_reached }
}

/// Takes over how telling went; whom it did not reach.
fn hear(told: &mut Vec<Told>, began_ns: u64, around: &mut dyn Surroundings) -> Vec<NotifierName> {
    let mut not_reached = Vec::new();
    told.retain(|Told { to, outcome, .. }| {
        let outcome = match outcome.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => Err("the thread that told it broke".to_owned()),
        };
        let (to, after_ms) = (to.clone(), since(began_ns, around.now_ns()));
        around.turn(match outcome {
            Ok(()) => Escalated::Reached { to, after_ms },
            Err(why) => {
                not_reached.push(to.clone());
                Escalated::NotReached { to, after_ms, why }
            }
        });
        false
    });
    not_reached
}

/// Says of those who have had their time to be told that they were not.
fn give_up(told: &mut Vec<Told>, began_ns: u64, around: &mut dyn Surroundings) {
    let now = around.now_ns();
    told.retain(|Told { to, until_ns, .. }| {
        if now < *until_ns {
            return true;
        }
        around.turn(Escalated::NotReached {
            to: to.clone(),
            after_ms: since(began_ns, now),
            why: format!("no answer within {}", duration::format(WITHIN)),
        });
        false
    });
}

/// Milliseconds from one moment to another.
const fn since(began_ns: u64, now_ns: u64) -> u64 {
    now_ns.saturating_sub(began_ns) / 1_000_000
}
