//! The maps of an object, by what they mean.

use std::os::fd::{AsFd, AsRawFd};

use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, PerCpuArray, RingBuf, SkStorage, lpm_trie};
use injector_common::{
    RuleId,
    call::{Accept, CallRule, PathEntry, PathKey},
    event::Hit,
    filter::{FilterKey, PREFIX_BITS},
    flow::Unjudged,
    frame::Device,
    lease::Lease,
    operation::Told,
    park::{Park, Sleep},
    process::{ProcessKey, TargetProcess},
    rule::{ActiveSlots, Counters, Rule, RuleState},
    tag::Tag,
};

use super::{
    Error,
    object::Object,
    shared::{Shared, Words},
};
use crate::targets::process::TaskKey;

/// All maps of an object, taken out of it; each is closed when this is dropped.
pub struct Maps {
    active: Array<MapData, ActiveSlots>,
    rules: Array<MapData, Rule>,
    state: Array<MapData, RuleState>,
    counters: PerCpuArray<MapData, Counters>,
    lost_events: PerCpuArray<MapData, u64>,
    unjudged: PerCpuArray<MapData, Unjudged>,
    filters: LpmTrie<MapData, FilterKey, u32>,
    devices: Array<MapData, Device>,
    device_at: HashMap<MapData, u32, u32>,
    tap: Array<MapData, u32>,
    watched: Array<MapData, u32>,
    park: Array<MapData, Park>,
    cgroups: HashMap<MapData, u64, u32>,
    processes: HashMap<MapData, ProcessKey, TargetProcess>,
    tags: SkStorage<MapData, Tag>,
    calls: Array<MapData, CallRule>,
    accept: Array<MapData, Accept>,
    paths: HashMap<MapData, PathKey, PathEntry>,
    killed: Array<MapData, u32>,
    in_flight: Array<MapData, u64>,
    shared_rules: Shared<Rule>,
    shared_calls: Shared<CallRule>,
}

/// The lease's map, for the watchdog thread alone.
pub struct LeaseMap(Array<MapData, Lease>);

/// Who sleeps and until when, for the park's server.
pub struct SleepMap(HashMap<MapData, u32, Sleep>);

/// The counters once more, for the thread that looks at their rates.
pub struct CounterReader {
    counters: PerCpuArray<MapData, Counters>,
    retransmits: PerCpuArray<MapData, u64>,
}

/// The ring of hits, for the thread that reads it.
pub struct EventRing(RingBuf<MapData>);

/// The ring of operations, for the thread that reads it.
pub struct OperationRing {
    records: RingBuf<MapData>,
    lost: PerCpuArray<MapData, u64>,
}

pub(super) fn take<T, E: std::fmt::Display>(
    object: &mut Object,
    name: &'static str,
    wrap: impl FnOnce(Map) -> Result<T, E>,
) -> Result<T, Error> {
    let map = object.ebpf.take_map(name).ok_or(Error::Missing(name))?;
    wrap(map).map_err(|error| Error::Map {
        map: name,
        what: "open",
        why: error.to_string(),
    })
}

pub(super) fn write_error(map: &'static str) -> impl FnOnce(aya::maps::MapError) -> Error {
    move |error| Error::Map {
        map,
        what: "write",
        why: super::error::chain(&error),
    }
}

pub(super) fn read_error(map: &'static str) -> impl FnOnce(aya::maps::MapError) -> Error {
    move |error| Error::Map {
        map,
        what: "read",
        why: super::error::chain(&error),
    }
}

impl Maps {
    /// Takes the maps out of an object.
    pub fn take(object: &mut Object) -> Result<(Self, LeaseMap, EventRing), Error> {
        let maps = Self {
            shared_rules: shared(object, "INJ_RULES")?,
            shared_calls: shared(object, "INJ_CALLS")?,
            active: take(object, "INJ_ACTIVE", Array::try_from)?,
            rules: take(object, "INJ_RULES", Array::try_from)?,
            state: take(object, "INJ_STATE", Array::try_from)?,
            counters: take(object, "INJ_COUNTERS", PerCpuArray::try_from)?,
            lost_events: take(object, "INJ_LOST", PerCpuArray::try_from)?,
            unjudged: take(object, "INJ_UNJUDGED", PerCpuArray::try_from)?,
            filters: take(object, "INJ_FILTERS", LpmTrie::try_from)?,
            devices: take(object, "INJ_DEVICES", Array::try_from)?,
            device_at: take(object, "INJ_DEVICE_AT", HashMap::try_from)?,
            tap: take(object, "INJ_TAP", Array::try_from)?,
            watched: take(object, "INJ_WATCHED", Array::try_from)?,
            park: take(object, "INJ_PARK", Array::try_from)?,
            cgroups: take(object, "INJ_CGROUPS", HashMap::try_from)?,
            processes: take(object, "INJ_PROCESSES", HashMap::try_from)?,
            tags: take(object, "INJ_TAGS", SkStorage::try_from)?,
            calls: take(object, "INJ_CALLS", Array::try_from)?,
            accept: take(object, "INJ_ACCEPT", Array::try_from)?,
            paths: take(object, "INJ_PATHS", HashMap::try_from)?,
            killed: take(object, "INJ_KILLED", Array::try_from)?,
            in_flight: take(object, "INJ_IN_FLIGHT", Array::try_from)?,
        };
        let lease = take(object, "INJ_LEASE", Array::try_from)?;
        let events = take(object, "INJ_EVENTS", RingBuf::try_from)?;
        Ok((maps, LeaseMap(lease), EventRing(events)))
    }

