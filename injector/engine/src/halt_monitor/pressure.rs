//! Pressure stall information: `/proc/pressure`, and `*.pressure` of a cgroup (Documentation/accounting/psi.rst).
//!
//! The files' totals are brought up to date by each read (kernel/sched/psi.c, `psi_show`), so a share of the
//! last second needs no trigger. Rejected: triggers (`poll(2)` on the file). Theirs need `CAP_SYS_RESOURCE` for
//! windows that are no multiple of 2 s, and a descriptor each in the watchdog.

use std::{
    fs,
    path::{Path, PathBuf},
};

use injector_host::targets::{ResolvedTarget, cgroup, process};
use injector_spec::condition::{Pressure, Resource, Stalled, Whose};

/// One line of a pressure file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// Over the last 10 s, in percent.
    pub(super) avg10: f64,
    /// All the time so far, in microseconds.
    pub(super) total_us: u64,
}

/// The files that a condition is about.
pub(super) fn files(
    pressure: &Pressure,
    targets: &[ResolvedTarget],
) -> Result<Vec<PathBuf>, String> {
    let name = pressure.resource.name();
    match pressure.of {
        Whose::Host => Ok(vec![Path::new("/proc/pressure").join(name)]),
        Whose::Target => {
            let mut files = Vec::new();
            for target in targets {
                for directory in directories(target)? {
                    let file = directory.join(format!("{name}.pressure"));
                    if !files.contains(&file) {
                        files.push(file);
                    }
                }
            }
            Ok(files)
        }
    }
}

/// A target's cgroup, or those that its processes are in.
fn directories(target: &ResolvedTarget) -> Result<Vec<PathBuf>, String> {
    if let Some(cgroup) = &target.cgroup {
        return Ok(vec![cgroup.directory.clone()]);
    }
    let mount = cgroup::mount_point().map_err(|error| error.to_string())?;
    let mut directories = Vec::new();
    for key in &target.processes {
        let path = process::cgroup(key.tgid).map_err(|error| error.to_string())?;
        let below = path.strip_prefix("/").unwrap_or(&path);
        if below.as_os_str().is_empty() {
            return Err(format!(
                "process {} is in the root cgroup, whose pressure is the host's; use `host.psi...`",
                key.tgid
            ));
        }
        directories.push(mount.join(below));
    }
    Ok(directories)
}

/// Reads one line of a file.
pub(super) fn read(file: &Path, stalled: Stalled) -> Result<Line, String> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    parse(&text, stalled).ok_or_else(|| format!("{shown} has no line `{}`", stalled.name()))
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`
fn parse(text: &str, stalled: Stalled) -> Option<Line> {
    let line = text
        .lines()
        .find(|line| line.split(' ').next() == Some(stalled.name()))?;
    let value = |key: &str| {
        line.split(' ')
            .find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
    };
    Some(Line {
        avg10: value("avg10")?.parse().ok()?,
        total_us: value("total")?.parse().ok()?,
    })
}

/// What a resource is called where its pressure is too high.
pub(super) const fn words(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "processes waited for a CPU",
        Resource::Memory => "processes waited for memory",
        Resource::Io => "processes waited for disks",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_lines_are_read() {
        let text = "some avg10=1.50 avg60=0.00 avg300=0.00 total=123\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=7\n";
        let some = parse(text, Stalled::Some).unwrap();
        assert_eq!((some.avg10, some.total_us), (1.5, 123));
        assert_eq!(parse(text, Stalled::Full).unwrap().total_us, 7);
        assert_eq!(parse("some avg10=1.50\n", Stalled::Full), None);
    }

    proptest! {
        #[test]
        fn reading_is_total(text in "\\PC*|some [a-z0-9=. ]{0,60}") {
            let _ = parse(&text, Stalled::Some);
        }
    }
}
