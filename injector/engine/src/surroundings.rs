//! The facts that a decision rests on, read from this host.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use injector_host::targets::{
    ResolvedTarget,
    cgroup::{self, Cgroup},
    process,
};
use injector_plan::{
    policy::{Footprint, Member},
    schedule::LocalSecond,
};
use injector_record::journal::{self, ListedRun, Look, RunState};
use injector_spec::{
    config::{Day, Moment},
    error::Refusal,
};

/// Targets as they are now, and how many processes the cgroups around them have.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// One for each target.
    pub footprints: Vec<Footprint>,
    /// Processes of each cgroup, with all below it.
    pub populations: BTreeMap<PathBuf, usize>,
}

impl Surroundings {
    /// Looks. Processes that end meanwhile are left out.
    pub fn of(targets: &[&ResolvedTarget]) -> Result<Self, Refusal> {
        let mount = cgroup::mount_point()?;
        let mut found = Self::default();
        for target in targets {
            let footprint = footprint(target, &mount);
            let own = footprint.cgroup.iter();
            let around = footprint.members.iter().map(|member| &member.cgroup);
            for path in own.chain(around) {
                if !found.populations.contains_key(path) {
                    let count = population(&mount, path);
                    found.populations.insert(path.clone(), count);
                }
            }
            found.footprints.push(footprint);
        }
        Ok(found)
    }
}

fn footprint(target: &ResolvedTarget, mount: &Path) -> Footprint {
    let member = |pid| {
        let comm = process::info(pid).ok()?.comm;
        let cgroup = process::cgroup(pid).ok()?;
        Some(Member { pid, comm, cgroup })
    };
    Footprint {
        target: target.name.clone(),
        picked: target.picked.clone(),
        cgroup: target.cgroup.as_ref().map(|cgroup| cgroup.below(mount)),
        members: target
            .members()
            .into_iter()
            .filter_map(|key| member(key.tgid))
            .collect(),
    }
}

fn population(mount: &Path, path: &Path) -> usize {
    let directory = mount.join(path.strip_prefix("/").unwrap_or(path));
    cgroup::processes(&Cgroup { directory, id: 0 }).len()
}

/// The runs that go on in this state directory. One that cannot be read hides none: it is an error. All who want to know are
/// told by one look, which takes as long as there are journals.
pub fn running() -> Result<Vec<ListedRun>, Refusal> {
    let directory = journal::directory();
    match journal::unfinished(&directory, Look::Since).and_then(journal::Listing::whole) {
        Ok(mut runs) => {
            runs.retain(|run| run.state == RunState::Running);
            Ok(runs)
        }
        // A caller who may not read them may not arm either; this is an ordinary user's dry run.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(Vec::new()),
        Err(error) => Err(Refusal::failed(format!(
            "the journals in {} cannot be read: {error}; injector refuses to arm before it knows which runs go \
             on.",
            directory.display()
        ))),
    }
}

/// A time in this host's local time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Seconds since 1970.
    pub unix: u64,
    /// The year, and its day from 0: in this order, later dates are greater.
    pub date: (i32, i32),
    /// The second of the week.
    pub second: LocalSecond,
}

/// Day and time in this host's local time zone.
pub fn now() -> Result<Moment, Refusal> {
    local(unix_seconds()?)?.second.moment().ok_or_else(unknown)
}

/// Seconds since 1970.
pub fn unix_seconds() -> Result<u64, Refusal> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs()).map_err(|_| unknown())
}

unsafe extern "C" {
    /// `tzset(3)`, which the libc crate has for Windows alone.
    fn tzset();
}

/// Takes in the host's time zone as it is now, where it was changed since this program began; musl reads it once. It is a
/// file, and whatever asks for a local time meanwhile waits for the same lock: a thread that looks after a run waits for no
/// disk, so it asks for none.
pub fn read_zone() {
    // SAFETY: it takes and returns nothing. What it writes is the C library's own, behind a lock that `localtime_r` takes as
    // well, and the variables `tzname`, `timezone` and `daylight`, which nothing here reads; it reads the environment, which
    // nothing here changes.
    unsafe { tzset() };
}

/// Seconds since 1970 in this host's local time zone, as `localtime_r(3)` has it.
pub fn local(unix_seconds: u64) -> Result<LocalTime, Refusal> {
    let seconds = unix_seconds.try_into().map_err(|_| unknown())?;
    // SAFETY: `tm` is made of integers and a pointer; all zero is valid.
    let mut broken_down: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values of ours that outlive the call; glibc and musl lock what they
    // keep of the time zone, and nothing here changes the environment.
    if unsafe { libc::localtime_r(&raw const seconds, &raw mut broken_down) }.is_null() {
        return Err(unknown());
    }
    let part = |number: libc::c_int| u32::try_from(number).map_err(|_| unknown());
    let day = usize::try_from(broken_down.tm_wday)
        .ok()
        .and_then(|day| Day::ALL.get(day));
    let minutes = part(broken_down.tm_hour)? * 60 + part(broken_down.tm_min)?;
    // A leap second is the last of its minute once more.
    let second = minutes * 60 + part(broken_down.tm_sec)?.min(59);
    Ok(LocalTime {
        unix: unix_seconds,
        date: (broken_down.tm_year, broken_down.tm_yday),
        second: LocalSecond {
            day: *day.ok_or_else(unknown)?,
            second,
        },
    })
}

fn unknown() -> Refusal {
    Refusal::failed("the local time cannot be told; check the clock and TZ.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_time_of_day() {
        let now = now().unwrap();
        assert!(Day::ALL.contains(&now.day));
    }

    #[test]
    fn a_later_day_has_a_later_date() {
        let days = [0, 1, 40, 366, 800].map(|days| local(days * 86_400 + 43_200).unwrap());
        assert!(
            days.is_sorted_by(|one, other| one.date < other.date),
            "{days:?}"
        );
        let minute = local(60)
            .unwrap()
            .second
            .second
            .abs_diff(local(0).unwrap().second.second);
        assert_eq!(minute, 60);
    }

    #[test]
    fn this_process_is_in_a_cgroup() {
        if cgroup::mount_point().is_ok() {
            let path = process::cgroup(std::process::id()).unwrap();
            assert!(path.is_absolute(), "{}", path.display());
        }
    }
}
