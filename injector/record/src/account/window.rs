//! When which faults were on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::origin::Origin;
use crate::journal::{Record, Replay};
use injector_spec::experiment::Placed;

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
pub(super) fn windows(replay: &Replay, faults: &[Placed], origin: &Origin) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    // The places of faults that stay on from earlier steps, and for how many more they do.
    let mut staying: BTreeMap<usize, usize> = BTreeMap::new();
    for stamped in &replay.records {
        match &stamped.record {
            Record::StepStarted { step } => {
                let of_step = |(place, fault): (usize, &Placed)| {
                    (fault.step == *step).then_some((place, fault.stays_on))
                };
                let begun: Vec<_> = faults.iter().enumerate().filter_map(of_step).collect();
                let on = staying.keys().chain(begun.iter().map(|(place, _)| place));
                let on: BTreeSet<usize> = on.copied().collect();
                let names: Vec<String> = on.iter().map(|at| faults[*at].fault.clone()).collect();
                if !names.is_empty() {
                    windows.push(Window {
                        step: step.clone(),
                        faults: names,
                        on: on.into_iter().collect(),
                        from_us: origin.of_record(stamped),
                        to_us: None,
                    });
                }
                for more in staying.values_mut() {
                    *more -= 1;
                }
                staying.extend(begun);
                staying.retain(|_, more| *more > 0);
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
