//! Probes in user space, at functions of a library in chosen processes.
//!
//! Every probe is for one process: the kernel puts its breakpoint into that process's text and leaves all others as they
//! are, those that run the same library too. It is a descriptor of ours, and goes with it.
//!
//! Two ways, tried on a child of ours ([`trial`]) before a target is met: one link for all functions (`uprobe.multi`, 6.6),
//! and a perf event for each. A link of 6.6 before 6.6.35 meets one thread of a process only
//! (`kernel/trace/bpf_trace.c`, `uprobe_prog_run`), and then the other way is taken.
//!
//! Programs that look and programs that write are pairs of their own: where the kernel is locked down it refuses the
//! second alone, and nothing of them is loaded where nothing is to be written.

mod multi;
mod single;
pub mod trial;

use std::{
    fs::File,
    num::NonZeroU32,
    os::fd::{AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use self::{single::Single, trial::Tries};
use super::{Error, object::Object, trampoline::Way};
use crate::targets::tls::Library;

/// The programs that look, at functions of TLS libraries.
const LOOKING: Pair = Pair {
    enter: "inj_tls_enter",
    leave: "inj_tls_leave",
};

/// Those that answer there.
const WRITING: Pair = Pair {
    enter: "inj_rewrite_enter",
    leave: "inj_rewrite_leave",
};

/// Two programs: at the beginning and at the return of a function.
#[derive(Clone, Copy, Debug)]
struct Pair {
    enter: &'static str,
    leave: &'static str,
}

/// Where probes are put: places in a file, each with the number that its program is told.
#[derive(Clone, Debug, Default)]
struct Places {
    enter: Vec<(u64, u64)>,
    leave: Vec<(u64, u64)>,
}

/// Programs that are loaded to be attached again and again.
struct Loaded {
    pair: Pair,
    by: By,
    enter: OwnedFd,
    leave: OwnedFd,
}

/// Attaches probes to TLS libraries, in the way that works here. It may be sent to a thread of its own: an attachment waits
/// for the kernel.
pub struct TlsProbes(Loaded);

/// Probes of one process in one file; dropping it takes them out.
pub struct Probed(
    #[expect(dead_code, reason = "the descriptors are held for their Drop")] Vec<Held>,
);

/// Only held.
#[expect(dead_code, reason = "the descriptors are held for their Drop")]
enum Held {
    Multi(OwnedFd),
    Single(Single),
}

impl TlsProbes {
    /// Loads the programs that look, and tries on a child of ours that a probed process lives on.
    pub fn looking(object: &mut Object) -> Result<Self, Error> {
        let by = trial::find(object, Tries::Looks)?;
        Loaded::load(object, LOOKING, by).map(Self)
    }

    /// Loads the programs that answer, and tries on a child of ours that they may write to it, and that it lives on.
    pub fn writing(object: &mut Object) -> Result<Self, Error> {
        let by = trial::find(object, Tries::Writes)?;
        Loaded::load(object, WRITING, by).map(Self)
    }

    /// Attaches to the functions of a library in one process.
    pub fn attach(&self, pid: NonZeroU32, library: &Library) -> Result<Probed, Error> {
        let places = library.functions.iter();
        let places = places.map(|(function, offset)| (function, (*offset, function.cookie())));
        let places = Places {
            enter: places.clone().map(|(_, place)| place).collect(),
            leave: places
                .filter(|(function, _)| function.returns())
                .map(|(_, place)| place)
                .collect(),
        };
        self.0.attach(pid, &library.file, &places)
    }
}

/// Which way is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Link,
    PerfEvents,
}

impl Loaded {
    fn load(object: &Object, pair: Pair, by: By) -> Result<Self, Error> {
        let programs = object.programs()?;
        let way = match by {
            By::Link => Way::Probes,
            By::PerfEvents => Way::SingleProbes,
        };
        Ok(Self {
            pair,
            by,
            enter: programs.load_probe(pair.enter, way)?,
            leave: programs.load_probe(pair.leave, way)?,
        })
    }

    fn attach(&self, pid: NonZeroU32, file: &File, places: &Places) -> Result<Probed, Error> {
        // The descriptor's own path: this very file, whatever lies at its name now.
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let Pair { enter, leave } = self.pair;
        let mut held = Vec::new();
        // Returns first: a call whose beginning alone is met would leave its entry behind.
        for (program, name, places, at) in [
            (&self.leave, leave, &places.leave, At::Return),
            (&self.enter, enter, &places.enter, At::Entry),
        ] {
            let failed = |error| Error::Program {
                program: name,
                why: format!("attaching it to process {pid} failed: {error}"),
            };
            match self.by {
                By::Link => {
                    let link = multi::attach(program, &path, places, at, pid);
                    held.push(Held::Multi(link.map_err(failed)?));
                }
                By::PerfEvents => {
                    for place in places {
                        let probe = Single::attach(program, &path, *place, at, pid);
                        held.push(Held::Single(probe.map_err(failed)?));
                    }
                }
            }
        }
        Ok(Probed(held))
    }
}

/// Where in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Where it begins.
    Entry,
    /// Where it returns.
    Return,
}
