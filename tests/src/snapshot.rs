//! What of the host an injector could leave changed, before and after.
//!
//! Objects are compared by their ids, which the kernel does not use twice, so that another's objects
//! of the same name do not hide ours. What vanished is no residue, except for network devices and
//! sysctls, which must be as they were.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::eventually::eventually;
use crate::{bpf, netns, qdiscs};

/// The kernel frees BPF objects some 20 to 40 ms after their last descriptor; this is generous.
const PATIENCE: Duration = Duration::from_secs(4);

/// The four switches that packets handed back to `lo` can need.
const SYSCTLS: [&str; 4] = [
    "net/ipv4/conf/lo/accept_local",
    "net/ipv4/conf/lo/route_localnet",
    "net/ipv4/conf/all/accept_local",
    "net/ipv4/conf/all/route_localnet",
];

/// A state of the host.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// BPF programs, maps and links, and processes named `injector`: residue where they are new.
    objects: BTreeSet<String>,
    /// Network devices, qdiscs for filters and sysctls by namespace: residue where they differ.
    settings: BTreeMap<String, Vec<String>>,
}

impl Snapshot {
    /// The host and every named network namespace, now.
    pub fn take() -> Result<Self> {
        let mut objects = BTreeSet::new();
        // systemd loads programs of its own for units, whenever it likes.
        let foreign = |name: &str| name.starts_with("sd_");
        for program in bpf::programs()?
            .into_iter()
            .filter(|program| !foreign(&program.name))
        {
            objects.insert(format!("BPF program {} ({})", program.id, program.name));
        }
        for (id, name) in bpf::maps()? {
            objects.insert(format!("BPF map {id} ({name})"));
        }
        for id in bpf::links()? {
            objects.insert(format!("BPF link {id}"));
        }
        objects.extend(injector_processes()?);
        let mut settings = BTreeMap::from([("the host".to_owned(), network_settings()?)]);
        for name in netns::named() {
            // A namespace of another process may go at any time.
            if let Ok(Ok(found)) = netns::inside(&name, network_settings) {
                settings.insert(format!("namespace {name}"), found);
            }
        }
        Ok(Self { objects, settings })
    }

    /// Fails with a readable difference unless the host comes back to this state soon.
    pub fn assert_same(&self) -> Result<()> {
        let mut residue = Vec::new();
        let outcome = eventually("the host to be as it was", PATIENCE, || {
            residue = self.residue(&Self::take()?);
            Ok(residue.is_empty().then_some(()))
        });
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if residue.is_empty() => Err(error),
            Err(_late) => bail!("left behind:\n  {}", residue.join("\n  ")),
        }
    }

    /// One sentence for each thing that `after` has and this has not, or has differently.
    pub fn residue(&self, after: &Self) -> Vec<String> {
        let mut found: Vec<String> = after.objects.difference(&self.objects).cloned().collect();
        for (place, before) in &self.settings {
            // A namespace that has gone took everything with it.
            let Some(now) = after.settings.get(place) else {
                continue;
            };
            for line in now.iter().filter(|line| !before.contains(line)) {
                found.push(format!("{place}: {line} is new"));
            }
            for line in before.iter().filter(|line| !now.contains(line)) {
                found.push(format!("{place}: {line} has gone"));
            }
        }
        found
    }

    /// What it holds, in a few words.
    pub fn describe(&self) -> String {
        format!(
            "{} BPF objects and injector processes, {} network namespaces",
            self.objects.len(),
            self.settings.len()
        )
    }
}

/// Devices, qdiscs for filters and sysctls of the calling thread's network namespace.
fn network_settings() -> Result<Vec<String>> {
    // Not /sys/class/net, which shows the namespace that it was mounted from.
    let devices = fs::read_to_string("/proc/thread-self/net/dev").context("cannot list devices")?;
    let mut settings: Vec<String> = devices
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _counters)| format!("device {}", name.trim()))
        .collect();
    for device in qdiscs::devices()? {
        settings.push(format!("qdisc for filters on device {device}"));
    }
    for sysctl in SYSCTLS {
        let value = fs::read_to_string(format!("/proc/sys/{sysctl}"))
            .with_context(|| format!("cannot read the sysctl {sysctl}"))?;
        settings.push(format!("{} = {}", sysctl.replace('/', "."), value.trim()));
    }
    Ok(settings)
}

fn injector_processes() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")
        .context("cannot list processes")?
        .flatten()
    {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.trim_end() == "injector" {
            found.push(format!(
                "process {} (injector)",
                entry.file_name().display()
            ));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(objects: &[&str], settings: &[&str]) -> Snapshot {
        Snapshot {
            objects: objects.iter().map(ToString::to_string).collect(),
            settings: BTreeMap::from([(
                "the host".to_owned(),
                settings.iter().map(ToString::to_string).collect(),
            )]),
        }
    }

    #[test]
    fn new_objects_and_changed_settings_are_residue() {
        let before = snapshot(&["BPF map 1 (a)"], &["device lo", "x = 0"]);
        let after = snapshot(&["BPF map 2 (a)"], &["device lo", "device tap0", "x = 1"]);
        assert_eq!(
            before.residue(&after),
            [
                "BPF map 2 (a)",
                "the host: device tap0 is new",
                "the host: x = 1 is new",
                "the host: x = 0 has gone"
            ]
        );
        assert!(before.residue(&before).is_empty());
    }
}