    /// Switches slots of a scope on and off.
    pub fn activate(&mut self, scope: u32, slots: ActiveSlots) -> Result<(), Error> {
        self.active
            .set(scope, slots, 0)
            .map_err(write_error("INJ_ACTIVE"))
    }

    /// Writes a rule and clears what it remembers.
    pub fn write_rule(&mut self, id: RuleId, rule: &Rule) -> Result<(), Error> {
        self.state
            .set(id, RuleState::default(), 0)
            .map_err(write_error("INJ_STATE"))?;
        self.rules
            .set(id, rule, 0)
            .map_err(write_error("INJ_RULES"))
    }

    /// Changes a rule while programs read it; what it remembers, and whether its hits are told, stay.
    pub fn change_rule(&mut self, id: RuleId, rule: &Rule) -> Result<(), Error> {
        self.shared_rules.change(id, |now| Rule {
            tell: now.tell,
            ..*rule
        })
    }

    /// Changes what a rule on calls has beside its rule while programs read it.
    pub fn change_call_rule(&mut self, id: RuleId, call: &CallRule) -> Result<(), Error> {
        self.shared_calls.change(id, |_| *call)
    }

    /// Adds a prefix of `bits` bits of the key's value to the filters.
    pub fn write_filter(&mut self, key: FilterKey, bits: u32) -> Result<(), Error> {
        self.filters
            .insert(&lpm_trie::Key::new(PREFIX_BITS + bits, key), 1, 0)
            .map_err(write_error("INJ_FILTERS"))
    }

    /// Writes what a rule on calls has beside its rule.
    pub fn write_call_rule(&mut self, id: RuleId, call: &CallRule) -> Result<(), Error> {
        self.calls
            .set(id, call, 0)
            .map_err(write_error("INJ_CALLS"))
    }

    /// Says at which operations a native system call is decided.
    pub fn write_accept(&mut self, syscall: u32, accept: Accept) -> Result<(), Error> {
        self.accept
            .set(syscall, accept, 0)
            .map_err(write_error("INJ_ACCEPT"))
    }

    /// Makes an inode known to a rule on paths.
    pub fn write_path(&mut self, key: PathKey, entry: PathEntry) -> Result<(), Error> {
        self.paths
            .insert(key, entry, 0)
            .map_err(write_error("INJ_PATHS"))
    }

    /// Makes an inode unknown to a rule on paths.
    pub fn remove_path(&mut self, key: PathKey) -> Result<(), Error> {
        absent_is_fine(self.paths.remove(&key)).map_err(write_error("INJ_PATHS"))
    }

    /// Says that a rule has killed, so that it lets no process start a program any more.
    pub fn mark_killed(&mut self, id: RuleId) -> Result<(), Error> {
        self.killed.set(id, 1, 0).map_err(write_error("INJ_KILLED"))
    }

    /// Programs that are on their way through calls of targets and may sleep.
    pub fn in_flight(&self) -> Result<u64, Error> {
        self.in_flight
            .get(&0, 0)
            .map_err(read_error("INJ_IN_FLIGHT"))
    }

    /// A rule's counters, all CPUs together.
    pub fn counters(&self, id: RuleId) -> Result<Counters, Error> {
        let values = self
            .counters
            .get(&id, 0)
            .map_err(read_error("INJ_COUNTERS"))?;
        Ok(values
            .iter()
            .fold(Counters::default(), |sum, value| sum.add(*value)))
    }

