//! When which faults were on.

use serde::Serialize;

use super::{origin::Origin, steps::Steps};
use crate::journal::{Record, Replay};
use injector_spec::experiment::{Experiment, Placed};

/// The time of one step with faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The step.
    pub step: String,
    /// The names of its faults.
    pub faults: Vec<String>,
    /// The same by their places among the faults of the run.
    #[serde(skip)]
    pub on: Vec<usize>,
    /// From when on, in microseconds from arming.
    pub from_us: i64,
    /// Until when; absent where the journal does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_us: Option<i64>,
}

/// The windows of a run. Quiet steps have none.
pub(super) fn windows(
    replay: &Replay,
    experiment: Option<&Experiment>,
    faults: &[Placed],
    origin: &Origin,
) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    let own = |place: usize| experiment.and_then(|experiment| experiment.placed().nth(place));
    // Two steps may have one name, so it is by their number that faults are told, where the journal has it.
    let is_on = |place: usize, number: usize, name: &str| {
        own(place).map_or(faults[place].step == name, |(first, _, fault)| {
            (first..=fault.last_step(first)).contains(&number)
        })
    };
    let mut steps = Steps::of(experiment);
    for stamped in &replay.records {
        match &stamped.record {
            Record::StepStarted { step } => {
                let number = steps.begin(step);
                let places = 0..faults.len();
                let on: Vec<usize> = places.filter(|at| is_on(*at, number, step)).collect();
                let from_us = origin.of_record(stamped);
                // What stays on is on between the two as well.
                if let Some(last) = windows.last_mut()
                    && last.on.iter().any(|place| on.contains(place))
                {
                    last.to_us = Some(from_us);
                }
                if !on.is_empty() {
                    windows.push(Window {
                        step: step.clone(),
                        faults: on.iter().map(|at| faults[*at].fault.clone()).collect(),
                        on,
                        from_us,
                        to_us: None,
                    });
                }
            }
            Record::StepEnded { step } => {
                let last = windows.last_mut().filter(|window| window.step == *step);
                if let Some(window) = last.filter(|window| window.to_us.is_none()) {
                    window.to_us = Some(origin.of_record(stamped));
                }
            }
            _ => {}
        }
    }
    windows
}
