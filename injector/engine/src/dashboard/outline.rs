//! What of an experiment the dashboard shows, from before it is armed.

use std::time::Duration;

use injector_spec::experiment::{Experiment, NamedOperation, NamedProbe, ProbeRole, Ratio, Step};
use serde::{Deserialize, Serialize};

/// An experiment in outline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// The experiment's name.
    pub name: String,
    /// The selectors of its targets.
    pub targets: Vec<String>,
    /// Its steps.
    pub steps: Vec<StepOutline>,
    /// Its probes and the operations that are watched: those of the steady state and controls.
    pub probes: Vec<ProbeOutline>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOutline {
    /// Its name.
    pub name: String,
    /// How long it takes; for a gate, at most.
    #[serde(with = "injector_spec::quantity::duration")]
    pub duration: Duration,
}

/// A probe, or operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeOutline {
    /// Its name.
    pub name: String,
    /// What its answers are about.
    pub role: ProbeRole,
    /// The longest that a right answer may take; absent where the baseline says it.
    #[serde(with = "injector_spec::quantity::duration::optional")]
    pub within: Option<Duration>,
    /// What it is held to.
    pub held_to: HeldTo,
}

/// How many bad answers are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldTo {
    /// So many failures among so many answers of a probe.
    Fails {
        /// So many...
        count: u8,
        /// ... among so many.
        of: u8,
    },
    /// Fewer good operations than this share.
    Share(Ratio),
}

impl Outline {
    /// The outline of an experiment.
    pub fn of(experiment: &Experiment) -> Self {
        let targets = experiment.targets.iter();
        let step = |step: &Step| StepOutline {
            name: step.name.clone(),
            duration: step.duration,
        };
        let probe = |probe: &NamedProbe| ProbeOutline {
            name: probe.name.clone(),
            role: probe.role,
            within: Some(probe.question.pace.within),
            held_to: HeldTo::Fails {
                count: probe.question.fails.count,
                of: probe.question.fails.of,
            },
        };
        let stream = |operations: &NamedOperation| ProbeOutline {
            name: operations.name.clone(),
            role: operations.role,
            within: operations.within,
            held_to: HeldTo::Share(operations.ratio),
        };
        let steady_state = experiment.steady_state.as_deref();
        let probes = steady_state.map_or(&[][..], |steady_state| &steady_state.probes);
        let streams = steady_state.map_or(&[][..], |steady_state| &steady_state.operations);
        Self {
            name: experiment.name.clone(),
            targets: targets.map(|target| target.selector.to_string()).collect(),
            steps: experiment.steps.iter().map(step).collect(),
            probes: probes
                .iter()
                .map(probe)
                .chain(streams.iter().map(stream))
                .collect(),
        }
    }

    /// Whether there is more to see than one live line says.
    pub fn has_much_to_show(&self) -> bool {
        !self.probes.is_empty() || self.steps.len() > 1
    }
}
