//! Classic filters on devices: announced, attached first in line, and removed.
//!
//! Several runs may have filters at one device, in one qdisc, which goes with the last of them where an injector made it.
//! Who made it stands on each filter ([`clsact::Label`]); to look, attach and remove takes the turn of the namespace, as
//! for its sysctls. A removal does without its turn rather than wait for long.

use injector_host::kernel::{
    Error,
    clock::{boot_id, boot_ns},
    clsact::{
        self, Attaching, Clsact, Empty, FilterId, Filters, Meant, Place, Qdisc, Removal, Turn,
    },
    devices::NetDevice,
    netns::Namespace,
};
use injector_record::journal::{HostChange, Record};
use injector_spec::error::Refusal;

use super::{ChangeId, Changes, Fate, Patience, TRIES, shared};
use crate::recorder::RunJournal;

/// How long after its announcement an empty qdisc is taken for the run's own, where no filter of it ever stood: a run that
/// arms waits for its turn behind the announcement, and so much more is for who cleans up after it.
const YOUNG_NS: u64 = (5 + shared::PATIENCE_TO_ARM.as_secs()) * 1_000_000_000;

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
    /// When, on the boot clock, in nanoseconds; 0 where an empty qdisc is none of this run's making, or not any more.
    pub(super) since_boot_ns: u64,
    pub(super) ifindex: u32,
    pub(super) clsact: Clsact,
}

/// What came of an attempt.
enum Attempt {
    /// They stand.
    Done,
    /// It was not as it had been when it was written down, and nothing was changed: what is there now is another's.
    NotBegun,
    /// The turn did not come in time, and nothing was changed.
    NoTurn,
    /// Something has come in between.
    Broken(Option<Error>),
}

impl Changes {
    /// Attaches filters to a device, in front of all others.
    pub(crate) fn attach_filters(
        &mut self,
        namespace: &Namespace,
        device: &NetDevice,
        filters: &Filters,
        journal: &mut RunJournal,
    ) -> Result<Filtered, Refusal> {
        let (ifindex, sides) = (device.ifindex, filters.sides());
        for _ in 0..TRIES {
            let look = namespace.run(|| clsact::look(ifindex))??;
            let place = match clsact::place(&look, &sides) {
                Ok(place) => place,
                Err(why) => return Ok(Filtered::NotHere(why)),
            };
            let change = HostChange::DeviceFilters {
                netns_inode: namespace.inode(),
                boot: boot_id(),
                since_boot_ns: match place.qdisc {
                    Qdisc::Missing => boot_ns(),
                    Qdisc::Stands => 0,
                },
                ifindex,
                device: device.name.clone(),
                clsact: place.clsact,
                filters: filters.ids(place),
            };
            let id = self.announce(change, Some(namespace.try_clone()?), self.deadline, journal)?;
            match self.attempt(namespace, ifindex, place, filters) {
                Attempt::Done => {
                    journal.after(&Record::Changed { id: id.0 });
                    self.stand(id)?;
                    return Ok(Filtered::Attached);
                }
                Attempt::NotBegun => self.withdraw(id, journal),
                Attempt::NoTurn => {
                    self.withdraw(id, journal);
                    return Err(shared::no_turn());
                }
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

    /// Tells the guardian that filters stand by now: that their qdisc was made for this run is evident from them, and from
    /// nothing else any more.
    fn stand(&mut self, id: ChangeId) -> Result<(), Refusal> {
        let Some(at) = self.made.iter().position(|made| made.id == id) else {
            return Ok(());
        };
        self.made[at].change.stands();
        let made = &self.made[at];
        self.hand_over(
            made.id,
            &made.change,
            made.namespace.as_ref(),
            self.deadline,
        )
    }

    /// Attaches where the place is still what is written down.
    fn attempt(
        &self,
        namespace: &Namespace,
        ifindex: u32,
        place: Place,
        filters: &Filters,
    ) -> Attempt {
        let Some(_turn) = Patience::of(self.patience).turn(namespace) else {
            return Attempt::NoTurn;
        };
        let sides = filters.sides();
        let attaching = namespace.run(|| {
            let look = clsact::look(ifindex)?;
            if clsact::place(&look, &sides) != Ok(place) {
                return Ok(None);
            }
            clsact::attach(ifindex, place, filters, &self.run).map(Some)
        });
        match attaching {
            Ok(Ok(Some(Attaching::Done))) => Attempt::Done,
            Ok(Ok(Some(Attaching::Otherwise))) => Attempt::Broken(None),
            Ok(Ok(None | Some(Attaching::MadeByAnother))) => Attempt::NotBegun,
            Ok(Err(error)) | Err(error) => Attempt::Broken(Some(error)),
        }
    }
}

/// Removes filters of a run. What stands at the device otherwise is left alone.
pub(super) fn remove(
    namespace: &Namespace,
    announced: &Announced<'_>,
    filters: &[FilterId],
    run: &str,
    patience: &Patience,
) -> Result<Fate, Error> {
    // They went with the kernel that had them.
    if announced.boot != boot_id() {
        return Ok(Fate::Gone);
    }
    let turn = patience.turn(namespace);
    let meant = Meant {
        run,
        filters,
        clsact: announced.clsact,
        empty: empty(announced.since_boot_ns, boot_ns()),
        turn: turn.as_ref().map_or(Turn::Missing, |_| Turn::Ours),
    };
    match namespace.run(|| clsact::remove(announced.ifindex, &meant))?? {
        Removal::Removed => Ok(Fate::Restored),
        Removal::Gone => Ok(Fate::Gone),
        Removal::QdiscStays => Err(qdisc_stays(announced.ifindex)),
    }
}

/// Whose an empty qdisc is that was announced then.
fn empty(since_boot_ns: u64, now: u64) -> Empty {
    if since_boot_ns != 0 && now.saturating_sub(since_boot_ns) < YOUNG_NS {
        Empty::Ours
    } else {
        Empty::Unknown
    }
}

/// The filters are gone and their qdisc is not, because another process has the turn of the namespace.
pub(crate) fn qdisc_stays(ifindex: u32) -> Error {
    let what = format!(
        "remove the qdisc clsact of the network device with index {ifindex}, in which no filter is left (`tc qdisc \
         del dev DEVICE clsact` does)"
    );
    Error::system(what, std::io::Error::other(shared::LOCKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_qdisc_is_a_runs_only_between_announcement_and_attachment() {
        let announced = 7 * YOUNG_NS;
        let at = |since, now| empty(since, now) == Empty::Ours;
        assert!(at(announced, announced) && at(announced, announced + YOUNG_NS - 1));
        assert!(!at(announced, announced + YOUNG_NS));
        // One that was made after a long wait for its turn, and whose run died then.
        let waited = u64::try_from(shared::PATIENCE_TO_ARM.as_nanos()).unwrap();
        assert!(at(announced, announced + waited + 4_999_999_999));
        // It stands, or was found; in the first seconds of a boot as well.
        assert!(!at(0, announced) && !at(0, 1));
    }
}
