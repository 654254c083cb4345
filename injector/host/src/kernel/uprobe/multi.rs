//! `BPF_LINK_CREATE` of a link for many functions in user space (6.6), which aya 0.14 has not.

use std::{
    ffi::CString,
    io,
    num::NonZeroU32,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use super::At;
use crate::kernel::trampoline::bpf::{self, LINK_CREATE, TRACE_UPROBE_MULTI};

/// `BPF_F_UPROBE_MULTI_RETURN` of `include/uapi/linux/bpf.h`.
const RETURN: u32 = 1;

/// `union bpf_attr` of the command, as far as it is used here.
#[repr(C)]
#[derive(Default)]
struct CreateLink {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    reference_counters: u64,
    cookies: u64,
    count: u32,
    multi_flags: u32,
    pid: u32,
    pad: u32,
}

/// Attaches a program to places of a file in one process. A place is where in the file, and the number that the program is
/// told there.
pub(super) fn attach(
    program: &OwnedFd,
    file: &Path,
    places: &[(u64, u64)],
    at: At,
    pid: NonZeroU32,
) -> io::Result<OwnedFd> {
    let path = CString::new(file.as_os_str().as_bytes())?;
    let (offsets, cookies): (Vec<u64>, Vec<u64>) = places.iter().copied().unzip();
    let attributes = CreateLink {
        prog_fd: program.as_raw_fd().unsigned_abs(),
        attach_type: TRACE_UPROBE_MULTI,
        path: path.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        cookies: cookies.as_ptr() as u64,
        count: u32::try_from(places.len()).map_err(io::Error::other)?,
        multi_flags: match at {
            At::Entry => 0,
            At::Return => RETURN,
        },
        pid: pid.get(),
        ..CreateLink::default()
    };
    bpf::call(LINK_CREATE, &attributes)
}
