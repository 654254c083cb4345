//! What the kernel and the relay tell each other, from both ends: descriptors of maps in the worker ([`RelayMaps`]), words of
//! memory in the relay ([`RelayMemory`]).
//!
//! The relay has no privilege, so it makes no call on a map: it was given the maps open and has them in its memory. The lease
//! and the connections it may only read.

use std::{
    net::Ipv6Addr,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::atomic::Ordering,
};

use aya::maps::{Map, MapData, SkStorage};
use injector_common::{
    lease::Lease,
    relay::{CLOSED_NS, PORTS, Relay, Relayed, Wanted, index},
};
use rustix::mm::ProtFlags;

use super::{
    Error,
    clock::boot_ns,
    maps::{take, write_error},
    object::Object,
    shared::Mapping,
};

/// Bytes of a word.
const WORD: usize = size_of::<u64>();

/// Words of the entry of a connection.
const ENTRY: usize = size_of::<Relayed>() / WORD;

/// The maps of an object that a relay needs.
pub struct RelayMaps {
    /// Its lease.
    pub lease: OwnedFd,
    /// What it says of itself.
    pub relay: OwnedFd,
    /// The connections that are sent to it.
    pub relayed: OwnedFd,
    listeners: SkStorage<MapData, u32>,
}

impl RelayMaps {
    /// Takes them, or copies of their descriptors. Before [`super::maps::Maps::take`].
    pub fn open(object: &mut Object) -> Result<Self, Error> {
        Ok(Self {
            lease: copy(object, "INJ_LEASE")?,
            relay: copy(object, "INJ_RELAY")?,
            relayed: copy(object, "INJ_RELAYED")?,
            listeners: take(object, "INJ_LISTENERS", SkStorage::try_from)?,
        })
    }

    /// Has the programs know a socket as one of the relay's, for as long as it is open.
    pub fn mark(&mut self, listener: &impl AsRawFd) -> Result<(), Error> {
        let marked = self.listeners.insert(listener, 1, 0);
        marked.map_err(write_error("INJ_LISTENERS"))
    }
}

fn copy(object: &Object, name: &'static str) -> Result<OwnedFd, Error> {
    let Some(Map::Array(map)) = object.ebpf.map(name) else {
        return Err(Error::Missing(name));
    };
    let copied = map.fd().as_fd().try_clone_to_owned();
    copied.map_err(|error| Error::system("copy the descriptor of a BPF map", error))
}

/// A connection that a target has made and that came to the relay in the place of where it wanted to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The target.
    pub scope: u32,
    /// Where it wanted to go; an IPv4 address is v4-mapped.
    pub remote: Ipv6Addr,
    /// The port there.
    pub port: u16,
    /// Its own end; an IPv4 address is v4-mapped.
    pub local: Ipv6Addr,
    /// Slots of the target's rules that mean it, one bit each.
    pub slots: u32,
    /// What tells it from all other connections of this host.
    pub cookie: u64,
}

/// Which of the relay's two listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// On 127.0.0.1.
    V4,
    /// On `::1`.
    V6,
}

/// The maps in the relay's own memory.
pub struct RelayMemory {
    lease: Mapping,
    relay: Mapping,
    relayed: Mapping,
}

impl RelayMemory {
    /// Maps them, from descriptors of [`RelayMaps`].
    pub fn map(lease: &OwnedFd, relay: &OwnedFd, relayed: &OwnedFd) -> Result<Self, Error> {
        let bytes = 2 * PORTS as usize * size_of::<Relayed>();
        Ok(Self {
            lease: Mapping::of(lease, size_of::<Lease>(), ProtFlags::READ, "INJ_LEASE")?,
            relay: Mapping::of(
                relay,
                size_of::<Relay>(),
                ProtFlags::READ | ProtFlags::WRITE,
                "INJ_RELAY",
            )?,
            relayed: Mapping::of(relayed, bytes, ProtFlags::READ, "INJ_RELAYED")?,
        })
    }

    /// Whether faults may act now.
    pub fn is_live(&self) -> bool {
        let words = self.lease.words(0, 1);
        let expires = words.first().map_or(0, |word| word.load(Ordering::Acquire));
        let lease = Lease {
            expires_boot_ns: expires,
        };
        lease.is_live(boot_ns())
    }

    /// Says where the relay listens; 0 is nowhere.
    pub fn listen(&self, port_v4: u16, port_v6: u16) {
        let [low, high] = [port_v4, port_v6].map(|port| u32::from(port).to_ne_bytes());
        let mut ports = [0; WORD];
        ports[..4].copy_from_slice(&low);
        ports[4..].copy_from_slice(&high);
        if let [_, word] = self.relay.words(0, 2) {
            word.store(u64::from_ne_bytes(ports), Ordering::Release);
        }
    }

    /// Says that the relay serves, or that it takes no new connection any more.
    pub fn say(&self, serves: Serves) {
        let beat = match serves {
            Serves::Now => boot_ns(),
            Serves::NoMore => 0,
        };
        if let [word, ..] = self.relay.words(0, 2) {
            word.store(beat, Ordering::Release);
        }
    }

    /// The connection whose own end has this port, as it came to this listener; `None` where the programs have sent none
    /// such.
    pub fn arrival(&self, listener: Listener, port: u16) -> Option<Arrival> {
        let by_v6 = match listener {
            Listener::V4 => 0,
            Listener::V6 => 1,
        };
        let at = index(by_v6, port) as usize * ENTRY;
        let words = self.relayed.words(at, ENTRY);
        let words: Vec<u64> = words
            .iter()
            .map(|word| word.load(Ordering::Acquire))
            .collect();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let relayed = Relayed::decode(&bytes)?;
        let Wanted {
            remote,
            port,
            scope,
            slots,
            by_v6: _,
        } = relayed.wanted;
        let closed = relayed.closed_boot_ns;
        let is_late = closed != 0 && boot_ns() > closed.saturating_add(CLOSED_NS);
        (relayed.cookie != 0 && !is_late).then_some(Arrival {
            scope,
            remote: Ipv6Addr::from(remote),
            port: u16::try_from(port).ok()?,
            local: Ipv6Addr::from(relayed.local),
            slots,
            cookie: relayed.cookie,
        })
    }
}

/// Whether new connections may be sent to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// They may, for as long as [`injector_common::relay::BEAT_NS`] says.
    Now,
    /// They may not.
    NoMore,
}