    /// Events that found the ring full.
    pub fn lost_events(&self) -> Result<u64, Error> {
        Ok(self
            .lost_events
            .get(&0, 0)
            .map_err(read_error("INJ_LOST"))?
            .iter()
            .sum())
    }

    /// Packets that reached a target and that no rule was asked about, all CPUs together.
    pub fn unjudged(&self, scope: u32) -> Result<Unjudged, Error> {
        let values = self
            .unjudged
            .get(&scope, 0)
            .map_err(read_error("INJ_UNJUDGED"))?;
        Ok(values
            .iter()
            .fold(Unjudged::default(), |sum, value| sum.add(*value)))
    }

    /// Makes a device known to the delay line under an index of the caller's.
    pub fn write_device(&mut self, index: u32, device: Device) -> Result<(), Error> {
        self.devices
            .set(index, device, 0)
            .map_err(write_error("INJ_DEVICES"))?;
        self.device_at
            .insert(device.ifindex, index, 0)
            .map_err(write_error("INJ_DEVICE_AT"))
    }

    /// Gives the index back to the caller.
    pub fn remove_device(&mut self, ifindex: u32) -> Result<(), Error> {
        absent_is_fine(self.device_at.remove(&ifindex)).map_err(write_error("INJ_DEVICE_AT"))
    }

    /// Says where the delay line is.
    pub fn write_tap(&mut self, ifindex: u32) -> Result<(), Error> {
        self.tap.set(0, ifindex, 0).map_err(write_error("INJ_TAP"))
    }

    /// Says which operations of a scope are told, as in [`injector_common::operation::watch`].
    pub fn watch(&mut self, scope: u32, operations: u32) -> Result<(), Error> {
        self.watched
            .set(scope, operations, 0)
            .map_err(write_error("INJ_WATCHED"))
    }

    /// Says where threads sleep; all zero is nowhere.
    pub fn write_park(&mut self, park: Park) -> Result<(), Error> {
        self.park.set(0, park, 0).map_err(write_error("INJ_PARK"))
    }

    /// Makes a cgroup and all below it a scope's.
    pub fn write_cgroup(&mut self, cgroup_id: u64, scope: u32) -> Result<(), Error> {
        self.cgroups
            .insert(cgroup_id, scope, 0)
            .map_err(write_error("INJ_CGROUPS"))
    }

    /// Takes a cgroup from its scope, whether or not it has one.
    pub fn remove_cgroup(&mut self, cgroup_id: u64) -> Result<(), Error> {
        absent_is_fine(self.cgroups.remove(&cgroup_id)).map_err(write_error("INJ_CGROUPS"))
    }

    /// Makes a process a scope's. An entry that `inj_fork` made first is the same, so it is replaced.
    pub fn write_process(&mut self, key: ProcessKey, target: TargetProcess) -> Result<(), Error> {
        self.processes
            .insert(key, target, 0)
            .map_err(write_error("INJ_PROCESSES"))
    }

    /// The processes of a scope now, followed children included.
    pub fn members(&self, scope: u32) -> Vec<TaskKey> {
        let all = self.processes.iter().filter_map(Result::ok);
        all.filter(|(_, process)| process.scope == scope)
            .map(|(key, process)| TaskKey {
                tgid: key.tgid,
                start_ticks: process.start_ticks,
            })
            .collect()
    }

    /// Tags a socket, unless it has a tag already.
    pub fn tag(&mut self, socket: &impl AsRawFd, tag: Tag) -> Result<(), Error> {
        /// `BPF_NOEXIST`: the tag that `sock_create` made knows better how old the socket is.
        const ONLY_NEW: u64 = 1;
        match self.tags.insert(socket, tag, ONLY_NEW) {
            Err(aya::maps::MapError::SyscallError(error))
                if error.io_error.kind() == std::io::ErrorKind::AlreadyExists =>
            {
                Ok(())
            }
            result => result.map_err(write_error("INJ_TAGS")),
        }
    }

    /// Writes down which resets have asked a connection.
    pub fn mark_asked(&mut self, socket: &impl AsRawFd, tag: Tag) -> Result<(), Error> {
        /// `BPF_EXIST`: only where the socket has a tag still.
        const ONLY_PRESENT: u64 = 2;
        self.tags
            .insert(socket, tag, ONLY_PRESENT)
            .map_err(write_error("INJ_TAGS"))
    }

    /// The tag of a socket.
    pub fn tag_of(&self, socket: &impl AsRawFd) -> Option<Tag> {
        self.tags.get(socket, 0).ok()
    }
}

