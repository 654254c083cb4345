//! Probes in user space, at functions of a library in chosen processes.
//!
//! Every probe is for one process: the kernel puts its breakpoint into that process's text and leaves all others as they
//! are, those that run the same library too. It is a descriptor of ours, and goes with it.
//!
//! Two ways, tried on a child of ours ([`trial`]) before a target is met: one link for all functions (`uprobe.multi`, 6.6),
//! and a perf event for each. A link of 6.6 before 6.6.35 meets one thread of a process only
//! (`kernel/trace/bpf_trace.c`, `uprobe_prog_run`), and then the other way is taken.

mod multi;
pub mod trial;

use std::{
    fs::File,
    num::NonZeroU32,
    os::fd::{AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use aya::programs::{
    UProbe,
    uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope},
};

use super::{
    Error,
    links::{ensure_loaded, program},
    object::Object,
};
use crate::targets::tls::Library;

/// The programs at functions of TLS libraries.
const AT_TLS: Pair = Pair {
    enter: "inj_tls_enter",
    leave: "inj_tls_leave",
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
    way: Way,
}

enum Way {
    /// By one link for all places.
    Multi { enter: OwnedFd, leave: OwnedFd },
    /// By a perf event for each.
    Single,
}

/// Attaches probes to TLS libraries, in the way that works here.
pub struct TlsProbes(Loaded);

/// Probes of one process in one file; dropping it takes them out.
pub struct Probed(
    #[expect(dead_code, reason = "the descriptors are held for their Drop")] Vec<Held>,
);

/// Only held.
#[expect(dead_code, reason = "the descriptors are held for their Drop")]
enum Held {
    Multi(OwnedFd),
    Single(UProbeLink),
}

impl TlsProbes {
    /// Loads the programs, and tries on a child of ours that a probed process lives on.
    pub fn ready(object: &mut Object) -> Result<Self, Error> {
        let by = trial::find(object)?;
        Loaded::load(object, AT_TLS, by).map(Self)
    }

    /// Attaches to the functions of a library in one process.
    pub fn attach(
        &self,
        object: &mut Object,
        pid: NonZeroU32,
        library: &Library,
    ) -> Result<Probed, Error> {
        let places = library.functions.iter();
        let places = places.map(|(function, offset)| (function, (*offset, function.cookie())));
        let places = Places {
            enter: places.clone().map(|(_, place)| place).collect(),
            leave: places
                .filter(|(function, _)| function.returns())
                .map(|(_, place)| place)
                .collect(),
        };
        self.0.attach(object, pid, &library.file, &places)
    }
}

/// Which way is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Link,
    PerfEvents,
}

impl Loaded {
    fn load(object: &mut Object, pair: Pair, by: By) -> Result<Self, Error> {
        let way = match by {
            By::Link => {
                let programs = object.programs()?;
                Way::Multi {
                    enter: programs.load_probe(pair.enter)?,
                    leave: programs.load_probe(pair.leave)?,
                }
            }
            By::PerfEvents => {
                for name in [pair.enter, pair.leave] {
                    let program: &mut UProbe = program(object, name)?;
                    ensure_loaded(name, program.fd().is_ok(), || program.load())?;
                }
                Way::Single
            }
        };
        Ok(Self { pair, way })
    }

    fn attach(
        &self,
        object: &mut Object,
        pid: NonZeroU32,
        file: &File,
        places: &Places,
    ) -> Result<Probed, Error> {
        // The descriptor's own path: this very file, whatever lies at its name now.
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let Pair { enter, leave } = self.pair;
        let mut held = Vec::new();
        match &self.way {
            Way::Multi {
                enter: at_entry,
                leave: at_return,
            } => {
                // Returns first: a call whose beginning alone is met would leave its entry behind.
                for (program, name, places, at) in [
                    (at_return, leave, &places.leave, multi::At::Return),
                    (at_entry, enter, &places.enter, multi::At::Entry),
                ] {
                    let link = multi::attach(program, &path, places, at, pid);
                    held.push(Held::Multi(link.map_err(|error| Error::Program {
                        program: name,
                        why: format!("attaching it to process {pid} failed: {error}"),
                    })?));
                }
            }
            Way::Single => {
                for (name, places) in [(leave, &places.leave), (enter, &places.enter)] {
                    let program: &mut UProbe = program(object, name)?;
                    let failed = |error| Error::program(name, &error);
                    for (offset, cookie) in places {
                        let point = UProbeAttachPoint {
                            location: UProbeAttachLocation::AbsoluteOffset(*offset),
                            cookie: Some(*cookie),
                        };
                        let id = program
                            .attach(point, &path, UProbeScope::OneProcess(pid))
                            .map_err(failed)?;
                        held.push(Held::Single(program.take_link(id).map_err(failed)?));
                    }
                }
            }
        }
        Ok(Probed(held))
    }
}
