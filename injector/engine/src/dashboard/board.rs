//! What the dashboard knows of a run, from its turns.

use std::collections::VecDeque;

use injector_record::{
    event::{EventKind, Limits, RunEvent},
    journal::RunId,
};
use injector_spec::{experiment::Placed, quantity::duration::nanos};

use super::{Outline, trace::Trace};
use crate::{live::Rate, tell};

/// Sentences that are remembered.
const NEWS: usize = 4;

/// Esc, which means no.
const ESCAPE: u8 = 0x1b;

/// Ctrl-Z, where the terminal hands it over as a key.
const SUSPEND: u8 = 0x1a;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// The command whose run it is: leaving is an end of the run.
    Owner,
    /// Another command.
    Reader,
}

/// What a person wants by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The run is to end.
    Halt,
    /// The dashboard is to close, and the run goes on.
    Leave,
    /// The command is to stand still, as by Ctrl-Z.
    Suspend,
}

/// What is asked on the last row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Nothing.
    Nothing,
    /// Whether the run is to end.
    ToHalt,
    /// Nothing any more: it is to end.
    Halting,
}

/// A fault, with what it has done.
#[derive(Clone, Debug)]
pub(super) struct Acted {
    pub(super) placed: Placed,
    pub(super) hits: u64,
    pub(super) per_second: f64,
    rate: Rate,
}

/// How a run stands.
#[derive(Clone, Debug)]
pub struct Board {
    pub(super) outline: Outline,
    pub(super) viewer: Viewer,
    pub(super) run: Option<RunId>,
    /// How many steps have begun.
    pub(super) begun: usize,
    /// When the one at hand ends, on the boot clock.
    pub(super) step_until_ns: u64,
    /// Whether none is on since the last one ended.
    pub(super) is_between: bool,
    /// What a gate waits for.
    pub(super) waits: Option<String>,
    pub(super) faults: Vec<Acted>,
    pub(super) limits: Limits,
    /// All hits, their rate, and the bytes that were hit; absent until a progress was heard.
    pub(super) met: Option<(u64, f64, u64)>,
    pub(super) rate: Rate,
    pub(super) lease_until_ns: Option<u64>,
    pub(super) traces: Vec<Trace>,
    pub(super) news: VecDeque<String>,
    pub(super) asking: Asking,
}

impl Board {
    /// The board of a run that has not begun, at this time on the boot clock.
    pub fn new(outline: Outline, viewer: Viewer, now_ns: u64) -> Self {
        let traces = outline.probes.iter().cloned().map(Trace::of).collect();
        Self {
            outline,
            viewer,
            run: None,
            begun: 0,
            step_until_ns: now_ns,
            is_between: false,
            waits: None,
            faults: Vec::new(),
            limits: Limits::default(),
            met: None,
            rate: Rate::since(now_ns),
            lease_until_ns: None,
            traces,
            news: VecDeque::new(),
            asking: Asking::Nothing,
        }
    }

    /// Whether the run is armed, so that there is something to see.
    pub fn is_armed(&self) -> bool {
        self.run.is_some()
    }

    /// Takes a turn in.
    pub fn turn(&mut self, event: &RunEvent) {
        let now = event.boot_ns;
        match &event.what {
            EventKind::Armed { faults, limits } => {
                self.run = Some(event.run.clone());
                self.limits = *limits;
                let hits = |placed: &Placed| Acted {
                    placed: placed.clone(),
                    hits: 0,
                    per_second: 0.0,
                    rate: Rate::since(now),
                };
                self.faults = faults.iter().map(hits).collect();
            }
            EventKind::StepStarted { .. } => {
                let length = self.outline.steps.get(self.begun);
                let length = length.map_or(0, |step| nanos(step.duration));
                self.begun += 1;
                self.is_between = false;
                self.step_until_ns = now.saturating_add(length);
            }
            EventKind::StepEnded { .. } => self.is_between = true,
            EventKind::GateWaits { until, .. } => {
                self.waits = Some(until.clone());
                self.tell(&event.what);
            }
            EventKind::GateEnded { .. } => {
                self.waits = None;
                self.tell(&event.what);
            }
            EventKind::Sampled { answers } => {
                for trace in &mut self.traces {
                    if let Some(samples) = answers.get(&trace.probe.name) {
                        trace.answered(samples);
                    }
                }
            }
            EventKind::Progress {
                hits,
                by_fault,
                bytes,
                step_until_boot_ns,
                lease_until_boot_ns,
            } => {
                self.step_until_ns = *step_until_boot_ns;
                self.lease_until_ns = Some(*lease_until_boot_ns);
                self.met = Some((*hits, self.rate.now(now, *hits), *bytes));
                for (fault, hits) in self.faults.iter_mut().zip(by_fault) {
                    fault.hits = *hits;
                    fault.per_second = fault.rate.now(now, *hits);
                }
            }
            EventKind::Escalated { .. }
            | EventKind::DeviceCovered { .. }
            | EventKind::DeviceNotCovered { .. }
            | EventKind::ProcessNotCovered { .. }
            | EventKind::ProcessEnded { .. }
            | EventKind::TargetEnded { .. }
            | EventKind::TargetMet { .. }
            | EventKind::TargetNotMet { .. } => self.tell(&event.what),
            // A row for each would be gone before it is read; the counters have them.
            EventKind::Hit { .. }
            | EventKind::ConnectionReset { .. }
            | EventKind::EventsLost { .. }
            | EventKind::Ended { .. } => {}
        }
    }

    fn tell(&mut self, what: &EventKind) {
        self.remember(tell::sentence(what));
    }

    /// Shows a sentence among the last ones.
    pub fn remember(&mut self, sentence: String) {
        if self.news.len() == NEWS {
            self.news.pop_front();
        }
        self.news.push_back(sentence);
    }

    /// Takes a key in; what the person wants by it.
    pub fn key(&mut self, key: u8) -> Option<Wish> {
        if key == SUSPEND {
            return (self.viewer == Viewer::Reader).then_some(Wish::Suspend);
        }
        match (self.asking, key.to_ascii_lowercase(), self.viewer) {
            (Asking::Nothing | Asking::Halting, b'q', Viewer::Reader) => Some(Wish::Leave),
            (Asking::Nothing, b'q', Viewer::Owner) | (Asking::Nothing, b'h', _) => {
                self.asking = Asking::ToHalt;
                None
            }
            (Asking::ToHalt, b'y', _) => {
                self.asking = Asking::Halting;
                Some(Wish::Halt)
            }
            (Asking::ToHalt, b'n' | b'q' | ESCAPE, _) => {
                self.asking = Asking::Nothing;
                None
            }
            _ => None,
        }
    }

    /// Asks for the end of the run no more: it could not be ended.
    pub fn go_on(&mut self) {
        self.asking = Asking::Nothing;
    }

    /// The time that the run has left, in nanoseconds.
    pub(super) fn left_ns(&self, now_ns: u64) -> u64 {
        let after = self.outline.steps.get(self.begun..).unwrap_or_default();
        let after: u64 = after.iter().map(|step| nanos(step.duration)).sum();
        self.step_left_ns(now_ns).saturating_add(after)
    }

    /// The time that the step at hand has left, in nanoseconds.
    pub(super) fn step_left_ns(&self, now_ns: u64) -> u64 {
        if self.is_between {
            return 0;
        }
        self.step_until_ns.saturating_sub(now_ns)
    }
}
