//! Targets of one run must not share processes: each packet belongs to one target.

use super::{Error, ResolvedTarget, cgroup};

/// Refuses two targets that share a process now, or of which one's cgroup holds the other's.
pub fn check(targets: &[ResolvedTarget]) -> Result<(), Error> {
    for (index, one) in targets.iter().enumerate() {
        for other in &targets[index + 1..] {
            if overlap(one, other) {
                return Err(Error::Overlap {
                    one: one.name.clone(),
                    other: other.name.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Whether two targets share a process now, or one's cgroup holds the other's.
pub fn overlap(one: &ResolvedTarget, other: &ResolvedTarget) -> bool {
    match (&one.cgroup, &other.cgroup) {
        (Some(a), Some(b)) => {
            a.directory.starts_with(&b.directory) || b.directory.starts_with(&a.directory)
        }
        (Some(cgroup), None) => shares(cgroup, other),
        (None, Some(cgroup)) => shares(cgroup, one),
        (None, None) => one
            .processes
            .iter()
            .any(|key| other.processes.contains(key)),
    }
}

fn shares(cgroup: &cgroup::Cgroup, target: &ResolvedTarget) -> bool {
    let inside = cgroup::processes(cgroup);
    target
        .processes
        .iter()
        .any(|key| inside.contains(&key.tgid))
}
