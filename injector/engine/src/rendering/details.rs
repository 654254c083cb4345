//! What a plan says about faults beyond their mechanism.

use injector_host::{
    kernel::cgroup_file,
    targets::{ResolvedTarget, controller},
};
use injector_plan::PlannedRule;
use injector_spec::experiment::{
    ActsOn, Delay, Direction, Distribution, Fault, FaultKind, OnCalls, OnProcesses,
};

/// Lines for people: what jitter does to the order of packets, which links a bandwidth makes, when signals are
/// sent and processes stand still, which files limit the cgroup and what is in them now.
pub(super) fn details(rule: &PlannedRule, target: Option<&ResolvedTarget>) -> Vec<String> {
    match rule.fault.kind.acts_on() {
        ActsOn::Packets => packets(&rule.fault),
        ActsOn::Processes(OnProcesses::Kill(kill)) => vec![kill.to_string()],
        ActsOn::Processes(OnProcesses::Pause(pause)) => vec![pause.to_string()],
        ActsOn::Processes(OnProcesses::Starve(starve)) => {
            let Some(cgroup) = target.and_then(|target| target.cgroup.as_ref()) else {
                return Vec::new();
            };
            match controller::limits(cgroup, starve) {
                Ok(limits) => limits.iter().map(line).collect(),
                Err(error) => vec![error.to_string()],
            }
        }
        ActsOn::Calls(OnCalls::Signal(kill)) => vec![kill.to_string()],
        ActsOn::LookUps(_)
        | ActsOn::Connects
        | ActsOn::Connections
        | ActsOn::Calls(
            OnCalls::Error(_) | OnCalls::Delay(_) | OnCalls::Damage(_) | OnCalls::Short(_),
        ) => Vec::new(),
    }
}

fn packets(fault: &Fault) -> Vec<String> {
    match &fault.kind {
        FaultKind::Delay(delay) => jitter(delay),
        FaultKind::Bandwidth(_) if fault.direction == Direction::Both => {
            vec!["each direction is a link of its own, with a queue of its own".into()]
        }
        _ => Vec::new(),
    }
}

/// What jitter does, in words.
fn jitter(delay: &Delay) -> Vec<String> {
    if delay.jitter.is_zero() {
        return Vec::new();
    }
    let mut lines = vec![String::from(
        "packets of a connection keep their order: one that would overtake another goes on with it (`net reorder` is the fault that reorders)",
    )];
    // How far below the latency the shape reaches, in units of the jitter (`delay_line::distribution`).
    let reach = match delay.distribution {
        Distribution::Uniform => delay.jitter,
        Distribution::Normal => delay.jitter.saturating_mul(4),
        Distribution::Pareto => delay.jitter.saturating_mul(2) / 3,
    };
    if reach > delay.latency {
        lines.push(
            "the jitter reaches below zero: what is drawn there goes on at once, so the mean is above the latency".into(),
        );
    }
    lines
}

fn line(limit: &controller::Limit) -> String {
    let now = cgroup_file::read(&limit.path, &limit.value);
    let now = now.map_or_else(
        |error| format!("unreadable: {error}"),
        |now| format!("now {now}"),
    );
    format!("{} becomes {} ({now})", limit.path.display(), limit.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_common::threshold::Threshold;
    use std::time::Duration;

    fn delay(latency: u64, jitter: u64, distribution: Distribution) -> Delay {
        Delay {
            latency: Duration::from_millis(latency),
            jitter: Duration::from_millis(jitter),
            correlation: Threshold::NEVER,
            distribution,
        }
    }

    #[test]
    fn jitter_is_explained_where_there_is_some() {
        assert!(jitter(&delay(50, 0, Distribution::Normal)).is_empty());
        let lines = jitter(&delay(50, 50, Distribution::Uniform));
        assert!(lines.len() == 1 && lines[0].contains("keep their order"));
        for (wide, distribution) in [
            (51, Distribution::Uniform),
            (13, Distribution::Normal),
            (76, Distribution::Pareto),
        ] {
            let lines = jitter(&delay(50, wide, distribution));
            assert!(
                lines.len() == 2 && lines[1].contains("below zero"),
                "{lines:?}"
            );
        }
    }
}
