//! What is never a target on this host, beside what the injector itself refuses.

use std::path::{Component, Path};

use serde::{Deserialize, Deserializer, de::Error};

use super::CgroupRoot;

/// The kernel keeps so many bytes of a process's name (`TASK_COMM_LEN` of include/linux/sched.h, less the
/// NUL).
const LONGEST_NAME: usize = 15;

/// `[protected]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protected {
    /// Processes, by name as in /proc/PID/comm.
    #[serde(deserialize_with = "names")]
    pub processes: Vec<String>,
    /// systemd units, with or without `.service`.
    #[serde(deserialize_with = "units")]
    pub units: Vec<String>,
    /// cgroups with all that is below them.
    pub cgroups: Vec<CgroupRoot>,
}

/// Whether a unit's cgroup is on the way from the root to `path`.
pub fn is_of_unit(path: &Path, unit: &str) -> bool {
    let service = (!unit.contains('.')).then(|| format!("{unit}.service"));
    let wanted = service.as_deref().unwrap_or(unit);
    path.components()
        .any(|part| matches!(part, Component::Normal(name) if name == wanted))
}

fn names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let is_name = |name: &String| (1..=LONGEST_NAME).contains(&name.len());
    match names.iter().find(|name| !is_name(name)) {
        None => Ok(names),
        Some(name) => Err(D::Error::custom(format!(
            "`{name}` is no process's name; the kernel keeps 1 to {LONGEST_NAME} bytes of it, as \
             /proc/PID/comm shows"
        ))),
    }
}

pub(super) fn units<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let units = Vec::<String>::deserialize(from)?;
    match units
        .iter()
        .find(|unit| unit.is_empty() || unit.contains('/'))
    {
        None => Ok(units),
        Some(unit) => Err(D::Error::custom(format!(
            "`{unit}` is no unit's name; write one as `systemctl list-units` shows it"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_directory_on_the_way() {
        let path = Path::new("/system.slice/postgresql.service/child");
        assert!(is_of_unit(path, "postgresql"));
        assert!(is_of_unit(path, "postgresql.service"));
        assert!(is_of_unit(path, "system.slice"));
        assert!(!is_of_unit(path, "child"));
        assert!(!is_of_unit(path, "postgres"));
    }
}
