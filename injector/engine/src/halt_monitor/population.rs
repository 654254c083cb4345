//! The processes that a probe is about: whether they are there, how often they came back, and what each holds.
//!
//! They are looked for anew with each question, so that a unit that is started again is the same unit. A process that
//! comes and goes between two questions is not seen. Ends and new beginnings are told by process and start time, so a
//! process id that is used again is another process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use super::lives::Counts;
use injector_host::targets::{
    Error, cgroup,
    guard::Guard,
    process::{self, CommandLines, TaskKey},
};
use injector_spec::{
    condition::{ProcessProbe, Wanted},
    experiment::{Follow, Many, Selector},
    quantity::{bytes, count},
};

/// The processes of a probe.
pub(super) struct Population {
    probe: ProcessProbe,
    /// Which processes a pattern never means: this program, the caller and their parents, whose command lines have it,
    /// too.
    guard: Guard,
    /// Those that were named by their ids, as they were at the first question.
    named: Option<Vec<TaskKey>>,
    /// The pattern, once it was compiled.
    like: Option<CommandLines>,
    /// The cgroup, once it was found.
    directory: Option<PathBuf>,
    /// Those of the last question, with their names; `None` before the first.
    living: Option<BTreeMap<TaskKey, String>>,
    lives: Counts,
}

impl Population {
    pub(super) fn of(probe: ProcessProbe, guard: Guard) -> Self {
        Self {
            probe,
            guard,
            named: None,
            like: None,
            directory: None,
            living: None,
            lives: Counts::default(),
        }
    }

    pub(super) fn ask(&mut self) -> Result<(), String> {
        let found = self.find().map_err(|error| error.to_string())?;
        self.count(&found);
        if found.is_empty() {
            return Err("no process is there".to_owned());
        }
        if let Some(wanted) = &self.probe.restarts
            && !wanted.is_met_by(self.lives.restarts())
        {
            let restarts = count(self.lives.restarts(), "process", "processes");
            return Err(format!("{restarts} came back after an end"));
        }
        hold(&found, self.probe.descriptors, descriptors, |number| {
            format!("{number} descriptors open")
        })?;
        hold(&found, self.probe.rss, resident, |number| {
            format!("{} resident", bytes::format(number))
        })
    }

    /// Who is there now.
    fn find(&mut self) -> Result<BTreeSet<TaskKey>, Error> {
        let keys = |pids: Vec<u32>| -> Vec<TaskKey> {
            pids.into_iter()
                .filter_map(|pid| TaskKey::of(pid).ok())
                .collect()
        };
        let with_tree = |roots: Vec<TaskKey>, follow| -> Result<Vec<TaskKey>, Error> {
            if follow == Follow::Process {
                return Ok(roots);
            }
            let pids: Vec<u32> = roots.iter().map(|key| key.tgid).collect();
            let children = keys(process::trees(&pids)?);
            Ok(roots.into_iter().chain(children).collect())
        };
        let found = match &self.probe.selector {
            Selector::Pids { pids, follow, .. } => {
                let named = self.named.get_or_insert_with(|| keys(pids.clone()));
                let alive = named.iter().filter(|key| key.is_alive());
                with_tree(alive.copied().collect(), *follow)?
            }
            Selector::Process {
                pattern,
                many,
                follow,
                ..
            } => {
                let like = match self.like.take() {
                    Some(like) => like,
                    None => CommandLines::like(pattern)?,
                };
                let found = self.like.insert(like).find(self.guard.protected())?;
                if *many == Many::ExactlyOne && found.len() > 1 {
                    return Err(Error::ManyMatches {
                        pattern: pattern.clone(),
                        found,
                    });
                }
                with_tree(keys(found), *follow)?
            }
            Selector::Cgroup(path) => keys(below(&mut self.directory, || cgroup::find(path))?),
            Selector::Unit(name) => keys(below(&mut self.directory, || cgroup::of_unit(name))?),
            Selector::Container(id) => {
                keys(below(&mut self.directory, || cgroup::of_container(id))?)
            }
        };
        Ok(found.into_iter().collect())
    }

    /// Takes down who has ended and who came back.
    fn count(&mut self, found: &BTreeSet<TaskKey>) {
        let name = |key: &TaskKey| process::info(key.tgid).map(|process| process.comm).ok();
        let named = |key: &TaskKey| Some((*key, name(key)?));
        let Some(living) = &mut self.living else {
            self.living = Some(found.iter().filter_map(named).collect());
            return;
        };
        let ended: Vec<TaskKey> = living
            .keys()
            .filter(|key| !found.contains(key))
            .copied()
            .collect();
        for key in ended {
            if let Some(name) = living.remove(&key) {
                self.lives.end(name);
            }
        }
        for key in found {
            if !living.contains_key(key)
                && let Some(name) = name(key)
            {
                self.lives.begin(&name);
                living.insert(*key, name);
            }
        }
    }
}

