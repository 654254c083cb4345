//! What of an experiment the dashboard shows, from before it is armed.

use std::time::Duration;

use injector_spec::experiment::{Experiment, NamedProbe, ProbeRole, Step};
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
    /// Its probes: those of the steady state and controls.
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

/// A probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeOutline {
    /// Its name.
    pub name: String,
    /// What its answers are about.
    pub role: ProbeRole,
    /// The longest that a right answer may take.
    #[serde(with = "injector_spec::quantity::duration")]
    pub within: Duration,
    /// So many failures...
    pub fails: u8,
    /// ... among so many answers are too many.
    pub of: u8,
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
            within: probe.question.pace.within,
            fails: probe.question.fails.count,
            of: probe.question.fails.of,
        };
        let steady_state = experiment.steady_state.iter();
        let probes = steady_state.flat_map(|steady_state| &steady_state.probes);
        Self {
            name: experiment.name.clone(),
            targets: targets.map(|target| target.selector.to_string()).collect(),
            steps: experiment.steps.iter().map(step).collect(),
            probes: probes.map(probe).collect(),
        }
    }

    /// Whether there is more to see than one live line says.
    pub fn has_much_to_show(&self) -> bool {
        !self.probes.is_empty() || self.steps.len() > 1
    }
}
