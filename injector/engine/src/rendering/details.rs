//! What a plan says about faults beyond their mechanism.

use injector_host::{
    kernel::cgroup_file,
    targets::{
        ResolvedTarget, controller,
        plugins::{Finder, Held},
    },
};
use injector_plan::{Mechanism, PlannedRule};
use injector_spec::experiment::{OnPlugins, OnProcesses, THROUGH_THE_RELAY};

/// Lines for people: what the fault says of itself, and of limits which files of the cgroup have them and what is in them
/// now; of faults on plug-ins which are there.
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
        Some(OnProcesses::Plugins(on)) => {
            let mut lines = rule.fault.details();
            lines.extend(target.map(|target| plugins(target, on)));
            lines
        }
        Some(OnProcesses::Kill(_) | OnProcesses::Pause(_)) | None => {
            let mut lines = rule.fault.details();
            if rule.compiled.mechanism == Mechanism::TlsRewrite {
                lines.retain(|line| line != THROUGH_THE_RELAY);
                lines.push(IN_PLACE.to_owned());
            }
            lines
        }
    }
}

/// What a plan says of faults that are carried out in the target's own memory.
const IN_PLACE: &str = "requests of HTTP/1.1 through OpenSSL's functions are met, in plain text and HTTP/2 none; what the target does about them is not measured (`--by relay` does both in plain text)";

/// So many plug-ins are named.
const NAMED: usize = 8;

/// The plug-ins that are there now, as far as this user may see them.
fn plugins(target: &ResolvedTarget, on: OnPlugins<'_>) -> String {
    let agents = target.members();
    let found = Finder::of(on.plugins().names()).look(&agents);
    let named = found.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|plugin| format!("`{}` (process {})", plugin.name, plugin.root.tgid))
        .collect();
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let now = match found.len() {
        0 if agents.iter().any(|agent| Held::by(*agent).is_none()) => {
            "not to be seen by this user, who may not look at the target's descriptors".to_owned()
        }
        0 => "none".to_owned(),
        _ => named.join(", "),
    };
    format!("plug-ins now: {now}{more}")
}

fn line(limit: &controller::Limit) -> String {
    let now = cgroup_file::read(&limit.path, &limit.value);
    let now = now.map_or_else(
        |error| format!("unreadable: {error}"),
        |now| format!("now {now}"),
    );
    format!("{} becomes {} ({now})", limit.path.display(), limit.value)
}
