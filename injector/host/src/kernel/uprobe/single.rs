//! A probe by a perf event of its own, for kernels without links for many functions.
//!
//! aya does this too, and needs its object at each attachment; attachments here are made by a thread that has none.

use std::{
    ffi::CString,
    fs, io,
    num::NonZeroU32,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use super::At;
use crate::kernel::trampoline::bpf::{self, LINK_CREATE};

/// Where the kernel tells of its events of this kind (`kernel/events/core.c`, `perf_uprobe`).
const FOLDER: &str = "/sys/bus/event_source/devices/uprobe";

/// `BPF_PERF_EVENT` of `include/uapi/linux/bpf.h`.
const PERF_EVENT: u32 = 41;

/// `PERF_EVENT_IOC_ENABLE` of `include/uapi/linux/perf_event.h`.
const ENABLE: libc::Ioctl = 0x2400;

/// `PERF_FLAG_FD_CLOEXEC` of the same.
const CLOSE_ON_EXEC: libc::c_ulong = 8;

/// `struct perf_event_attr` of the same, as its second version has it (`PERF_ATTR_SIZE_VER1`).
#[repr(C)]
#[derive(Default)]
struct Event {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    path: u64,
    offset: u64,
}

/// `union bpf_attr` of `BPF_LINK_CREATE` for the program of a perf event (5.15).
#[repr(C)]
#[derive(Default)]
struct CreateLink {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    cookie: u64,
}

/// A probe; dropping it takes it out. The program goes before the event that it stands at.
#[expect(dead_code, reason = "the descriptors are held for their Drop")]
pub(super) struct Single {
    link: OwnedFd,
    event: OwnedFd,
}

impl Single {
    /// Attaches a program to a place of a file in one process. A place is where in the file, and the number that the
    /// program is told there.
    pub(super) fn attach(
        program: &OwnedFd,
        file: &Path,
        (offset, cookie): (u64, u64),
        at: At,
        pid: NonZeroU32,
    ) -> io::Result<Self> {
        let path = CString::new(file.as_os_str().as_bytes())?;
        let attributes = Event {
            kind: number(&fs::read_to_string(format!("{FOLDER}/type"))?)?,
            size: u32::try_from(size_of::<Event>()).map_err(io::Error::other)?,
            config: match at {
                At::Entry => 0,
                At::Return => 1 << return_bit()?,
            },
            path: path.as_ptr() as u64,
            offset,
            ..Event::default()
        };
        let event = open(&attributes, pid)?;
        let attributes = CreateLink {
            prog_fd: program.as_raw_fd().unsigned_abs(),
            target_fd: event.as_raw_fd().unsigned_abs(),
            attach_type: PERF_EVENT,
            cookie,
            ..CreateLink::default()
        };
        let link = bpf::call(LINK_CREATE, &attributes)?;
        // SAFETY: the event is ours, and the command takes no pointer.
        if unsafe { libc::ioctl(event.as_raw_fd(), ENABLE, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { link, event })
    }
}

/// Makes the event of a process, on any CPU.
fn open(attributes: &Event, pid: NonZeroU32) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid.get()).map_err(io::Error::other)?;
    let (any_cpu, no_group): (libc::c_int, libc::c_int) = (-1, -1);
    // SAFETY: the attributes are as large as they say, and the path in them lives until the call has returned.
    let result = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(attributes),
            pid,
            any_cpu,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    match i32::try_from(result) {
        // SAFETY: the kernel has just made this descriptor, and no other code knows of it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The bit of the configuration that means a function's return, as in `config:0`.
fn return_bit() -> io::Result<u32> {
    let format = fs::read_to_string(format!("{FOLDER}/format/retprobe"))?;
    number(format.trim().trim_start_matches("config:")).map(|bit| bit & 63)
}

fn number(text: &str) -> io::Result<u32> {
    text.trim()
        .parse()
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

const _: () = assert!(size_of::<Event>() == 72);
