//! Whether a limit that was set is in force, and whether the target ever met it: read, never assumed.
//!
//! A limit that another process has changed is left alone and told, with what it was made and when. What
//! the kernel counts of a limit (how often it throttled, reclaimed, or refused a fork) says whether the
//! fault was felt at all; block devices count nothing of the kind.

use std::{collections::BTreeMap, fs, path::Path};

use injector_host::{kernel::cgroup_file, targets::controller::Limit};
use injector_spec::quantity::duration::tenths;

/// What is known of the limits of one fault, by their place.
#[derive(Debug, Default)]
pub(super) struct Force {
    limits: Vec<InForce>,
    changed: Vec<String>,
    met: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct InForce {
    limit: Limit,
    /// When it was set, on the boot clock.
    since: u64,
    /// What the kernel had counted of it then.
    counted: Option<u64>,
    is_changed: bool,
}

impl Force {
    /// Looks at a limit from now on.
    pub(super) fn watch(&mut self, limit: &Limit, now: u64) {
        self.limits.push(InForce {
            limit: limit.clone(),
            since: now,
            counted: count(&limit.path),
            is_changed: false,
        });
    }

    /// Looks whether all are as they were set. A cgroup that is gone has taken its limits with it.
    pub(super) fn look(&mut self, now: u64) {
        for one in self.limits.iter_mut().filter(|one| !one.is_changed) {
            let Limit { path, value, .. } = &one.limit;
            let Ok(found) = cgroup_file::read(path, value) else {
                continue;
            };
            if found != *value {
                one.is_changed = true;
                self.changed.push(format!(
                    "{} was made `{}` after {}, by another's hand; it was left alone",
                    name(path),
                    injector_spec::printable::line(&found),
                    tenths(now.saturating_sub(one.since))
                ));
            }
        }
    }

    /// Tells that the limits end now, before their time, for the sake of bystanders.
    pub(super) fn spare(&mut self, now: u64) {
        if let Some(since) = self.limits.iter().map(|one| one.since).min() {
            let after = tenths(now.saturating_sub(since));
            self.changed.push(format!(
                "the limits were lifted after {after}, because others came into the cgroup that has them"
            ));
        }
    }

    /// Ends it: adds up how often each was met. To be called when the limits are put back, since it is no
    /// part of that.
    pub(super) fn end(&mut self) {
        for one in self.limits.drain(..) {
            if let (Some(before), Some(now)) = (one.counted, count(&one.limit.path)) {
                *self.met.entry(name(&one.limit.path)).or_default() += now.saturating_sub(before);
            }
        }
    }

    /// What a person should know.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        let met = self.met.iter().map(|(name, times)| match times {
            0 => format!("{name} was set, and the target never came up against it"),
            1 => format!("the target came up against {name} once"),
            times => format!("the target came up against {name} {times} times"),
        });
        self.changed.iter().cloned().chain(met)
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What the kernel counts of a limit: `nr_throttled` of `cpu.stat` (`kernel/sched/core.c`,
/// `cpu_extra_stat_show`; version 1: `cpu_cfs_stat_show`), `high` of `memory.events` (`mm/memcontrol.c`), `max`
/// of `pids.events` (`kernel/cgroup/pids.c`). `None` where it counts nothing.
fn count(path: &Path) -> Option<u64> {
    let (file, key) = match path.file_name()?.to_str()? {
        "cpu.max" | "cpu.cfs_quota_us" => ("cpu.stat", "nr_throttled"),
        "memory.high" => ("memory.events", "high"),
        "pids.max" => ("pids.events", "max"),
        _ => return None,
    };
    let text = fs::read_to_string(path.parent()?.join(file)).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_host::targets::controller::Version;

    fn limit(directory: &Path) -> Limit {
        Limit {
            path: directory.join("pids.max"),
            value: "5".into(),
            version: Version::Two,
        }
    }

    #[test]
    fn a_limit_that_somebody_changes_is_told_once_with_the_time() {
        let directory = tempfile::tempdir().unwrap();
        let limit = limit(directory.path());
        fs::write(&limit.path, "5\n").unwrap();
        let mut force = Force::default();
        force.watch(&limit, 0);
        force.look(1);
        fs::write(&limit.path, "max\n").unwrap();
        force.look(1_300_000_000);
        force.look(2_000_000_000);
        let told: Vec<String> = force.remarks().collect();
        assert_eq!(
            told,
            ["pids.max was made `max` after 1.3 s, by another's hand; it was left alone"]
        );
    }

    #[test]
    fn a_cgroup_that_is_gone_was_changed_by_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let limit = limit(directory.path());
        let mut force = Force::default();
        force.watch(&limit, 0);
        force.look(1);
        force.end();
        assert_eq!(force.remarks().count(), 0);
    }

    #[test]
    fn what_the_kernel_counted_meanwhile_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let limit = limit(directory.path());
        let events = directory.path().join("pids.events");
        let told_of = |before: &str, after: &str| {
            let mut force = Force::default();
            fs::write(&events, before).unwrap();
            force.watch(&limit, 0);
            fs::write(&events, after).unwrap();
            force.end();
            force.remarks().collect::<Vec<_>>().join("\n")
        };
        let never = told_of("max 3\n", "max 3\n");
        assert!(never.contains("never came up against it"), "{never}");
        let thrice = told_of("max 3\n", "max 6\nmax.imposed 9\n");
        assert!(thrice.contains("3 times"), "{thrice}");
    }
}
