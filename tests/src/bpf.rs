//! The BPF objects that the kernel holds right now, asked with bpf(2) itself: what is left behind
//! must be found without the library that may have left it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

mod empty_egress;
mod memory;

pub use empty_egress::EmptyEgress;
pub use memory::tables_of;

/// Commands of bpf(2), from `enum bpf_cmd` in `include/uapi/linux/bpf.h`.
mod command {
    pub(super) const MAP_CREATE: libc::c_long = 0;
    pub(super) const MAP_LOOKUP_ELEM: libc::c_long = 1;
    pub(super) const PROG_LOAD: libc::c_long = 5;
    pub(super) const PROG_GET_NEXT_ID: libc::c_long = 11;
    pub(super) const MAP_GET_NEXT_ID: libc::c_long = 12;
    pub(super) const PROG_GET_FD_BY_ID: libc::c_long = 13;
    pub(super) const MAP_GET_FD_BY_ID: libc::c_long = 14;
    pub(super) const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
    pub(super) const LINK_CREATE: libc::c_long = 28;
    pub(super) const LINK_GET_FD_BY_ID: libc::c_long = 30;
    pub(super) const LINK_GET_NEXT_ID: libc::c_long = 31;
    pub(super) const ENABLE_STATS: libc::c_long = 32;
}

/// Where the fields of `struct bpf_prog_info` and `struct bpf_map_info` are.
mod offset {
    pub(super) const PROGRAM_NAME: usize = 64;
    pub(super) const RUN_TIME_NS: usize = 192;
    pub(super) const RUN_COUNT: usize = 200;
    pub(super) const MAP_NAME: usize = 24;
}

/// Enough for every info structure; the kernel fills as much as it knows.
const INFO_SIZE: usize = 256;
type Info = [u8; INFO_SIZE];

/// A loaded program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its id, never used again until the next boot.
    pub id: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// What it has used while statistics were on.
    pub charge: Charge,
}

/// What the kernel's statistics charge a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Time spent in it, the reading of the clock included (`__bpf_prog_run` in `include/linux/filter.h`).
    pub run_time_ns: u64,
    /// Runs.
    pub run_count: u64,
}

impl Charge {
    fn at(info: &Info) -> Self {
        Self {
            run_time_ns: u64_at(info, offset::RUN_TIME_NS),
            run_count: u64_at(info, offset::RUN_COUNT),
        }
    }

    /// Nanoseconds of a run since `before`; absent where there was none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a mean: small against 2^52 runs or ns"
    )]
    pub fn mean_since(self, before: Self) -> Option<f64> {
        let runs = self.run_count.checked_sub(before.run_count)?;
        let time = self.run_time_ns.checked_sub(before.run_time_ns)?;
        (runs > 0).then(|| time as f64 / runs as f64)
    }
}

/// All loaded programs.
pub fn programs() -> Result<Vec<Program>> {
    infos(
        command::PROG_GET_NEXT_ID,
        command::PROG_GET_FD_BY_ID,
        |id, info| Program {
            id,
            name: name_at(info, offset::PROGRAM_NAME),
            charge: Charge::at(info),
        },
    )
    .context("cannot list the BPF programs")
}

/// How long a map has to be there before it is opened by its id.
const SETTLED: Duration = Duration::from_millis(100);

/// Ids and names of all maps.
///
/// Each is opened once in the life of this process, and not at once. A table of programs empties itself behind its last
/// descriptor by work that the kernel puts off and that holds the table (`prog_array_map_clear` in `kernel/bpf/arraymap.c`).
/// Where a descriptor by its id is closed before that work has run, the kernel takes a second hold that it never lets go of: the
/// look itself would leave the table behind.
pub fn maps() -> Result<Vec<(u32, String)>> {
    static KNOWN: Mutex<BTreeMap<u32, String>> = Mutex::new(BTreeMap::new());
    const WHAT: &str = "cannot list the BPF maps";
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut listed = ids(command::MAP_GET_NEXT_ID).context(WHAT)?;
    if listed.iter().any(|id| !known.contains_key(id)) {
        thread::sleep(SETTLED);
        listed = ids(command::MAP_GET_NEXT_ID).context(WHAT)?;
    }
    let mut found = Vec::new();
    for id in listed {
        let name = match known.get(&id) {
            Some(name) => name.clone(),
            None => match info_of(command::MAP_GET_FD_BY_ID, id) {
                Ok(info) => name_at(&info, offset::MAP_NAME),
                // Gone meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
                Err(error) => return Err(error).context(WHAT),
            },
        };
        known.insert(id, name.clone());
        found.push((id, name));
    }
    Ok(found)
}

fn ids(next: libc::c_long) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    let mut id = 0;
    while let Some(following) = next_id(next, id)? {
        id = following;
        found.push(id);
    }
    Ok(found)
}

