//! Three calls of bpf(2) that aya keeps to itself.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use super::{Sleeps, Way};
use crate::kernel::Error;

/// Commands, program types and attach types of `include/uapi/linux/bpf.h`.
const PROG_LOAD: libc::c_long = 5;
const BTF_LOAD: libc::c_long = 18;
pub(in crate::kernel) const LINK_CREATE: libc::c_long = 28;
const KPROBE: u32 = 2;
const TRACING: u32 = 26;
const LSM: u32 = 29;
const TRACE_FEXIT: u32 = 25;
const MODIFY_RETURN: u32 = 26;
const LSM_MAC: u32 = 27;
pub(in crate::kernel) const TRACE_UPROBE_MULTI: u32 = 48;
const SLEEPABLE: u32 = 1 << 4;

/// Bytes of the verifier's log that are asked for where a program was refused.
const LOG: usize = 1 << 20;

/// `union bpf_attr` of `BPF_PROG_LOAD`, as far as it is used here.
#[repr(C)]
#[derive(Default)]
struct LoadProgram {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
}

/// `union bpf_attr` of `BPF_BTF_LOAD`.
#[repr(C)]
#[derive(Default)]
struct LoadTypes {
    btf: u64,
    log_buf: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    pad: u32,
}

/// `union bpf_attr` of `BPF_LINK_CREATE` for a trampoline's program; its function is the one that it was loaded for.
#[repr(C)]
#[derive(Default)]
struct CreateLink {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    target_btf_id: u32,
    pad: u32,
    cookie: u64,
}

/// Asks bpf(2) for a descriptor.
pub(in crate::kernel) fn call<A>(command: libc::c_long, attributes: &A) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are as large as is said, and every pointer in them is into memory that the
    // caller keeps until the call has returned.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<A>()) };
    match i32::try_from(result) {
        // SAFETY: the kernel has just made this descriptor, and no other code knows of it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

/// What no kernel of ours comes near to; the kernel refuses what is too large by itself.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

/// Loads the type information of a program.
pub(super) fn load_types(types: &[u8]) -> Result<OwnedFd, Error> {
    let attributes = LoadTypes {
        btf: address(types),
        size: length(types.len()),
        ..LoadTypes::default()
    };
    call(BTF_LOAD, &attributes)
        .map_err(|error| Error::system("load the types of the BPF programs", error))
}

/// Attaches a loaded program, and tells it a number (5.19).
pub(super) fn attach(program: &OwnedFd, way: Way, cookie: u64) -> io::Result<OwnedFd> {
    let attributes = CreateLink {
        prog_fd: number(program.as_fd()),
        attach_type: attach_type(way),
        cookie,
        ..CreateLink::default()
    };
    call(LINK_CREATE, &attributes)
}

const fn attach_type(way: Way) -> u32 {
    match way {
        Way::Lsm => LSM_MAC,
        Way::ModifyReturn => MODIFY_RETURN,
        Way::Exit => TRACE_FEXIT,
        Way::Probes => TRACE_UPROBE_MULTI,
        // The programs of perf events have none.
        Way::SingleProbes => 0,
    }
}

const fn kind(way: Way) -> u32 {
    match way {
        Way::Lsm => LSM,
        Way::ModifyReturn | Way::Exit => TRACING,
        // `BPF_PROG_TYPE_KPROBE` is that of probes in user space too.
        Way::Probes | Way::SingleProbes => KPROBE,
    }
}

/// A program that is about to be loaded.
pub(super) struct Program<'p> {
    pub(super) name: &'static str,
    pub(super) code: &'p aya_obj::Function,
    pub(super) types: BorrowedFd<'p>,
    pub(super) way: Way,
    /// Type id of the function that it is for.
    pub(super) function: u32,
    pub(super) sleeps: Sleeps,
}

impl Program<'_> {
    /// Loads it; the error is the kernel's word, with the verifier's log where there is one.
    pub(super) fn load(&self) -> Result<OwnedFd, String> {
        let functions = self.code.func_info.func_info_bytes();
        let lines = self.code.line_info.line_info_bytes();
        let mut attributes = LoadProgram {
            prog_type: kind(self.way),
            insn_cnt: length(self.code.instructions.len()),
            insns: address(&self.code.instructions),
            license: c"GPL".as_ptr() as u64,
            prog_flags: match self.sleeps {
                Sleeps::Never => 0,
                Sleeps::Sometimes => SLEEPABLE,
            },
            prog_name: short_name(self.name),
            expected_attach_type: attach_type(self.way),
            prog_btf_fd: number(self.types),
            func_info_rec_size: length(self.code.func_info_rec_size),
            func_info: address(&functions),
            func_info_cnt: length(self.code.func_info.len()),
            line_info_rec_size: length(self.code.line_info_rec_size),
            line_info: address(&lines),
            line_info_cnt: length(self.code.line_info.len()),
            attach_btf_id: self.function,
            ..LoadProgram::default()
        };
        let error = match call(PROG_LOAD, &attributes) {
            Ok(program) => return Ok(program),
            Err(error) => error,
        };
        let mut log = vec![0u8; LOG];
        attributes.log_level = 1;
        attributes.log_size = length(log.len());
        attributes.log_buf = log.as_mut_ptr() as u64;
        match call(PROG_LOAD, &attributes) {
            Ok(program) => Ok(program),
            Err(_) => Err(explained(&error, &log)),
        }
    }
}

/// The last line of the verifier's log is its verdict; in front of it stand counts and the way there.
fn explained(error: &io::Error, log: &[u8]) -> String {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(&log[..end]);
    let verdict = log
        .lines()
        .rev()
        .find(|line| !line.is_empty() && !line.starts_with("processed "));
    match verdict {
        Some(verdict) => format!("{error}: {verdict}\n{log}"),
        None => error.to_string(),
    }
}

/// The kernel keeps 15 bytes of a name (`BPF_OBJ_NAME_LEN`).
fn short_name(name: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short
        .iter_mut()
        .zip(name.bytes().take(15))
        .for_each(|(to, byte)| *to = byte);
    short
}
