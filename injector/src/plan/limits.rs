//! What a plan says about faults on processes beyond their mechanism.

use super::PlannedRule;
use crate::{
    experiment::FaultKind,
    kernel::knob,
    target::{ResolvedTarget, controller},
};

/// Lines for people: when signals are sent and processes stand still, which files limit the cgroup and
/// what is in them now.
pub(super) fn details(rule: &PlannedRule, target: Option<&ResolvedTarget>) -> Vec<String> {
    match &rule.fault.kind {
        FaultKind::Kill(kill) => vec![kill.to_string()],
        FaultKind::KillAtCall(kill) => vec![kill.to_string()],
        FaultKind::Pause(pause) => vec![pause.to_string()],
        FaultKind::Starve(starve) => {
            let Some(cgroup) = target.and_then(|target| target.cgroup.as_ref()) else {
                return Vec::new();
            };
            match controller::limits(cgroup, starve) {
                Ok(limits) => limits.iter().map(line).collect(),
                Err(error) => vec![error.to_string()],
            }
        }
        _ => Vec::new(),
    }
}

fn line(limit: &controller::Limit) -> String {
    let now = knob::read(&limit.path, &limit.value);
    let now = now.map_or_else(
        |error| format!("unreadable: {error}"),
        |now| format!("now {now}"),
    );
    format!("{} becomes {} ({now})", limit.path.display(), limit.value)
}