/// The first element of an array map whose values are eight bytes.
pub fn first_u64(id: u32) -> Result<u64> {
    let map = open(command::MAP_GET_FD_BY_ID, id).context("cannot open the BPF map")?;
    let (key, mut value) = ([0_u8; 4], [0_u8; 8]);
    // `attr.map_fd`, `attr.key`, `attr.value`, `attr.flags`.
    let mut attributes = [0_u8; 32];
    attributes[..4].copy_from_slice(&map.as_raw_fd().to_ne_bytes());
    attributes[8..16].copy_from_slice(&(key.as_ptr().expose_provenance() as u64).to_ne_bytes());
    attributes[16..24]
        .copy_from_slice(&(value.as_mut_ptr().expose_provenance() as u64).to_ne_bytes());
    bpf(command::MAP_LOOKUP_ELEM, &mut attributes).context("cannot read the BPF map")?;
    Ok(u64::from_ne_bytes(value))
}

/// Ids of all links, those that a process is just attaching included.
pub fn links() -> Result<Vec<u32>> {
    infos(
        command::LINK_GET_NEXT_ID,
        command::LINK_GET_FD_BY_ID,
        |id, _info| id,
    )
    .context("cannot list the BPF links")
}

/// Switches run time statistics on (`BPF_STATS_RUN_TIME`) until the descriptor is closed.
pub fn enable_statistics() -> Result<OwnedFd> {
    let mut attributes = [0u8; 16];
    let descriptor =
        bpf(command::ENABLE_STATS, &mut attributes).context("cannot switch on BPF statistics")?;
    own(descriptor)
}

/// Makes an array map with one element: something for the harness to find.
pub fn make_array(name: &str) -> Result<OwnedFd> {
    // `attr.map_type` (array), `key_size`, `value_size`, `max_entries`; `map_name` is at 28.
    let mut attributes = [0u8; 48];
    for (at, value) in [2u32, 4, 4, 1].into_iter().enumerate() {
        attributes[at * 4..at * 4 + 4].copy_from_slice(&value.to_ne_bytes());
    }
    for (to, from) in attributes[28..43].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    own(bpf(command::MAP_CREATE, &mut attributes).context("cannot make a BPF map")?)
}

fn infos<T>(
    next: libc::c_long,
    by_id: libc::c_long,
    read: impl Fn(u32, &Info) -> T,
) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    let mut id = 0;
    while let Some(following) = next_id(next, id)? {
        id = following;
        match info_of(by_id, id) {
            Ok(info) => found.push(read(id, &info)),
            // A link that is not attached yet: `bpf_link_by_id` in `kernel/bpf/syscall.c`.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {
                found.push(read(id, &[0; INFO_SIZE]));
            }
            // Gone between the two calls.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// `attr.start_id`, `attr.next_id`, `attr.open_flags`.
fn next_id(next: libc::c_long, start: u32) -> io::Result<Option<u32>> {
    let mut attributes = [0u8; 12];
    attributes[..4].copy_from_slice(&start.to_ne_bytes());
    match bpf(next, &mut attributes) {
        Ok(_zero) => Ok(Some(u32_at(&attributes, 4))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(by_id: libc::c_long, id: u32) -> io::Result<OwnedFd> {
    let mut attributes = [0u8; 12];
    attributes[..4].copy_from_slice(&id.to_ne_bytes());
    own(bpf(by_id, &mut attributes)?).map_err(io::Error::other)
}

fn info_of(by_id: libc::c_long, id: u32) -> io::Result<Info> {
    let object = open(by_id, id)?;
    info_of_descriptor(&object)
}

fn info_of_descriptor(object: &OwnedFd) -> io::Result<Info> {
    let mut info = [0u8; INFO_SIZE];
    // `attr.info`: descriptor, length, address.
    let mut attributes = [0u8; 16];
    put_u32(&mut attributes, 0, object.as_raw_fd().cast_unsigned());
    put_u32(&mut attributes, 4, u32::try_from(INFO_SIZE).unwrap_or(0));
    put_pointer(&mut attributes, 8, info.as_mut_ptr());
    bpf(command::OBJ_GET_INFO_BY_FD, &mut attributes)?;
    Ok(info)
}

fn bpf(command: libc::c_long, attributes: &mut [u8]) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads and writes at most `attributes.len()` bytes of the attributes. Two
    // commands here carry pointers: OBJ_GET_INFO_BY_FD, whose caller passes a live buffer and its
    // length, and PROG_LOAD, which reads two instructions, as told, and a string that ends.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            attributes.as_mut_ptr(),
            attributes.len(),
        )
    };
    if outcome < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(outcome)
    }
}

fn own(descriptor: libc::c_long) -> Result<OwnedFd> {
    let descriptor = i32::try_from(descriptor).context("not a descriptor")?;
    // SAFETY: the kernel has just made this descriptor for the caller, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn put_u32(attributes: &mut [u8], at: usize, value: u32) {
    attributes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

fn put_pointer<T>(attributes: &mut [u8], at: usize, pointer: *const T) {
    let address = pointer.expose_provenance() as u64;
    attributes[at..at + 8].copy_from_slice(&address.to_ne_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|four| four.try_into().ok())
        .map_or(0, u32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|eight| eight.try_into().ok())
        .map_or(0, u64::from_ne_bytes)
}

fn name_at(bytes: &[u8], at: usize) -> String {
    let name = bytes.get(at..at + 16).unwrap_or_default();
    let end = name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}