/// A table that is still in its object, to be changed while programs read it.
fn shared<T: Words>(object: &Object, name: &'static str) -> Result<Shared<T>, Error> {
    let Some(Map::Array(map)) = object.ebpf.map(name) else {
        return Err(Error::Missing(name));
    };
    let failed = |why: String| Error::Map {
        map: name,
        what: "open",
        why,
    };
    let fd = map.fd().as_fd().try_clone_to_owned();
    let fd = fd.map_err(|error| failed(error.to_string()))?;
    let info = map
        .info()
        .map_err(|error| failed(super::error::chain(&error)))?;
    Ok(Shared::of(fd, info.max_entries() as usize, name))
}

fn absent_is_fine(removed: Result<(), aya::maps::MapError>) -> Result<(), aya::maps::MapError> {
    match removed {
        Err(aya::maps::MapError::KeyNotFound) => Ok(()),
        Err(aya::maps::MapError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(())
        }
        other => other,
    }
}

impl CounterReader {
    /// Opens the maps of an object a second time. Before [`Maps::take`].
    pub fn open(object: &mut Object) -> Result<Self, Error> {
        Ok(Self {
            counters: again(object, "INJ_COUNTERS")?,
            retransmits: again(object, "INJ_RETRANSMITS")?,
        })
    }

    /// The hits of these rules together.
    pub fn hits(&self, rules: &[RuleId]) -> Result<u64, Error> {
        let mut hits = 0;
        for id in rules {
            let values = self
                .counters
                .get(id, 0)
                .map_err(read_error("INJ_COUNTERS"))?;
            hits += values.iter().map(|counters| counters.hit).sum::<u64>();
        }
        Ok(hits)
    }

    /// The segments that these targets sent again.
    pub fn retransmits(&self, scopes: &[u32]) -> Result<u64, Error> {
        let mut segments = 0;
        for scope in scopes {
            let values = self
                .retransmits
                .get(scope, 0)
                .map_err(read_error("INJ_RETRANSMITS"))?;
            segments += values.iter().sum::<u64>();
        }
        Ok(segments)
    }
}

/// A second descriptor of a map.
fn again<V: aya::Pod>(
    object: &mut Object,
    name: &'static str,
) -> Result<PerCpuArray<MapData, V>, Error> {
    let failed = |why: String| Error::Map {
        map: name,
        what: "open",
        why,
    };
    let Some(Map::PerCpuArray(map)) = object.ebpf.map(name) else {
        return Err(Error::Missing(name));
    };
    let fd = map.fd().as_fd().try_clone_to_owned();
    let fd = fd.map_err(|error| failed(error.to_string()))?;
    let map = MapData::from_fd(fd).map_err(|error| failed(error.to_string()))?;
    PerCpuArray::try_from(Map::PerCpuArray(map)).map_err(|error| failed(error.to_string()))
}

impl SleepMap {
    /// Takes the map out of an object.
    pub fn take(object: &mut Object) -> Result<Self, Error> {
        Ok(Self(take(object, "INJ_SLEEPS", HashMap::try_from)?))
    }

    /// When the thread that sleeps in a slot is to go on, on the boot clock in nanoseconds.
    pub fn wake_boot_ns(&self, slot: u32) -> Option<u64> {
        self.0.get(&slot, 0).ok().map(|sleep| sleep.wake_boot_ns)
    }
}

impl LeaseMap {
    /// Writes the lease.
    pub fn write(&mut self, lease: Lease) -> Result<(), Error> {
        self.0.set(0, lease, 0).map_err(write_error("INJ_LEASE"))
    }
}

impl OperationRing {
    /// Takes the maps out of an object.
    pub fn take(object: &mut Object) -> Result<Self, Error> {
        Ok(Self {
            records: take(object, "INJ_OPERATIONS", RingBuf::try_from)?,
            lost: take(object, "INJ_OPERATIONS_LOST", PerCpuArray::try_from)?,
        })
    }

    /// Records that found the ring full, in all.
    pub fn lost(&self) -> Result<u64, Error> {
        let lost = self
            .lost
            .get(&0, 0)
            .map_err(read_error("INJ_OPERATIONS_LOST"))?;
        Ok(lost.iter().sum())
    }
}

/// The records that wait now, as [`EventRing`].
impl Iterator for OperationRing {
    type Item = Told;

    fn next(&mut self) -> Option<Told> {
        let item = self.records.next()?;
        Told::decode(&item)
    }
}

/// The hits that wait now; `None` is not the end, more may come. Records that do not decode cannot come
/// from our own programs.
impl Iterator for EventRing {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        let item = self.0.next()?;
        Hit::decode(&item)
    }
}
