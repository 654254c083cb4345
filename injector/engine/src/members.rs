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

    /// Takes in who belongs to the target now, and attaches to those that are due.
    pub(crate) fn keep_up(
        &mut self,
        now: &[TaskKey],
        probes: &TlsProbes,
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
            let at = Instant::now();
            let member = self.known.entry(*key).or_insert_with(|| Member::new(at));
            let program = std::fs::metadata(format!("/proc/{}/exe", key.tgid));
            let program = program.ok().map(|exe| (exe.dev(), exe.ino()));
            if program != member.program {
                // It has executed a program: what was mapped before is gone.
                *member = Member::new(at);
                member.program = program;
            }
            if at < member.next {
                continue;
            }
            let pause = if at.duration_since(member.since) < IS_YOUNG {
                YOUNG
            } else if member.probed.is_empty() {
                WITHOUT * pace
            } else {
                WITH
            };
            member.next = at + pause;
            let finding = (&mut self.libraries, &self.guard);
            attach(*key, member, finding, probes, tell);
        }
    }

    /// Processes without a library that is known, with the runtime that they have instead.
    pub(crate) fn unheard(&self) -> Vec<(u32, Option<Runtime>)> {
        let without = self
            .known
            .iter()
            .filter(|(_, member)| member.probed.is_empty());
        let mut unheard: Vec<_> = without
            .map(|(key, member)| (key.tgid, member.runtime))
            .collect();
        unheard.sort_unstable_by_key(|(pid, _)| *pid);
        unheard
    }
}

fn attach(
    key: TaskKey,
    member: &mut Member,
    (libraries, guard): (&mut Libraries, &Guard),
    probes: &TlsProbes,
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
        match probes.attach(pid, &library) {
            // Between the look and the attachment another process may have got the id: its probes go at once.
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

    #[test]
    fn a_refusal_is_told_once_and_of_those_that_are_there() {
        let here = TaskKey::of(std::process::id()).unwrap();
        let mut gone = here;
        gone.start_ticks += 1;
        let mut told = Vec::new();
        for key in [gone, here] {
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
