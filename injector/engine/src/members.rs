//! The processes of a target, and the probes in each: for looks, and for answers in the target's own memory.
//!
//! Who belongs to the target is looked at every [`EVERY`]: processes that were forked, and those that have executed another
//! program, which is another text with other libraries. A library may also be mapped late, when a program first needs it.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant},
};

use injector_host::{
    kernel::uprobe::{Probed, TlsProbes},
    targets::{
        guard::Guard,
        process::TaskKey,
        tls::{Libraries, Runtime},
    },
};

/// How often the processes are looked at.
pub(crate) const EVERY: Duration = Duration::from_millis(50);

/// How often a process is looked through for libraries: while it is young, later without one, and later with one.
const YOUNG: Duration = Duration::from_millis(50);
const WITHOUT: Duration = Duration::from_millis(100);
const WITH: Duration = Duration::from_secs(1);
const IS_YOUNG: Duration = Duration::from_secs(2);
/// As many processes without a library as are looked through that often; of more, each is less often.
const OFTEN: u32 = 16;

/// As many libraries as are attached to in one process.
const LIBRARIES: usize = 8;

/// All processes that were met.
pub(crate) struct Members {
    known: HashMap<TaskKey, Member>,
    libraries: Libraries,
    guard: Guard,
}

/// One process.
struct Member {
    /// Its program, by device and inode.
    program: Option<(u64, u64)>,
    since: Instant,
    next: Instant,
    /// By device and inode: a file that is touched is still the same.
    probed: HashMap<(u64, u64), Probed>,
    runtime: Option<Runtime>,
    /// Whether it was told that it cannot be heard.
    is_told: bool,
}

/// A process in which nothing could be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unheard {
    key: TaskKey,
    /// The runtime that it has instead, where that is known.
    runtime: Option<Runtime>,
}

/// What is to be told of a process.
pub(crate) enum Covered {
    /// It is heard through this library from now on.
    By(u32, String),
    /// It cannot be.
    Not(u32, String),
    /// It is gone, or is the target's no more.
    Gone(u32),
}

impl Member {
    fn new(now: Instant) -> Self {
        Self {
            program: None,
            since: now,
            next: now,
            probed: HashMap::new(),
            runtime: None,
            is_told: false,
        }
    }
}

impl Members {
    /// None yet; those that the guard protects are never attached to.
    pub(crate) fn new(guard: Guard) -> Self {
        Self {
            known: HashMap::new(),
            libraries: Libraries::default(),
            guard,
        }
    }

    /// Takes in who belongs to the target now, and attaches to those that are due, for as long as `may_go_on` says so.
    pub(crate) fn keep_up(
        &mut self,
        now: &[TaskKey],
        probes: &TlsProbes,
        may_go_on: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(Covered),
    ) {
        let here: HashSet<&TaskKey> = now.iter().collect();
        self.known.retain(|key, _| {
            let is_here = here.contains(key);
            if !is_here {
                tell(Covered::Gone(key.tgid));
            }
            is_here
        });
        let count = u32::try_from(now.len()).unwrap_or(u32::MAX);
        let pace = (count / OFTEN).max(1);
        for key in now {
            if !may_go_on() {
                return;
            }
            if let Some(member) = due(&mut self.known, *key, pace, tell) {
                let finding = (&mut self.libraries, &self.guard);
                attach(*key, member, finding, (probes, may_go_on), tell);
            }
        }
    }

    /// Processes without a library that is known, but for those of which it was told why they cannot be heard.
    pub(crate) fn unheard(&self) -> Vec<Unheard> {
        let without = self
            .known
            .iter()
            .filter(|(_, member)| member.probed.is_empty() && !member.is_told);
        let mut unheard: Vec<_> = without
            .map(|(key, member)| Unheard {
                key: *key,
                runtime: member.runtime,
            })
            .collect();
        unheard.sort_unstable_by_key(|one| one.key);
        unheard
    }
}

impl Unheard {
    /// Those of them that have not ended since, with the runtimes that they have instead of a library.
    pub(crate) fn of_those_here(unheard: &[Self]) -> Vec<(u32, Option<Runtime>)> {
        let here = unheard.iter().filter(|one| one.key.is_alive());
        here.map(|one| (one.key.tgid, one.runtime)).collect()
    }
}

/// The process, where it is due to be looked through. A list of processes that were chosen by their ids has those that have
/// ended, too, and another process may have such an id by now: a member that has ended is gone before its id is gone by.
fn due<'m>(
    known: &'m mut HashMap<TaskKey, Member>,
    key: TaskKey,
    pace: u32,
    tell: &mut dyn FnMut(Covered),
) -> Option<&'m mut Member> {
    let at = Instant::now();
    let program = std::fs::metadata(format!("/proc/{}/exe", key.tgid));
    let program = program.ok().map(|exe| (exe.dev(), exe.ino()));
    let rests = |member: &Member| member.program == program && at < member.next;
    if known.get(&key).is_some_and(rests) {
        return None;
    }
    // Behind the look at its program, which was its own then.
    if !key.is_alive() {
        if known.remove(&key).is_some() {
            tell(Covered::Gone(key.tgid));
        }
        return None;
    }
    let member = known.entry(key).or_insert_with(|| Member::new(at));
    if program != member.program {
        // It has executed a program: what was mapped before is gone.
        *member = Member::new(at);
        member.program = program;
    }
    let pause = if at.duration_since(member.since) < IS_YOUNG {
        YOUNG
    } else if member.probed.is_empty() {
        WITHOUT * pace
    } else {
        WITH
    };
    member.next = at + pause;
    Some(member)
}

