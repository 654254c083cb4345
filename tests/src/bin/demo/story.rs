//! What happened: the phases of the run and the calls made in them.

use std::collections::BTreeMap;

use injector_tests::injector::Progress;
use injector_tests::measure::{p50, p99};
use injector_tests::observation::Call;

/// All that was seen.
#[derive(Default)]
pub(crate) struct Story {
    /// The agent's calls, in order.
    pub(crate) agent: Vec<Call>,
    /// The bystander's calls, in order.
    pub(crate) bystander: Vec<Call>,
    /// The steps of the experiment, in order.
    pub(crate) phases: Vec<Phase>,
}

/// A step of the experiment.
#[derive(Clone)]
pub(crate) struct Phase {
    /// Its name in the file.
    pub(crate) name: String,
    /// When it began, on the boot clock.
    pub(crate) start_ns: u64,
    /// When it ended; `u64::MAX` while it lasts.
    pub(crate) end_ns: u64,
}

/// The calls of one program in one phase.
#[derive(Default)]
pub(crate) struct Figures {
    /// Calls begun in the phase.
    pub(crate) calls: usize,
    /// Calls that failed in spite of all retries.
    pub(crate) failed: usize,
    /// Attempts beyond the first.
    pub(crate) retries: u32,
    /// Median duration in nanoseconds, retries and failures included: what the agent waits.
    pub(crate) p50_ns: u64,
    /// The 99th percentile of the same.
    pub(crate) p99_ns: u64,
    /// Why attempts failed.
    pub(crate) reasons: BTreeMap<String, usize>,
}

impl Story {
    /// Takes an event of the run.
    pub(crate) fn tell(&mut self, event: &Progress) {
        match (event.event.as_str(), &event.step) {
            ("step_started", Some(name)) => self.phases.push(Phase {
                name: name.clone(),
                start_ns: event.boot_ns,
                end_ns: u64::MAX,
            }),
            ("step_ended" | "ended", _) => {
                if let Some(phase) = self.phases.last_mut().filter(|phase| phase.is_on()) {
                    phase.end_ns = event.boot_ns;
                }
            }
            _other => {}
        }
    }

    /// The phase with this name.
    pub(crate) fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// Nanoseconds from the last phase's begin (its faults are gone) to the end of the agent's first
    /// call that began in it and went well at once.
    pub(crate) fn recovered_after_ns(&self) -> Option<u64> {
        let recovery = self.phases.last()?;
        let healthy = self
            .agent
            .iter()
            .find(|call| call.start_ns >= recovery.start_ns && call.ok && call.attempts == 1)?;
        Some(healthy.end_ns - recovery.start_ns)
    }
}

impl Phase {
    /// Whether it lasts still.
    pub(crate) fn is_on(&self) -> bool {
        self.end_ns == u64::MAX
    }

    /// What `calls` came to in this phase.
    pub(crate) fn figures(&self, calls: &[Call]) -> Figures {
        let mut figures = Figures::default();
        let mut times = Vec::new();
        let span = self.start_ns..self.end_ns;
        for call in calls.iter().filter(|call| span.contains(&call.start_ns)) {
            figures.calls += 1;
            figures.failed += usize::from(!call.ok);
            figures.retries += call.attempts - 1;
            times.push(call.end_ns - call.start_ns);
            for reason in &call.failures {
                *figures.reasons.entry(reason.clone()).or_default() += 1;
            }
        }
        figures.p50_ns = p50(&times);
        figures.p99_ns = p99(&times);
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(start_ns: u64, end_ns: u64, failures: &[&str]) -> Call {
        let attempts = u32::try_from(failures.len()).unwrap() + 1;
        let failures = failures.iter().map(ToString::to_string).collect();
        Call {
            start_ns,
            end_ns,
            ok: true,
            attempts,
            failures,
        }
    }

    fn event(event: &str, step: &str, boot_ns: u64) -> Progress {
        Progress {
            event: event.into(),
            step: Some(step.into()),
            boot_ns,
        }
    }

    #[test]
    fn calls_belong_to_the_phase_that_they_began_in() {
        let mut story = Story::default();
        story.tell(&event("step_started", "loss", 10));
        story.tell(&event("step_ended", "loss", 20));
        story.tell(&event("step_started", "recovery", 20));
        story.agent = vec![
            call(12, 25, &["timeout"]),
            call(26, 29, &["damaged"]),
            call(30, 33, &[]),
        ];
        let loss = story.phase("loss").unwrap().figures(&story.agent);
        assert_eq!((loss.calls, loss.retries, loss.p50_ns), (1, 1, 13));
        assert_eq!(loss.reasons["timeout"], 1);
        assert_eq!(story.recovered_after_ns(), Some(13));
    }
}
