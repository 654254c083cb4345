//! Looks through the sockets that a process has open, in the kernel.
//!
//! An iterator over the files of one process (`kernel/bpf/task_iter.c`, `task_file`; one process alone since 6.1)
//! runs `inj_look` for each. Reading the iterator is the look; it gives what the program has written.

use std::{
    io::{self, Read},
    ops::ControlFlow,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use aya::{
    maps::{Array, MapData},
    programs::Iter,
};
use injector_common::look::{FOUND, Found, Look};

use super::{Error, maps, object::Object, trampoline::bpf};

const PROGRAM: &str = "inj_look";
const MAP: &str = "INJ_LOOK";

/// Commands and attach type of `include/uapi/linux/bpf.h`.
const LINK_CREATE: libc::c_long = 28;
const ITER_CREATE: libc::c_long = 33;
const TRACE_ITER: u32 = 28;

/// Bytes that are read at once. The kernel looks no further than to where they are full, so that a caller who has
/// had enough has caused no work in vain.
const ROOM: usize = 256 * FOUND;

/// `union bpf_attr` of `BPF_LINK_CREATE` for an iterator.
#[repr(C)]
#[derive(Default)]
struct CreateLink {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    iter_info: u64,
    iter_info_len: u32,
    pad: u32,
}

/// `union bpf_iter_link_info`, of an iterator over tasks; its length is that of the whole union.
#[repr(C)]
#[derive(Default)]
struct OfTask {
    tid: u32,
    pid: u32,
    pid_fd: u32,
    pad: u32,
}

/// `union bpf_attr` of `BPF_ITER_CREATE`.
#[repr(C)]
#[derive(Default)]
struct CreateIterator {
    link_fd: u32,
    flags: u32,
}

/// The program, loaded.
pub struct Looker {
    program: OwnedFd,
    look: Array<MapData, Look>,
}

impl Looker {
    /// Loads the program; an error says why this kernel does not take it. Before the object's maps are taken.
    pub fn of(object: &mut Object) -> Result<Self, Error> {
        if let Some(missing) = object.missing_for_looks() {
            return Err(Error::Btf(missing.to_owned()));
        }
        let failed = |error: aya::programs::ProgramError| Error::program(PROGRAM, &error);
        let Object { ebpf, btf, .. } = object;
        let program: &mut Iter = ebpf
            .program_mut(PROGRAM)
            .ok_or(Error::Missing(PROGRAM))?
            .try_into()
            .map_err(failed)?;
        program.load("task_file", btf).map_err(failed)?;
        let program = program.fd().map_err(failed)?.as_fd().try_clone_to_owned();
        let program =
            program.map_err(|error| Error::system("copy the descriptor of a program", error))?;
        let look = maps::take(object, MAP, Array::try_from)?;
        Ok(Self { program, look })
    }

    /// Looks through the files of a process: tags its sockets, and lets `meet` have the connections that are to be
    /// asked, until it breaks off. A process that has ended has none.
    pub fn look(
        &mut self,
        look: Look,
        meet: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.look.set(0, look, 0).map_err(maps::write_error(MAP))?;
        let failed = |error| Error::system("look through the files of a process", error);
        match self.files_of(look.tgid) {
            Ok(files) => read(files, meet).map_err(failed),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// The iterator. A kernel that knows no iterators over one process gives one over all; the program goes by the
    /// process too.
    fn files_of(&self, tgid: u32) -> io::Result<OwnedFd> {
        let of_task = OfTask {
            pid: tgid,
            ..OfTask::default()
        };
        let link = bpf::call(
            LINK_CREATE,
            &CreateLink {
                prog_fd: self.program.as_raw_fd().unsigned_abs(),
                attach_type: TRACE_ITER,
                iter_info: (&raw const of_task) as u64,
                iter_info_len: u32::try_from(size_of::<OfTask>()).unwrap_or_default(),
                ..CreateLink::default()
            },
        )?;
        bpf::call(
            ITER_CREATE,
            &CreateIterator {
                link_fd: link.as_raw_fd().unsigned_abs(),
                flags: 0,
            },
        )
    }
}

/// Reads an iterator to its end, or until `meet` breaks off.
fn read(files: OwnedFd, meet: &mut dyn FnMut(Found) -> ControlFlow<()>) -> io::Result<()> {
    let mut files = std::fs::File::from(files);
    let mut buffer = vec![0; ROOM];
    loop {
        match files.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                let found = buffer[..length].chunks(FOUND).filter_map(Found::decode);
                for found in found {
                    if meet(found).is_break() {
                        return Ok(());
                    }
                }
            }
            // After a million files without a word the kernel asks to be called again
            // (kernel/bpf/bpf_iter.c, `MAX_ITER_OBJECTS`).
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