fn attach(
    key: TaskKey,
    member: &mut Member,
    (libraries, guard): (&mut Libraries, &Guard),
    (probes, may_go_on): (&TlsProbes, &dyn Fn() -> bool),
    tell: &mut dyn FnMut(Covered),
) {
    let Some(pid) = NonZeroU32::new(key.tgid) else {
        return;
    };
    let found = match libraries.of(key.tgid) {
        Ok(found) => found,
        Err(error) => {
            return refuse(key, member, &error, tell);
        }
    };
    member.runtime = found.runtime;
    for library in found.libraries {
        if member.probed.contains_key(&library.id.inode()) {
            continue;
        }
        if member.probed.len() >= LIBRARIES {
            return;
        }
        // It may have become one that is protected, by its name.
        if let Err(error) = guard.check(key.tgid) {
            return refuse(key, member, &error, tell);
        }
        // Looking takes its time. No breakpoint is put into the text of a process that has got the id meanwhile, and none
        // for a run that is over.
        if !may_go_on() || !key.is_alive() {
            return;
        }
        match probes.attach(pid, &library) {
            // Another process may have got the id in this very moment: its probes go at once.
            Ok(_) if !key.is_alive() => return,
            Ok(held) => {
                member.probed.insert(library.id.inode(), held);
                tell(Covered::By(key.tgid, library.name));
            }
            Err(error) => refuse(key, member, &error, tell),
        }
    }
}

/// Tells once of a process that it cannot be heard, and why; of one that has ended nothing is told. The lines behind the
/// first of a reason are the verifier's log.
fn refuse(
    key: TaskKey,
    member: &mut Member,
    why: &dyn std::fmt::Display,
    tell: &mut dyn FnMut(Covered),
) {
    if key.is_alive() && !std::mem::replace(&mut member.is_told, true) {
        let why = why.to_string();
        let why = why.lines().next().unwrap_or_default();
        tell(Covered::Not(key.tgid, why.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of a process that has ended and whose id another has by now.
    fn predecessor(of: TaskKey) -> TaskKey {
        TaskKey {
            start_ticks: of.start_ticks + 1,
            ..of
        }
    }

    #[test]
    fn a_process_that_has_got_the_id_of_one_that_ended_is_not_looked_at() {
        let here = TaskKey::of(std::process::id()).unwrap();
        let gone = predecessor(here);
        let mut known = HashMap::from([(gone, Member::new(Instant::now()))]);
        let mut told = Vec::new();
        for _ in 0..3 {
            let mut tell = |covered| told.push(covered);
            assert!(due(&mut known, gone, 1, &mut tell).is_none());
        }
        assert!(matches!(told[..], [Covered::Gone(pid)] if pid == here.tgid));
        assert!(known.is_empty());
        let mut tell = |_| panic!("nothing is to be told of it");
        assert!(due(&mut known, here, 1, &mut tell).is_some());
        assert!(due(&mut known, here, 1, &mut tell).is_none(), "it rests");
        known.get_mut(&here).unwrap().program = None;
        assert!(
            due(&mut known, here, 1, &mut tell).is_some(),
            "another program"
        );
    }

    #[test]
    fn those_that_ended_and_those_that_were_refused_are_not_unheard() {
        let here = TaskKey::of(std::process::id()).unwrap();
        let mut members = Members::new(Guard::new(std::process::id()));
        let mut add = |key, is_told| {
            let mut member = Member::new(Instant::now());
            member.is_told = is_told;
            members.known.insert(key, member);
        };
        add(here, false);
        add(predecessor(here), false);
        let refused = TaskKey { tgid: 1, ..here };
        add(refused, true);
        let unheard = members.unheard();
        assert!(unheard.iter().all(|one| one.key != refused));
        assert_eq!(Unheard::of_those_here(&unheard), [(here.tgid, None)]);
    }

    #[test]
    fn a_refusal_is_told_once_and_of_those_that_are_there() {
        let here = TaskKey::of(std::process::id()).unwrap();
        let mut told = Vec::new();
        for key in [predecessor(here), here] {
            let mut member = Member::new(Instant::now());
            for why in ["it is protected\nlog", "it is protected still"] {
                refuse(key, &mut member, &why, &mut |covered| {
                    if let Covered::Not(pid, why) = covered {
                        told.push((pid, why));
                    }
                });
            }
        }
        assert_eq!(told, [(here.tgid, "it is protected".to_owned())]);
    }
}
