//! One system call, made in every way that a process has to make it: who injects faults into a call should
//! meet it in all of them.

use std::env;
use std::ffi::CString;
use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use injector_tests::observation::{Line, Summary};
use io_uring::{IoUring, opcode, squeue, types};

use crate::errors;
use crate::speak::{ready, say};

/// Which call.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Call {
    /// `openat` for reading.
    Open,
    /// `fsync` of a file that is open.
    Fsync,
}

/// Numbers of 32-bit calls (`arch/x86/entry/syscalls/syscall_32.tbl`).
const COMPAT_OPENAT: u32 = 295;
const COMPAT_FSYNC: u32 = 118;

/// On each line of standard input: a summary of one call from each way, then `Done`.
pub(crate) fn all(path: &Path, call: Call) -> anyhow::Result<()> {
    let subject = Subject::new(path, call)?;
    ready(None)?;
    for line in std::io::stdin().lines() {
        line?;
        for (who, way) in WAYS {
            let mut summary = Summary {
                who: who.to_owned(),
                sent: 1,
                ..Summary::default()
            };
            match way(&subject) {
                Ok(()) => summary.ok = 1,
                Err(error) => summary.failed(&errors::name(&error)),
            }
            say(&Line::Summary(Box::new(summary)))?;
        }
        say(&Line::Done)?;
    }
    Ok(())
}

/// The call once, by a program that was started for it: its exit code is the errno.
pub(crate) fn once(path: &Path, call: Call) -> anyhow::Result<()> {
    let subject = Subject::new(path, call)?;
    std::process::exit(code(&plain(&subject)));
}

/// What is opened or synced.
struct Subject {
    path: CString,
    /// The folder, and the name in it.
    folder: File,
    name: CString,
    file: File,
    call: Call,
}

impl Subject {
    fn new(path: &Path, call: Call) -> anyhow::Result<Self> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default();
        Ok(Self {
            path: CString::new(path.as_os_str().as_bytes())?,
            folder: opened(parent, libc::O_RDONLY)?,
            name: CString::new(name.as_bytes())?,
            file: opened(path, libc::O_RDWR)?,
            call,
        })
    }
}

/// By `open`, which is another call than `openat`: that one may fail for this process already.
fn opened(path: &Path, flags: i32) -> Result<File> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the string ends with a zero and lives through the call; nothing else owns the descriptor.
    unsafe {
        let fd = libc::syscall(libc::SYS_open, path.as_ptr(), flags | libc::O_CLOEXEC);
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        let fd = i32::try_from(fd).map_err(Error::other)?;
        Ok(File::from(OwnedFd::from_raw_fd(fd)))
    }
}

type Way = fn(&Subject) -> Result<()>;

const WAYS: [(&str, Way); 9] = [
    ("plain", plain),
    ("relative", relative),
    ("thread", in_a_thread),
    ("child", in_a_child),
    ("grandchild", in_a_grandchild),
    ("exec", in_a_new_program),
    ("io_uring", by_ring),
    ("io_uring worker", by_worker_of_a_ring),
    ("32-bit", in_32_bits),
];

fn plain(subject: &Subject) -> Result<()> {
    match subject.call {
        Call::Open => open_at(libc::AT_FDCWD, &subject.path),
        Call::Fsync => sync(&subject.file),
    }
}

fn relative(subject: &Subject) -> Result<()> {
    match subject.call {
        Call::Open => open_at(subject.folder.as_raw_fd(), &subject.name),
        // A descriptor has no path.
        Call::Fsync => sync(&subject.file),
    }
}

fn open_at(folder: i32, path: &CString) -> Result<()> {
    // SAFETY: the string ends with a zero and lives through the call.
    let fd = unsafe { libc::openat(folder, path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the descriptor was made above, and nothing else owns it.
    unsafe { libc::close(fd) };
    Ok(())
}

fn sync(mut file: &File) -> Result<()> {
    file.write_all(b"x")?;
    file.sync_all()
}

fn in_a_thread(subject: &Subject) -> Result<()> {
    thread::scope(|scope| scope.spawn(|| plain(subject)).join().unwrap_or(Ok(())))
}

fn in_a_child(subject: &Subject) -> Result<()> {
    forked(|| plain(subject))
}

fn in_a_grandchild(subject: &Subject) -> Result<()> {
    forked(|| forked(|| plain(subject)))
}

/// Does `work` in a child that is a copy of this process, which has one thread.
fn forked(work: impl FnOnce() -> Result<()>) -> Result<()> {
    // SAFETY: no other thread runs that could hold a lock, and the child only makes calls and leaves.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(Error::last_os_error()),
        0 => {
            let code = code(&work());
            // SAFETY: leaves at once, without what the parent means to do at its end.
            unsafe { libc::_exit(code) }
        }
        child => {
            let mut status = 0;
            // SAFETY: the status is our own, and the child is waited for once.
            if unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
                return Err(Error::last_os_error());
            }
            outcome(ExitStatus::from_raw(status))
        }
    }
}