/// The processes of a cgroup, which is looked for once.
fn below(
    known: &mut Option<PathBuf>,
    find: impl FnOnce() -> Result<cgroup::Cgroup, Error>,
) -> Result<Vec<u32>, Error> {
    let directory = match known.take() {
        Some(directory) => directory,
        None => find()?.directory,
    };
    Ok(cgroup::processes_below(known.insert(directory)))
}

/// Holds what each process has against its bound. What cannot be read of a process that lives is not within it.
fn hold(
    found: &BTreeSet<TaskKey>,
    wanted: Option<Wanted<u64>>,
    read: impl Fn(u32) -> Option<u64>,
    say: impl Fn(u64) -> String,
) -> Result<(), String> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    for key in found {
        let number = read(key.tgid);
        if number.is_some_and(|number| wanted.is_met_by(number)) || !key.is_alive() {
            // One that has ended meanwhile holds nothing.
            continue;
        }
        return Err(match number {
            Some(number) => format!("process {} has {}", key.tgid, say(number)),
            None => format!("what process {} holds cannot be read", key.tgid),
        });
    }
    Ok(())
}

/// How many descriptors a process has open.
fn descriptors(pid: u32) -> Option<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    u64::try_from(entries.count()).ok()
}

/// What of a process is in memory, in bytes: the second field of `/proc/PID/statm` (proc(5)) is in pages.
fn resident(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    pages.checked_mul(page)
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command},
        time::{Duration, Instant},
    };

    use super::*;

    fn asked(line: &str) -> Population {
        match line.parse() {
            Ok(injector_spec::condition::Question {
                probe: injector_spec::condition::Probe::Process(probe),
                ..
            }) => Population::of(*probe, Guard::new(std::process::id())),
            other => panic!("{line}: {other:?}"),
        }
    }

    /// A `sleep` that has its own command line. A new process has its parent's until it executes a program, and none at
    /// all for a moment while it does.
    fn sleeper(seconds: &str) -> Child {
        let child = Command::new("sleep").arg(seconds).spawn().unwrap();
        let line = format!("/proc/{}/cmdline", child.id());
        let deadline = Instant::now() + Duration::from_secs(5);
        while !fs::read(&line).unwrap().starts_with(b"sleep\0") {
            assert!(Instant::now() < deadline, "it executes nothing");
        }
        child
    }

    #[test]
    fn a_process_is_there_until_it_ends_and_not_after() {
        let mut child = sleeper("61");
        let mut population = asked(&format!("process pid {}", child.id()));
        assert_eq!(population.ask(), Ok(()));
        child.kill().unwrap();
        // Whether or not it was waited for.
        let deadline = Instant::now() + Duration::from_secs(5);
        while population.ask().is_ok() {
            assert!(Instant::now() < deadline, "its end is not seen");
        }
        assert_eq!(population.ask(), Err("no process is there".into()));
        child.wait().unwrap();
    }

    #[test]
    fn one_that_comes_back_has_restarted() {
        let mut child = sleeper("62.0625");
        let line = r#"process process "^sleep 62.0625" restarts < 1"#;
        let mut population = asked(line);
        assert_eq!(population.ask(), Ok(()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(population.ask().is_err());
        let mut child = sleeper("62.0625");
        let said = population.ask();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(said, Err("1 process came back after an end".into()));
    }

    #[test]
    fn what_cannot_be_read_is_not_within_its_bound() {
        let own = BTreeSet::from([TaskKey::of(std::process::id()).unwrap()]);
        let bound = Some(Wanted {
            comparator: injector_spec::condition::Comparator::Below,
            number: 200,
        });
        let why = hold(&own, bound, |_| None, |_| String::new()).unwrap_err();
        assert!(why.contains("cannot be read"), "{why}");
    }

    #[test]
    fn what_each_process_holds_is_held_against_its_bound() {
        let own = std::process::id();
        let said = |bounds: &str| asked(&format!("process pid {own} {bounds}")).ask();
        assert_eq!(said("descriptors > 0 rss > 64kib"), Ok(()));
        let why = said("descriptors < 1").unwrap_err();
        assert!(why.contains("descriptors open"), "{why}");
        let files: Vec<_> = (0..50)
            .map(|_| fs::File::open("/dev/null").unwrap())
            .collect();
        assert!(said("descriptors < 50").is_err(), "{}", files.len());
        let why = said("rss < 1kib").unwrap_err();
        assert!(why.contains("resident"), "{why}");
    }
}
