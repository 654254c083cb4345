//! The process whose pages threads sleep on.
//!
//! It has an address space of its own, because a thread that sleeps holds its lock, and so nothing may change in
//! it; descriptors of its own, because it waits for the server when it opens the file; and no copy of
//! `/dev/fuse`, which would keep the connection alive after the server's death.
//!
//! It is this program again, started with the file system's root as its standard input. It is killed when its
//! parent *thread* ends (prctl(2), `PR_SET_PDEATHSIG`), so a thread is kept for that.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    mm::{Advice, MapFlags, ProtFlags, madvise, mmap},
};

use super::{Error, protocol::FILE};

/// How the hidden command is called.
pub const COMMAND: &str = "hold-park";

/// How long the page holder may take to start, in seconds.
const PATIENCE_S: i64 = 10;

/// A running page holder; killed when dropped.
pub(super) struct PageHolder {
    pid: u32,
    base: u64,
    /// Ends the thread when it is dropped.
    until: Option<mpsc::Sender<()>>,
    fd_store: Option<JoinHandle<()>>,
}

impl PageHolder {
    /// Starts the process, which maps `bytes` of the file below `root`.
    pub(super) fn start(root: OwnedFd, bytes: usize) -> Result<Self, Error> {
        let (started, start) = mpsc::channel();
        let (until, end) = mpsc::channel();
        let fd_store = std::thread::Builder::new()
            .name("park-holder".into())
            .spawn(move || match spawn(root, bytes) {
                Ok((mut child, base)) => {
                    let _ = started.send(Ok((child.id(), base)));
                    // Returns when the other end is dropped.
                    let _ = end.recv();
                    kill(&mut child);
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            })
            .map_err(Error::system("start a thread"))?;
        let (pid, base) = start.recv().unwrap_or(Err(Error::NoPageHolder))?;
        Ok(Self {
            pid,
            base,
            until: Some(until),
            fd_store: Some(fd_store),
        })
    }

    /// Its process id, which belongs to it while this value lives: this process has not waited for it.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Where the file begins, in its address space.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Whether it lives. Without it no thread sleeps.
    pub(super) fn is_alive(&self) -> bool {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Pid::from_raw(self.pid.cast_signed())
            .is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), options), Ok(None)))
    }
}

impl Drop for PageHolder {
    fn drop(&mut self) {
        drop(self.until.take());
        if let Some(fd_store) = self.fd_store.take() {
            let _ = fd_store.join();
        }
    }
}

fn kill(child: &mut Child) {
    // It may be dead already.
    let _ = child.kill();
    let _ = child.wait();
}

fn spawn(root: OwnedFd, bytes: usize) -> Result<(Child, u64), Error> {
    let parent = rustix::process::getpid();
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(COMMAND)
        .arg(bytes.to_string())
        .stdin(Stdio::from(root))
        .stdout(Stdio::piped())
        .process_group(0);
    let prepare = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The parent may have died before the signal was asked for.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::Error::other("the worker is gone"));
        }
        Ok(())
    };
    // SAFETY: `prepare` makes system calls only; it allocates nothing and takes no lock, as code between
    // fork and exec must.
    unsafe { command.pre_exec(prepare) };
    let mut child = command
        .spawn()
        .map_err(Error::system("start the process that holds its pages"))?;
    // Closes our copy of the root.
    drop(command);
    let Ok(base) = address(&mut child) else {
        kill(&mut child);
        return Err(Error::NoPageHolder);
    };
    Ok((child, base))
}

/// Hears where the mapping is, and that all other descriptors are closed.
fn address(child: &mut Child) -> io::Result<u64> {
    let mut pipe = child
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("no pipe"))?;
    let patience = Timespec {
        tv_sec: PATIENCE_S,
        tv_nsec: 0,
    };
    let ready = poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&patience))?;
    if ready == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut base = [0; 8];
    pipe.read_exact(&mut base)?;
    Ok(u64::from_ne_bytes(base))
}

/// The page holder's main function: maps `bytes` bytes, says where on standard output, and stays there until it is
/// killed. Returns only errors.
pub fn hold(bytes: usize) -> io::Error {
    match map(bytes) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn map(bytes: usize) -> io::Result<std::convert::Infallible> {
    // Not the "exe" that it was started as.
    rustix::thread::set_name(c"injector")?;
    let root = io::stdin();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root.as_fd(), FILE, flags, Mode::empty())?;
    // SAFETY: a new mapping at an address of the kernel's choice. No code here reads it.
    let base = unsafe {
        mmap(
            std::ptr::null_mut(),
            bytes,
            ProtFlags::READ,
            MapFlags::SHARED,
            &file,
            0,
        )
    }?;
    // Each fault asks for its own page and no more, and core dumps leave the pages out.
    for advice in [Advice::Random, Advice::LinuxDontDump] {
        // SAFETY: the range is the mapping from above.
        unsafe { madvise(base, bytes, advice) }?;
    }
    // The file is closed below by its number, like all others.
    let _ = std::os::fd::IntoRawFd::into_raw_fd(file);
    let pipe = io::stdout().as_fd().as_raw_fd();
    close_all_but(pipe)?;
    // SAFETY: the descriptor is open, and this copy alone is used from here on.
    let mut pipe: File = unsafe { std::os::fd::FromRawFd::from_raw_fd(pipe) };
    pipe.write_all(&(base.addr() as u64).to_ne_bytes())?;
    drop(pipe);
    loop {
        // SAFETY: waits for a signal; there are no handlers.
        unsafe { libc::pause() };
    }
}

/// Closes standard input, standard error and whatever else was inherited.
fn close_all_but(kept: i32) -> io::Result<()> {
    let kept = kept.cast_unsigned();
    let ranges = [(0, kept.checked_sub(1)), (kept + 1, Some(u32::MAX))];
    for (first, last) in ranges {
        let Some(last) = last else { continue };
        // SAFETY: closes descriptors that no thread of this process uses any more: it has one thread, and
        // that one only waits.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
