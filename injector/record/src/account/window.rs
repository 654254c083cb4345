//! When which faults were on.

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
    /// From when on, in microseconds from arming.
    pub from_us: i64,
    /// Until when; absent where the journal does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_us: Option<i64>,
}

/// The windows of a run. Quiet steps have none.
pub(super) fn windows(replay: &Replay, faults: &[Placed], origin: &Origin) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for stamped in &replay.records {
        match &stamped.record {
            Record::StepStarted { step } => {
                let of_step = faults.iter().filter(|fault| fault.step == *step);
                let names: Vec<String> = of_step.map(|fault| fault.fault.clone()).collect();
                if !names.is_empty() {
                    windows.push(Window {
                        step: step.clone(),
                        faults: names,
                        from_us: origin.of_record(stamped),
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
