//! What a plan says about faults beyond their mechanism.

use injector_host::{
    kernel::cgroup_file,
    targets::{ResolvedTarget, controller},
};
use injector_plan::PlannedRule;
use injector_spec::experiment::OnProcesses;

/// Lines for people: what the fault says of itself, and of limits which files of the cgroup have them and what is in them
/// now.
pub(super) fn details(rule: &PlannedRule, target: Option<&ResolvedTarget>) -> Vec<String> {
    match rule.fault.kind.on_processes() {
        Some(OnProcesses::Starve(starve)) => {
            let Some(cgroup) = target.and_then(|target| target.cgroup.as_ref()) else {
                return Vec::new();
            };
            match controller::limits(cgroup, starve) {
                Ok(limits) => limits.iter().map(line).collect(),
                Err(error) => vec![error.to_string()],
            }
        }
        Some(OnProcesses::Kill(_) | OnProcesses::Pause(_) | OnProcesses::Plugins(_)) | None => {
            rule.fault.details()
        }
    }
}

fn line(limit: &controller::Limit) -> String {
    let now = cgroup_file::read(&limit.path, &limit.value);
    let now = now.map_or_else(
        |error| format!("unreadable: {error}"),
        |now| format!("now {now}"),
    );
    format!("{} becomes {} ({now})", limit.path.display(), limit.value)
}
