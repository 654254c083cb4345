//! The programs of classic filters: small ones that jump, and behind them those that TCX links hold on newer kernels.
//!
//! The table between them belongs to the object, which is this process's alone. With its last descriptor the kernel
//! empties it (kernel/bpf/syscall.c, `bpf_map_put_uref`), some milliseconds after the process was killed, and the filters
//! that are left let every packet by.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::{maps::ProgramArray, programs::SchedClassifier};
use injector_common::tail;

use super::{Attaching, FilterId, Place, Qdisc, Side, Standing};
use crate::kernel::{
    Error,
    links::{DeviceHook, load},
    object::Object,
    pins,
};

/// The table.
const TABLE: &str = "INJ_TAIL";

/// A program that is loaded.
#[derive(Debug)]
pub(super) struct Loaded {
    fd: OwnedFd,
    id: u32,
}

/// The programs of a run's filters, by side.
#[derive(Debug, Default)]
pub struct Filters(Vec<(Side, Loaded)>);

impl Loaded {
    fn of(object: &mut Object, name: &'static str) -> Result<Self, Error> {
        let program: &mut SchedClassifier = load(object, name)?;
        let failed = |error: aya::programs::ProgramError| Error::program(name, &error);
        let id = program.info().map_err(failed)?.id();
        let fd = program.fd().map_err(failed)?.as_fd().try_clone_to_owned();
        let fd = fd.map_err(|error| Error::system("copy the descriptor of a program", error))?;
        Ok(Self { fd, id })
    }

    /// The kernel's number of it, which is the handle of its filter.
    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Filters {
    /// Loads the programs for these sides. They reach what is behind them for as long as the object lives.
    pub fn load(object: &mut Object, sides: &[Side]) -> Result<Self, Error> {
        let mut loaded = Vec::new();
        for side in sides {
            let (behind, slot, name) = match side {
                Side::Egress => (DeviceHook::Egress, tail::EGRESS, "inj_clsact_out"),
                Side::Ingress => (DeviceHook::Ingress, tail::INGRESS, "inj_clsact_in"),
            };
            fill(object, slot, behind.program())?;
            loaded.push((*side, Loaded::of(object, name)?));
        }
        Ok(Self(loaded))
    }

    /// The sides.
    pub fn sides(&self) -> Vec<Side> {
        self.0.iter().map(|(side, _)| *side).collect()
    }

    /// What they are known by at a place.
    pub fn ids(&self, place: Place) -> Vec<FilterId> {
        let each = self.each();
        each.map(|(side, program)| place.id(side, program))
            .collect()
    }

    /// The program of each side.
    pub(super) fn each(&self) -> impl Iterator<Item = (Side, &Loaded)> {
        self.0.iter().map(|(side, loaded)| (*side, loaded))
    }
}

/// Whether the program of a filter has a name of ours.
pub fn has_our_program(filter: &Standing) -> bool {
    let Some(id) = filter.program else {
        return false;
    };
    let mut loaded = aya::programs::loaded_programs().filter_map(Result::ok);
    let program = loaded.find(|program| program.id() == id);
    program.is_some_and(|program| program.name_as_str().is_some_and(pins::is_ours))
}

/// Puts a program into a slot of the table.
fn fill(object: &mut Object, slot: u32, name: &'static str) -> Result<(), Error> {
    let program: &mut SchedClassifier = load(object, name)?;
    let fd = program
        .fd()
        .and_then(|fd| Ok(fd.try_clone()?))
        .map_err(|error| Error::program(name, &error))?;
    let failed = |error: aya::maps::MapError| Error::Map {
        map: TABLE,
        what: "write",
        why: error.to_string(),
    };
    let table = object.ebpf.map_mut(TABLE).ok_or(Error::Missing(TABLE))?;
    let mut table = ProgramArray::try_from(table).map_err(failed)?;
    table.set(slot, &fd, 0).map_err(failed)
}

/// Attaches the program of the delay line's way back to a TAP. It is no change of the host: filter and qdisc go with the
/// device, and nothing passes there but what this process writes.
pub fn attach_return(object: &mut Object, tap: u32, run: &str) -> Result<(), Error> {
    let program = Loaded::of(object, DeviceHook::Return.program())?;
    let filters = Filters(vec![(Side::Ingress, program)]);
    let attach = |qdisc| super::attach(tap, Place::first(qdisc), &filters, run);
    let attaching = match attach(Qdisc::Missing)? {
        // Programs that give each new device a qdisc may be quicker. It goes with the device.
        Attaching::MadeByAnother => attach(Qdisc::Stands)?,
        other => other,
    };
    match attaching {
        Attaching::Done => Ok(()),
        Attaching::MadeByAnother | Attaching::Otherwise => Err(Error::Probe(
            "another program attaches filters to the delay line's TAP; start again".into(),
        )),
    }
}
