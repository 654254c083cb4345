//! The schedule of the daemon: what is asked of this host before an experiment starts by itself.
//!
//! When, which and on whom is arithmetic on a seed ([`injector_plan::schedule`]). Here are the clock, the journals of the
//! runs that it has started, and the files of its suite. All of it may wait for a disk, so it is done on a thread of its
//! own and never by the one that serves.
//!
//! A victim that is a unit is the host's own: its cgroup is looked for when a start is due, and the run is about that cgroup. A
//! unit that a container or a user gave the same name is never hit in its place.

use std::path::Path;

use injector_host::targets::{Error, cgroup};
use injector_plan::{
    Plan,
    schedule::{Starts, draw_experiment, draw_victim, next_start},
};
use injector_record::{
    configuration, journal,
    scheduled::{self, Scheduled, SuiteError},
};
use injector_spec::{
    config::{Config, ConfigError, ScheduleInForce, Source},
    error::Refusal,
    experiment::{Experiment, Selector, file::Reading},
    printable,
};

use crate::surroundings::{LocalTime, local, read_zone, unix_seconds};

/// How old a start may be that counts.
const LOOK_BACK_SECONDS: u64 = ScheduleInForce::LOOKS_BACK_DAYS as u64 * 86_400;

/// When the next start is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// What decides on it, and on what is started then.
    pub seed: u64,
    /// In how many seconds; `None` where the hours are never open.
    pub in_seconds: Option<u32>,
    /// How many have been started today; `None` where it is due on another day, on which none counts yet.
    pub today: Option<u32>,
}

/// What is to be started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The experiment, with its victim.
    pub experiment: Experiment,
    /// What was drawn for it.
    pub drawn: Scheduled,
    /// How many have been started today.
    pub today: u32,
}

/// The schedule of a configuration, where it is on.
///
/// # Errors
/// A suite that is not there or not root's alone, and journals that are deleted while they count, with the place in the
/// configuration; an experiment that cannot be read, or has more than one target, with its place in its file.
pub fn checked(config: &Config, source: &Source) -> Result<Option<ScheduleInForce>, Refusal> {
    let Some(schedule) = config.schedule.in_force() else {
        return Ok(None);
    };
    let (line, column) = schedule.suite_at;
    let mistake = |what: String| ConfigError::Mistake {
        path: source.path().display().to_string(),
        line,
        column,
        what,
    };
    let misplaced = |error: SuiteError| mistake(error.to_string());
    check_journals(&schedule).map_err(mistake)?;
    for path in scheduled::suite(&schedule.suite).map_err(misplaced)? {
        let bytes = scheduled::experiment(&path).map_err(misplaced)?;
        let victim = schedule.victims.first().cloned();
        Plan::check(&read(&path, &bytes, victim)?)?;
    }
    Ok(Some(schedule))
}

/// Draws when the next one is due.
///
/// # Errors
/// A configuration that says something else by now, and journals that cannot be counted.
pub fn draw(schedule: &ScheduleInForce, source: &Source, seed: u64) -> Result<Due, Refusal> {
    check_still(schedule, source)?;
    let (now, starts) = look(schedule)?;
    let in_seconds = next_start(&schedule.hours, starts, now.second, seed);
    let due = in_seconds.map(|seconds| local(now.unix.saturating_add(seconds.into())));
    let is_today = !due.is_some_and(|due| due.is_ok_and(|due| due.date != now.date));
    Ok(Due {
        seed,
        in_seconds,
        today: is_today.then_some(starts.today),
    })
}

/// What is to be started now that it is due; `None` where the wall clock says that its time is over, or that the day has
/// had its starts.
///
/// # Errors
/// A configuration that says something else by now, a suite that is not believed any more, and a unit that the host has not.
pub fn choose(
    schedule: &ScheduleInForce,
    source: &Source,
    seed: u64,
) -> Result<Option<Chosen>, Refusal> {
    check_still(schedule, source)?;
    let (now, starts) = look(schedule)?;
    let is_open = now
        .second
        .moment()
        .is_some_and(|now| schedule.hours.include(now));
    if !is_open || starts.today >= starts.most {
        return Ok(None);
    }
    let broken = |error: SuiteError| Refusal::usage(error.to_string());
    let files = scheduled::suite(&schedule.suite).map_err(broken)?;
    let file = draw_experiment(seed, files.len()).and_then(|number| files.get(number));
    let victims = &schedule.victims;
    let victim = draw_victim(seed, victims.len()).and_then(|number| victims.get(number));
    let (Some(path), Some(victim)) = (file, victim) else {
        return Ok(None);
    };
    let bytes = scheduled::experiment(path).map_err(broken)?;
    let drawn = Scheduled {
        seed,
        file: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        of_files: files.len(),
        victim: victim.to_string(),
        of_victims: victims.len(),
    };
    let victim = in_place(victim)?;
    Ok(Some(Chosen {
        experiment: read(path, &bytes, Some(victim))?,
        drawn,
        today: starts.today,
    }))
}

/// Whether the configuration is still the one that the daemon was started with, as far as the schedule goes by it.
fn check_still(schedule: &ScheduleInForce, source: &Source) -> Result<(), Refusal> {
    check_unchanged(schedule, source)?;
    check_journals(schedule).map_err(Refusal::usage)
}

