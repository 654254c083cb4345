//! What a run could leave on this host: BPF objects, network devices, settings of `lo`, and what a sweep finds.

use std::{collections::BTreeSet, fs, io, time::Duration};

use super::cast::within;
use injector_engine::cleanup::{self, Sweeping};
use injector_host::kernel::{census, sysctl};
use injector_spec::error::Refusal;

/// The kernel frees BPF objects some 20 to 40 ms after their last descriptor; this is generous.
const PATIENCE: Duration = Duration::from_secs(4);

/// All of it at one moment, one line each.
pub(super) struct Remains(BTreeSet<String>);

impl Remains {
    /// What is there now.
    pub(super) fn look() -> Result<Self, Refusal> {
        let unknown = |error: &dyn std::fmt::Display| {
            Refusal::failed(format!(
                "what the demo would leave behind cannot be looked for: {error}."
            ))
        };
        let mut lines = census::objects().map_err(|error| unknown(&error))?;
        lines.extend(devices().map_err(|error| unknown(&error))?);
        for key in sysctl::LOOPBACK_NEEDS {
            let value = sysctl::read(key).map_err(|error| unknown(&error))?;
            lines.insert(format!("{key} = {value}"));
        }
        for leftover in cleanup::sweep(Sweeping::FindOnly)? {
            lines.insert(leftover.to_string());
        }
        Ok(Self(lines))
    }

    /// What is new, or other than it was, and stays so.
    pub(super) fn left(&self) -> Result<Vec<String>, Refusal> {
        let mut left = self.new_in(&Self::look()?);
        let mut failed = None;
        within(PATIENCE, || {
            if left.is_empty() {
                return true;
            }
            match Self::look() {
                Ok(now) => left = self.new_in(&now),
                Err(refusal) => failed = Some(refusal),
            }
            failed.is_some()
        });
        failed.map_or(Ok(left), Err)
    }

    fn new_in(&self, now: &Self) -> Vec<String> {
        now.0.difference(&self.0).cloned().collect()
    }
}

/// The network devices of this process's namespace; `/sys/class/net` may show those of another.
fn devices() -> io::Result<Vec<String>> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = table.lines().filter_map(|line| line.split_once(':'));
    Ok(names
        .map(|(name, _)| format!("device {}", name.trim()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_or_changed_is_left() {
        let of = |lines: &[&str]| Remains(lines.iter().map(ToString::to_string).collect());
        let before = of(&["device lo", "accept_local = 0", "program inj_a (id 7)"]);
        assert!(
            before
                .new_in(&of(&["device lo", "accept_local = 0"]))
                .is_empty()
        );
        assert_eq!(
            before.new_in(&of(&[
                "device lo",
                "accept_local = 1",
                "program inj_a (id 8)"
            ])),
            ["accept_local = 1", "program inj_a (id 8)"]
        );
    }
}