fn in_a_new_program(subject: &Subject) -> Result<()> {
    let call = match subject.call {
        Call::Open => "open",
        Call::Fsync => "fsync",
    };
    let path = std::ffi::OsStr::from_bytes(subject.path.as_bytes());
    let program = env::current_exe()?;
    outcome(
        Command::new(program)
            .args(["way", "--call", call, "--path"])
            .arg(path)
            // Where the loader complains.
            .stderr(Stdio::null())
            .status()?,
    )
}

/// How a new program ends that did not get as far as `main` (glibc, elf/dl-load.c).
const LOADER: i32 = 127;

/// The errno as an exit code, and back. A process that was killed could not make the call at all.
fn code(outcome: &Result<()>) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(libc::EINVAL),
    }
}

fn outcome(status: ExitStatus) -> Result<()> {
    match status.code() {
        Some(0) => Ok(()),
        Some(LOADER) => Err(Error::other("the loader could not open a library")),
        Some(errno) => Err(Error::from_raw_os_error(errno)),
        None => Err(ErrorKind::Unsupported.into()),
    }
}

fn by_ring(subject: &Subject) -> Result<()> {
    ring(subject, squeue::Flags::empty())
}

/// By a kernel thread of the ring's, as the kernel does it where a call may block.
fn by_worker_of_a_ring(subject: &Subject) -> Result<()> {
    ring(subject, squeue::Flags::ASYNC)
}

fn ring(subject: &Subject, flags: squeue::Flags) -> Result<()> {
    let mut ring = IoUring::new(2)?;
    let entry = match subject.call {
        Call::Open => opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), subject.path.as_ptr())
            .flags(libc::O_RDONLY | libc::O_CLOEXEC)
            .build(),
        Call::Fsync => {
            (&subject.file).write_all(b"x")?;
            opcode::Fsync::new(types::Fd(subject.file.as_raw_fd())).build()
        }
    };
    // SAFETY: path and file outlive the ring's work, which is waited for below.
    unsafe { ring.submission().push(&entry.flags(flags)) }.map_err(Error::other)?;
    ring.submit_and_wait(1)?;
    let answer = ring.completion().next().ok_or(ErrorKind::UnexpectedEof)?;
    match answer.result() {
        errno @ ..0 => Err(Error::from_raw_os_error(-errno)),
        fd => {
            if matches!(subject.call, Call::Open) {
                // SAFETY: the ring made the descriptor for us alone.
                unsafe { libc::close(fd) };
            }
            Ok(())
        }
    }
}

/// By the entry for 32-bit programs, which 64-bit ones may use too. A kernel without it kills who tries, so
/// a child does.
fn in_32_bits(subject: &Subject) -> Result<()> {
    match subject.call {
        Call::Open => {
            let low = Low::new(subject.path.as_bytes_with_nul())?;
            forked(|| compat(COMPAT_OPENAT, libc::AT_FDCWD, low.address))
        }
        Call::Fsync => {
            (&subject.file).write_all(b"x")?;
            forked(|| compat(COMPAT_FSYNC, subject.file.as_raw_fd(), 0))
        }
    }
}

#[expect(clippy::cast_sign_loss, reason = "registers have no sign")]
fn compat(number: u32, first: i32, second: u32) -> Result<()> {
    let mut result = number;
    // SAFETY: the two calls write no memory of ours; `rbx` is put back, as the compiler wants it; the other
    // registers are named or kept by the kernel (r8 to r11 are lost at this entry).
    unsafe {
        core::arch::asm!(
            "xchg rbx, {first:r}", "int 0x80", "xchg rbx, {first:r}",
            first = inout(reg) u64::from(first as u32) => _,
            inout("eax") result,
            in("ecx") second,
            in("edx") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    match result.cast_signed() {
        errno @ ..0 => Err(Error::from_raw_os_error(-errno)),
        _done => Ok(()),
    }
}

/// Bytes where 32 bits can name them.
struct Low {
    address: u32,
}

impl Low {
    fn new(bytes: &[u8]) -> Result<Self> {
        // SAFETY: nothing else uses a fresh private mapping; it holds the bytes (a path, shorter than a page)
        // and stays until the process ends.
        unsafe {
            let page = libc::mmap(
                core::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            );
            if page == libc::MAP_FAILED {
                return Err(Error::last_os_error());
            }
            assert!(bytes.len() <= 4096, "the path is too long");
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), page.cast(), bytes.len());
            Ok(Self {
                address: u32::try_from(page.addr()).map_err(Error::other)?,
            })
        }
    }
}
