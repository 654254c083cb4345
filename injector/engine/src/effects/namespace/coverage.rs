//! Keeps the programs on every device of a namespace, those that appear later included.

use std::collections::{BTreeMap, HashMap};

use injector_common::frame::{DEVICES, Device};

use injector_host::kernel::{
    Error,
    devices::{Change, Coverage, NetDevice, Watch},
    maps::Maps,
    netns::Namespace,
};
use injector_record::event::EventKind;
use injector_spec::error::Refusal;

use super::attacher::Attacher;
use crate::changes::Filtered;

/// Which devices are covered.
pub(super) struct Covered {
    watch: Watch,
    /// Devices that were dealt with, by interface index.
    known: HashMap<u32, Known>,
    /// Devices that something is to be done about, by interface index.
    due: BTreeMap<u32, NetDevice>,
    next_slot: u32,
    own_tap: Option<u32>,
}

/// A device that was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    /// What it was when it was last told of.
    coverage: Coverage,
    mac: [u8; 6],
    /// Its place in the delay line's table, where it is covered.
    slot: Option<u32>,
}

/// What a change of a device asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing.
    None,
    /// It is new, or has become a device of its own.
    Cover,
    /// It has another address, which frames are to be given back to.
    Readdress {
        /// Its place in the delay line's table.
        slot: u32,
    },
}

impl Known {
    /// What is to be done about a device, given what was known of it. One that has become a port stays covered:
    /// what it shares with the device above is met once (`injector_common::met`).
    fn step(known: Option<&Self>, now: &NetDevice) -> Step {
        match known {
            None => Step::Cover,
            Some(Self {
                slot: Some(slot),
                mac,
                ..
            }) => {
                if *mac == now.mac {
                    Step::None
                } else {
                    Step::Readdress { slot: *slot }
                }
            }
            Some(known) if known.coverage != now.coverage => Step::Cover,
            Some(_) => Step::None,
        }
    }
}

impl Covered {
    /// Starts to watch the namespace; covers nothing yet.
    pub(super) fn start(namespace: &Namespace, own_tap: Option<u32>) -> Result<Self, Error> {
        let watch = Watch::start(namespace)?;
        Ok(Self {
            watch,
            known: HashMap::new(),
            due: BTreeMap::new(),
            next_slot: 0,
            own_tap,
        })
    }

    /// Covers the devices that are there. Runs in the namespace.
    pub(super) fn cover_present(
        &mut self,
        maps: &mut Maps,
        attacher: &mut Attacher<'_>,
    ) -> Result<Vec<EventKind>, Refusal> {
        let mut told = Vec::new();
        for device in injector_host::kernel::devices::list()? {
            told.extend(self.cover(device, maps, attacher)?);
        }
        // Those are a run's normal start; only what is not covered is news.
        told.retain(|what| matches!(what, EventKind::DeviceNotCovered { .. }));
        Ok(told)
    }

    /// Takes at most so many of the devices that something is to be done about, because they appeared or changed.
    pub(super) fn take_due(&mut self, most: usize) -> Vec<NetDevice> {
        while let Ok(change) = self.watch.changes.try_recv() {
            match change {
                Change::Gone(ifindex) => {
                    self.known.remove(&ifindex);
                    self.due.remove(&ifindex);
                }
                Change::Is(device) => {
                    if Known::step(self.known.get(&device.ifindex), &device) == Step::None {
                        self.due.remove(&device.ifindex);
                    } else {
                        self.due.insert(device.ifindex, device);
                    }
                }
            }
        }
        take_first(&mut self.due, most)
    }

