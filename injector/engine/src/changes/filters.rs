//! Classic filters on devices: announced, attached first in line, and removed.
//!
//! Several runs may have filters at one device, in one qdisc, which goes with the last of them where an injector made it.
//! Who made it stands on each filter ([`clsact::Label`]); to look, attach and remove takes the turn of the namespace, as
//! for its sysctls. A removal does without its turn rather than wait for long.

use injector_host::kernel::{
    Error,
    clock::{boot_id, boot_ns},
    clsact::{self, Attaching, Clsact, Empty, FilterId, Filters, Loaded, Place, Removal},
    devices::NetDevice,
    netns::Namespace,
};
use injector_record::journal::{DeviceFilter, HostChange, Record};
use injector_spec::error::Refusal;

use super::{Changes, Fate, TRIES, shared};
use crate::recorder::RunJournal;

/// How long after its announcement an empty qdisc is taken for the run's own.
const YOUNG_NS: u64 = 5_000_000_000;

/// What came of filters that were asked for.
#[derive(Debug)]
pub(crate) enum Filtered {
    /// They stand.
    Attached,
    /// None can, for this reason.
    NotHere(String),
}

/// What is on record of filters beside themselves.
pub(super) struct Announced<'c> {
    pub(super) boot: &'c str,
    pub(super) since_boot_ns: u64,
    pub(super) ifindex: u32,
    pub(super) clsact: Clsact,
}

/// What came of an attempt.
enum Attempt {
    /// They stand.
    Done,
    /// It was not as it had been when it was written down, and nothing was changed.
    NotBegun,
    /// Something has come in between.
    Broken(Option<Error>),
}

impl Changes {
    /// Attaches filters to a device, in front of all others. `until` is the end of the run, on the boot clock, in
    /// nanoseconds.
    pub(crate) fn attach_filters(
        &mut self,
        namespace: &Namespace,
        device: &NetDevice,
        filters: &Filters,
        until: u64,
        journal: &mut RunJournal,
    ) -> Result<Filtered, Refusal> {
        let (ifindex, sides) = (device.ifindex, filters.sides());
        for _ in 0..TRIES {
            let look = namespace.run(|| clsact::look(ifindex))??;
            let place = match clsact::place(&look, &sides) {
                Ok(place) => place,
                Err(why) => return Ok(Filtered::NotHere(why)),
            };
            let wanted: Vec<_> = filters.each().map(|one| wanted(one, place)).collect();
            let change = HostChange::DeviceFilters {
                netns_inode: namespace.inode(),
                boot: boot_id(),
                since_boot_ns: boot_ns(),
                ifindex,
                device: device.name.clone(),
                clsact: place.clsact,
                filters: wanted.iter().map(|(id, _)| record(*id)).collect(),
            };
            let id = self.announce(change, Some(namespace.try_clone()?), until, journal)?;
            match self.attempt(namespace, ifindex, place, &wanted) {
                Attempt::Done => {
                    journal.after(&Record::Changed { id: id.0 });
                    return Ok(Filtered::Attached);
                }
                Attempt::NotBegun => self.withdraw(id, journal),
                Attempt::Broken(error) => {
                    self.undo(id, journal);
                    if let Some(error) = error {
                        return Err(error.into());
                    }
                }
            }
        }
        Err(Refusal::failed(format!(
            "other programs keep changing the filters of {}; start again when they have ended.",
            device.name
        )))
    }

    /// The end of the run for filters on devices that appear while it goes on.
    pub(crate) const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Attaches where the place is still what is written down.
    fn attempt(
        &self,
        namespace: &Namespace,
        ifindex: u32,
        place: Place,
        wanted: &[(FilterId, &Loaded)],
    ) -> Attempt {
        let Some(_turn) = shared::turn(namespace) else {
            return Attempt::NotBegun;
        };
        let sides: Vec<_> = wanted.iter().map(|(id, _)| id.side).collect();
        let attaching = namespace.run(|| {
            let look = clsact::look(ifindex)?;
            if clsact::place(&look, &sides) != Ok(place) {
                return Ok(None);
            }
            clsact::attach(ifindex, place.clsact, wanted, &self.run).map(Some)
        });
        match attaching {
            Ok(Ok(Some(Attaching::Done))) => Attempt::Done,
            Ok(Ok(Some(Attaching::Otherwise))) => Attempt::Broken(None),
            Ok(Ok(None)) => Attempt::NotBegun,
            Ok(Err(error)) | Err(error) => Attempt::Broken(Some(error)),
        }
    }
}

fn wanted((side, program): (clsact::Side, &Loaded), place: Place) -> (FilterId, &Loaded) {
    let id = FilterId {
        side,
        priority: place.priority(side),
        handle: program.id(),
    };
    (id, program)
}

const fn record(id: FilterId) -> DeviceFilter {
    DeviceFilter {
        side: id.side,
        priority: id.priority,
        handle: id.handle,
    }
}

/// Removes filters of a run. What stands at the device otherwise is left alone.
pub(super) fn remove(
    namespace: &Namespace,
    announced: &Announced<'_>,
    filters: &[DeviceFilter],
    run: &str,
) -> Result<Fate, Error> {
    // They went with the kernel that had them.
    if announced.boot != boot_id() {
        return Ok(Fate::Gone);
    }
    let age = boot_ns().saturating_sub(announced.since_boot_ns);
    let empty = if age < YOUNG_NS {
        Empty::Ours
    } else {
        Empty::Unknown
    };
    let ids: Vec<FilterId> = filters
        .iter()
        .map(|one| FilterId {
            side: one.side,
            priority: one.priority,
            handle: one.handle,
        })
        .collect();
    let _turn = shared::turn(namespace);
    let (ifindex, clsact) = (announced.ifindex, announced.clsact);
    match namespace.run(|| clsact::remove(ifindex, clsact, &ids, run, empty))?? {
        Removal::Removed => Ok(Fate::Restored),
        Removal::Gone => Ok(Fate::Gone),
    }
}
