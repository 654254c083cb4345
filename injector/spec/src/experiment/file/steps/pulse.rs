//! `pulse`: faults that come and go within their step.

use std::time::Duration;

use super::{Step, Target, faults, numbered, quiet, step as plain, too_many};
use crate::{
    experiment::{
        MOST_STEPS,
        file::{complaint::Complaint, fields::Fields, node::Node, time, time_of},
    },
    quantity::duration,
};

/// The keys of a pulse.
pub(in crate::experiment::file) const PULSE: [&str; 2] = ["on", "off"];

/// A step, or the pulses and rests that it becomes. A pulse that would not fit whole is left out, and it is quiet then.
pub(super) fn step(
    fields: &Fields<'_>,
    name: String,
    targets: &[Target],
) -> Result<Vec<Step>, Complaint> {
    let Some(node) = fields.get("pulse") else {
        return Ok(vec![plain(fields, name, targets)?]);
    };
    let whole = time(fields)?;
    let (on, off) = times(node)?;
    let faults = faults(fields, targets, on)?;
    if faults.is_empty() {
        let sentence = "`pulse` switches the faults of its step on and off, and this one has none; add `faults`, or \
                        leave `pulse` out";
        return Err(Complaint::at(node.at, sentence));
    }
    // Each is followed by a rest, but for the last, which may end the step.
    let count = (whole + off).as_nanos() / (on + off).as_nanos();
    let pulses = usize::try_from(count).unwrap_or(usize::MAX);
    if pulses < 2 {
        let [on, off, whole] = [on, off, whole].map(duration::format);
        let sentence = format!(
            "a pulse of {on} and {off} does not come twice within {whole}; write shorter times, or a longer `duration`"
        );
        return Err(Complaint::at(node.at, sentence));
    }
    if pulses > MOST_STEPS / 2 {
        return Err(too_many(pulses.saturating_mul(2), node.at));
    }
    let mut steps = Vec::new();
    let mut left = whole;
    for number in 1..=pulses {
        steps.push(Step {
            name: numbered(&name, &format!("pulse {number} of {pulses}")),
            duration: on,
            faults: faults.clone(),
            gate: None,
        });
        left = left.saturating_sub(on);
        let rest = if number < pulses { off } else { left };
        if !rest.is_zero() {
            let name = numbered(&name, &format!("rest {number} of {pulses}"));
            steps.push(quiet(name, rest));
        }
        left = left.saturating_sub(rest);
    }
    Ok(steps)
}

/// How long they are on, and how long off.
fn times(node: &Node) -> Result<(Duration, Duration), Complaint> {
    let fields = Fields::of(node, "`pulse`", &PULSE)?;
    let wanted = |key| {
        time_of(&fields, key)?.ok_or_else(|| {
            let sentence = format!(
                "`pulse` says how long faults are on and how long off, as in `{{on: 5s, off: 10s}}`; add `{key}`"
            );
            Complaint::at(node.at, sentence)
        })
    };
    Ok((wanted("on")?, wanted("off")?))
}