    /// Covers one device. Runs in the namespace.
    pub(super) fn cover(
        &mut self,
        device: NetDevice,
        maps: &mut Maps,
        attacher: &mut Attacher<'_>,
    ) -> Result<Option<EventKind>, Refusal> {
        if Some(device.ifindex) == self.own_tap {
            return Ok(None);
        }
        match Known::step(self.known.get(&device.ifindex), &device) {
            Step::None => return Ok(None),
            Step::Readdress { slot } => return Ok(self.readdress(&device, slot, maps)?),
            Step::Cover => {}
        }
        let mut known = Known {
            coverage: device.coverage,
            mac: device.mac,
            slot: None,
        };
        self.known.insert(device.ifindex, known);
        let not_covered = |why: &str| {
            Ok(Some(EventKind::DeviceNotCovered {
                device: device.name.clone(),
                why: why.to_owned(),
            }))
        };
        match device.coverage {
            Coverage::SeenAbove | Coverage::DelayLine => return Ok(None),
            Coverage::NoEthernet => return not_covered("its packets have no Ethernet header"),
            Coverage::Covered => {}
        }
        if self.next_slot as usize >= DEVICES {
            return not_covered("the delay line can tell 512 devices apart");
        }
        let slot = self.next_slot;
        maps.write_device(slot, record(&device))?;
        let outcome = attacher.attach(&device);
        if let Ok(Filtered::NotHere(why)) = outcome {
            // The slot is the next device's.
            maps.remove_device(device.ifindex)?;
            return not_covered(&why);
        }
        // One that failed may stand on one side.
        self.next_slot += 1;
        if outcome.is_err() {
            // It may have been renamed or removed meanwhile; the next message about it is another chance.
            self.known.remove(&device.ifindex);
        }
        outcome?;
        known.slot = Some(slot);
        self.known.insert(device.ifindex, known);
        Ok(Some(EventKind::DeviceCovered {
            device: device.name,
        }))
    }
}

impl Covered {
    /// Gives frames back to a device's new address.
    fn readdress(
        &mut self,
        device: &NetDevice,
        slot: u32,
        maps: &mut Maps,
    ) -> Result<Option<EventKind>, Error> {
        maps.write_device(slot, record(device))?;
        if let Some(known) = self.known.get_mut(&device.ifindex) {
            known.mac = device.mac;
        }
        Ok(None)
    }
}

/// The device as the delay line's table has it.
fn record(device: &NetDevice) -> Device {
    Device {
        ifindex: device.ifindex,
        mac: device.mac,
        pad: [0; 2],
    }
}

/// At most so many, the first ones first.
fn take_first<K: Ord, V>(from: &mut BTreeMap<K, V>, most: usize) -> Vec<V> {
    let taken = std::iter::from_fn(|| from.pop_first().map(|(_, value)| value));
    taken.take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_now_is_taken_later() {
        let mut due = BTreeMap::from([(7, "a"), (3, "b"), (5, "c")]);
        assert_eq!(take_first(&mut due, 0), [""; 0]);
        assert_eq!(take_first(&mut due, 1), ["b"]);
        assert_eq!(take_first(&mut due, usize::MAX), ["c", "a"]);
        assert!(due.is_empty());
    }

    fn device(coverage: Coverage, mac: u8) -> NetDevice {
        NetDevice {
            ifindex: 7,
            name: "br0".into(),
            mac: [mac; 6],
            coverage,
        }
    }

    fn known(coverage: Coverage, mac: u8, slot: Option<u32>) -> Known {
        Known {
            coverage,
            mac: [mac; 6],
            slot,
        }
    }

    #[test]
    fn a_device_is_dealt_with_when_it_changes() {
        use Coverage::{Covered, SeenAbove};
        let new = device(Covered, 1);
        assert_eq!(Known::step(None, &new), Step::Cover);
        assert_eq!(
            Known::step(Some(&known(Covered, 1, Some(3))), &new),
            Step::None
        );
        // A bridge takes the lowest address of its ports.
        let readdressed = device(Covered, 2);
        assert_eq!(
            Known::step(Some(&known(Covered, 1, Some(3))), &readdressed),
            Step::Readdress { slot: 3 }
        );
        // A port leaves its bridge, and comes back.
        assert_eq!(
            Known::step(Some(&known(SeenAbove, 1, None)), &new),
            Step::Cover
        );
        let port = device(SeenAbove, 1);
        assert_eq!(
            Known::step(Some(&known(SeenAbove, 1, None)), &port),
            Step::None
        );
        assert_eq!(
            Known::step(Some(&known(Covered, 1, Some(3))), &port),
            Step::None
        );
    }
}
