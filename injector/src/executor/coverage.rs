//! Keeps the programs on every device of a namespace, those that appear later included.

use std::collections::HashSet;

use injector_common::frame::{DEVICES, Device};

use crate::{
    event::What,
    kernel::{
        Error,
        devices::{Coverage, NetDevice, Watch},
        links::{DeviceHook, Links},
        maps::Maps,
        netns::Namespace,
        object::Object,
    },
    plan::Hooks,
};

/// Which devices are covered.
pub(super) struct Covered {
    watch: Watch,
    /// Interface indexes that were dealt with. An index is not used twice while the host is up, short
    /// of a wrap.
    known: HashSet<u32>,
    next_slot: u32,
    own_tap: Option<u32>,
}

impl Covered {
    /// Starts to watch the namespace; covers nothing yet.
    pub(super) fn start(namespace: &Namespace, own_tap: Option<u32>) -> Result<Self, Error> {
        let watch = Watch::start(namespace)?;
        Ok(Self {
            watch,
            known: HashSet::new(),
            next_slot: 0,
            own_tap,
        })
    }

    /// Covers the devices that are there. Runs in the namespace.
    pub(super) fn cover_present(
        &mut self,
        object: &mut Object,
        maps: &mut Maps,
        links: &mut Links,
        hooks: Hooks,
    ) -> Result<Vec<What>, Error> {
        let mut told = Vec::new();
        for device in crate::kernel::devices::list()? {
            told.extend(self.cover(device, object, maps, links, hooks)?);
        }
        // Those are a run's normal start; only what is not covered is news.
        told.retain(|what| matches!(what, What::DeviceNotCovered { .. }));
        Ok(told)
    }

    /// Devices that appeared since the last call.
    pub(super) fn appeared(&self) -> Vec<NetDevice> {
        self.watch
            .appeared
            .try_iter()
            .filter(|device| !self.known.contains(&device.ifindex))
            .collect()
    }

    /// Covers one device. Runs in the namespace.
    pub(super) fn cover(
        &mut self,
        device: NetDevice,
        object: &mut Object,
        maps: &mut Maps,
        links: &mut Links,
        hooks: Hooks,
    ) -> Result<Option<What>, Error> {
        if Some(device.ifindex) == self.own_tap || !self.known.insert(device.ifindex) {
            return Ok(None);
        }
        let not_covered = |why: &str| {
            Ok(Some(What::DeviceNotCovered {
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
        let record = Device {
            ifindex: device.ifindex,
            mac: device.mac,
            pad: [0; 2],
        };
        maps.write_device(self.next_slot, record)?;
        self.next_slot += 1;
        let attached = attach(object, links, hooks, &device.name);
        if attached.is_err() {
            // It may have been renamed or removed meanwhile; the next message about it is another chance.
            self.known.remove(&device.ifindex);
        }
        attached?;
        Ok(Some(What::DeviceCovered {
            device: device.name,
        }))
    }
}

fn attach(object: &mut Object, links: &mut Links, hooks: Hooks, name: &str) -> Result<(), Error> {
    if hooks.egress {
        links.device(object, DeviceHook::Egress, name)?;
    }
    if hooks.ingress {
        links.device(object, DeviceHook::Ingress, name)?;
    }
    Ok(())
}
