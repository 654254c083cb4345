//! What a harness left behind that was killed before its guards could run.
//!
//! Its cgroups and namespaces carry its process id in their names; where that process is gone, no
//! other process will remove them.

use std::fs;
use std::path::Path;

use crate::{cgroup, netns};

/// Removes the cgroups and namespaces of harnesses that are no more; says which it could not.
pub fn sweep() {
    let Ok(mount) = cgroup::mount() else { return };
    let Ok(entries) = fs::read_dir(mount) else {
        return;
    };
    for entry in entries.flatten() {
        if is_orphan(&entry.file_name().to_string_lossy(), cgroup::PREFIX) {
            cgroup::adopt(entry.path());
        }
    }
    for name in netns::named() {
        if is_orphan(&name, netns::PREFIX) {
            netns::adopt(name);
        }
    }
}

/// Whether the name is `PREFIX-PID-...` of a process that has gone.
fn is_orphan(name: &str, prefix: &str) -> bool {
    let Some(rest) = name.strip_prefix(prefix) else {
        return false;
    };
    let pid = rest
        .trim_start_matches('-')
        .split('-')
        .next()
        .unwrap_or_default();
    pid.parse::<u32>()
        .is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_harnesses_are_orphans() {
        // Beyond the largest process id that Linux gives (2^22).
        assert!(is_orphan("injt-99999999-0-c", "injt"));
        assert!(!is_orphan(
            &format!("injt-{}-0-c", std::process::id()),
            "injt"
        ));
        assert!(!is_orphan("injt-somebody", "injt"));
        assert!(!is_orphan("system.slice", "injt"));
    }
}
