//! Where a run stands, for the threads that ask: they read it before each question, and wait for no lock.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use injector_spec::experiment::{Experiment, Phase};

/// Where a run stands; copies are of the same run.
#[derive(Clone)]
pub(super) struct Standpoint {
    phase: Arc<AtomicU8>,
    /// Steps that are to be tried, of which none is over yet.
    to_try: usize,
}

impl Standpoint {
    /// In front of all that is tried.
    pub(super) fn of(experiment: &Experiment) -> Self {
        let steps = 0..experiment.steps.len();
        Self {
            phase: Arc::new(AtomicU8::new(0)),
            to_try: steps.filter(|step| experiment.tries(*step)).count(),
        }
    }

    pub(super) fn now(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Before,
            1 => Phase::Under,
            _ => Phase::After,
        }
    }

    /// The first fault begins.
    pub(super) fn begin(&self) {
        self.phase.store(1, Ordering::Relaxed);
    }

    /// A step that is tried is over.
    pub(super) fn tried(&mut self) {
        self.to_try = self.to_try.saturating_sub(1);
        if self.to_try == 0 {
            self.phase.store(2, Ordering::Relaxed);
        }
    }
}