/// A person who has taken a victim off the list, or switched the schedule off, expects no start by the old one.
fn check_unchanged(schedule: &ScheduleInForce, source: &Source) -> Result<(), Refusal> {
    let now = configuration::load(source)?.schedule.in_force();
    if now.is_some_and(|now| schedule.is_the_same(&now)) {
        return Ok(());
    }
    Err(Refusal::usage(
        "[schedule] was changed since the daemon was started; restart it",
    ))
}

/// By the file that decides which journals are kept, as each sweep reads it: the usual one, whatever file the daemon has.
/// Where it cannot be read, none is deleted.
fn check_journals(schedule: &ScheduleInForce) -> Result<(), String> {
    let decides = Source::choose(None);
    let Ok(config) = configuration::load(&decides) else {
        return Ok(());
    };
    let checked = schedule.check_journals(config.journal.rule());
    checked.map_err(|what| format!("{what} ({} decides)", printable::path(decides.path())))
}

/// A victim as the one cgroup that is meant.
fn in_place(victim: &Selector) -> Result<Selector, Error> {
    match victim {
        Selector::Unit(name) => {
            let mount = cgroup::mount_point()?;
            Ok(Selector::Cgroup(cgroup::of_host_unit(name)?.below(&mount)))
        }
        Selector::Cgroup(_)
        | Selector::Container(_)
        | Selector::Pids { .. }
        | Selector::Process { .. } => Ok(victim.clone()),
    }
}

fn read(path: &Path, bytes: &[u8], victim: Option<Selector>) -> Result<Experiment, Refusal> {
    let name = &path.display().to_string();
    let as_written = Reading {
        name,
        ..Reading::default()
    };
    // Where it has no target of its own it cannot be read so, and needs not.
    let picks = |written: Experiment| {
        written
            .targets
            .iter()
            .any(|one| one.selector.pick().is_some())
    };
    if as_written.bytes(bytes).is_ok_and(picks) {
        return Err(Refusal::usage(format!(
            "{}: its target is a random pick, and the schedule puts a whole victim in its place; leave `pick` out.",
            printable::path(path)
        )));
    }
    let reading = Reading {
        name,
        selector: victim,
        ..Reading::default()
    };
    Ok(reading.bytes(bytes)?)
}

/// The time on the wall, and the starts of its day. Starts of a later date count as well: the clock was set back.
fn look(schedule: &ScheduleInForce) -> Result<(LocalTime, Starts), Refusal> {
    read_zone();
    let unix = unix_seconds()?;
    let now = local(unix)?;
    let directory = journal::directory();
    let since = unix.saturating_sub(LOOK_BACK_SECONDS);
    let starts = journal::scheduled_since(&directory, since).map_err(|error| {
        Refusal::failed(format!(
            "the journals in {} cannot be read: {error}; the schedule starts nothing before it knows what it has started.",
            directory.display()
        ))
    })?;
    let is_of_today = |unix_ms: &u64| local(unix_ms / 1000).is_ok_and(|at| at.date >= now.date);
    let today = starts.iter().filter(|at| is_of_today(at)).count();
    let starts = Starts {
        most: schedule.at_most_a_day,
        today: u32::try_from(today).unwrap_or(u32::MAX),
    };
    Ok((now, starts))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_schedule_that_was_changed_since_starts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("injector.toml");
        let source = Source::Named(path.clone());
        let keys = "[schedule]\nenabled = true\nsuite = \"/a\"\nunits = [\"a\", \"b\"]\n";
        let write = |text: &str| fs::write(&path, text).unwrap();
        write(keys);
        let begun = configuration::load(&source).unwrap();
        let begun = begun.schedule.in_force().unwrap();
        for same in [
            keys.to_owned(),
            format!("# moved\n\n{keys}[limits]\nmax_hits = 7\n"),
        ] {
            write(&same);
            assert_eq!(check_unchanged(&begun, &source), Ok(()), "{same}");
        }
        for other in [
            keys.replace("true", "false"),
            keys.replace(", \"b\"", ""),
            String::new(),
        ] {
            write(&other);
            let refused = check_unchanged(&begun, &source).unwrap_err();
            assert!(refused.message.contains("restart it"), "{other}{refused}");
        }
        write("[schedule]\nenabld = true\n");
        let refused = check_unchanged(&begun, &source).unwrap_err();
        assert!(refused.message.contains(":2:1:"), "{refused}");
    }

    #[test]
    fn a_pick_is_not_widened_to_a_whole_victim() {
        let file = |target: &str| {
            format!(
                "name: x\ntargets: {{ a: {target} }}\nsteps: [ {{ duration: 1s, faults: [ net.blackhole ] }} ]\n"
            )
        };
        let path = Path::new("a.yaml");
        let victim = || Some(Selector::Unit("a".into()));
        for whole in ["{ process: x, all: true }", ""] {
            let read = read(path, file(whole).as_bytes(), victim()).unwrap();
            assert_eq!(read.targets[0].selector, victim().unwrap());
        }
        let picked = file("{ process: x, all: true, pick: 25% }");
        let refused = read(path, picked.as_bytes(), victim()).unwrap_err();
        assert!(refused.message.contains("leave `pick` out"), "{refused}");
    }

    #[test]
    fn a_unit_that_the_host_has_not_is_no_victim() {
        let cgroup = Selector::Cgroup("/a.slice".into());
        assert_eq!(in_place(&cgroup).unwrap(), cgroup);
        if cgroup::mount_point().is_ok() {
            let refused = in_place(&Selector::Unit("no-such-unit".into())).unwrap_err();
            assert!(refused.to_string().contains("`no-such-unit`"), "{refused}");
        }
    }
}
