//! Processes as `/proc` shows them.

use std::path::PathBuf;

use injector_common::process::{ProcessKey, TargetProcess};
use procfs::{
    ProcError,
    process::{Process, Stat},
};

use super::Error;
use crate::kernel::mounts;

/// A process that cannot be mistaken for a later one with the same PID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskKey {
    /// Thread group id.
    pub tgid: u32,
    /// Start time in ticks since boot, field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}

/// `PF_KTHREAD` of include/linux/sched.h, as the flags field of `/proc/PID/stat` shows it.
const KERNEL_THREAD: u32 = 0x0020_0000;

impl TaskKey {
    /// The key of a living process.
    pub fn of(pid: u32) -> Result<Self, Error> {
        let process = open(pid)?;
        let tgid = process
            .status()
            .map_err(|error| unreadable(pid, error))?
            .tgid;
        let tgid = u32::try_from(tgid).map_err(|_| Error::NoProcess(pid))?;
        if tgid != pid {
            return Err(Error::Thread { tid: pid, tgid });
        }
        let stat = process.stat().map_err(|error| unreadable(pid, error))?;
        // A zombie has no sockets and makes none.
        if stat.state == 'Z' || stat.state == 'X' {
            return Err(Error::NoProcess(pid));
        }
        Ok(Self {
            tgid,
            start_ticks: stat.starttime,
        })
    }

    /// Whether the process still is the one that the key was made for.
    pub fn is_alive(&self) -> bool {
        Self::of(self.tgid).is_ok_and(|now| now == *self)
    }

    /// The kernel's form of the key, for a scope.
    pub fn record(&self, scope: u32, follow: u32) -> (ProcessKey, TargetProcess) {
        let target = TargetProcess {
            start_ticks: self.start_ticks,
            scope,
            follow,
        };
        (ProcessKey { tgid: self.tgid }, target)
    }
}

/// A process with what the rest of the program asks about it.
#[derive(Clone, Debug)]
pub struct ProcessInfo {
    /// PID.
    pub pid: u32,
    /// Parent's PID.
    pub parent: u32,
    /// Name, with odd bytes escaped.
    pub comm: String,
    /// Whether it is a thread of the kernel's.
    pub is_kernel_thread: bool,
}

impl From<Stat> for ProcessInfo {
    fn from(stat: Stat) -> Self {
        Self {
            pid: stat.pid.cast_unsigned(),
            parent: stat.ppid.cast_unsigned(),
            comm: stat.comm.escape_default().to_string(),
            is_kernel_thread: stat.flags & KERNEL_THREAD != 0,
        }
    }
}

/// What is known about a process.
pub fn info(pid: u32) -> Result<ProcessInfo, Error> {
    open(pid)?
        .stat()
        .map(ProcessInfo::from)
        .map_err(|error| unreadable(pid, error))
}

/// The cgroup v2 of a process, from the root of the hierarchy: the line `0::` of /proc/PID/cgroup
/// (cgroups(7)). Where there is no such line the process is in the root.
pub fn cgroup(pid: u32) -> Result<PathBuf, Error> {
    let cgroups = mounts::cgroups_of(pid).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => Error::NoProcess(pid),
        _ => Error::Proc {
            what: format!("the cgroups of process {pid}"),
            why: error.to_string(),
        },
    })?;
    let path = cgroups
        .into_iter()
        .find(|cgroup| cgroup.hierarchy == 0)
        .map_or_else(|| "/".into(), |cgroup| cgroup.path);
    Ok(path)
}

/// Whether a process is stopped, by a signal or by its tracer.
pub fn is_stopped(pid: u32) -> bool {
    let stat = open(pid).and_then(|process| process.stat().map_err(|error| unreadable(pid, error)));
    stat.is_ok_and(|stat| matches!(stat.state, 'T' | 't'))
}

/// What a process, or a cgroup that was told to stand still, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pose {
    /// It stands.
    Still,
    /// It goes.
    Going,
    /// It was told to stand and is not there yet, or it cannot be told.
    Settling,
    /// It has ended.
    Gone,
}

/// Whether a process ignores SIGCHLD, so that the kernel takes the exit status of its children for it (kernel/signal.c,
/// `do_notify_parent`). A handler that says so itself (`SA_NOCLDWAIT`) is not shown by `/proc`.
pub fn ignores_children(key: TaskKey) -> bool {
    let status = open(key.tgid).and_then(|process| {
        process
            .status()
            .map_err(|error| unreadable(key.tgid, error))
    });
    status.is_ok_and(|status| status.sigign & (1 << (libc::SIGCHLD - 1)) != 0)
}

/// What `/proc/PID/stat` says of a process, a zombie too.
pub(super) fn stat(pid: u32) -> Result<Stat, Error> {
    open(pid)?.stat().map_err(|error| unreadable(pid, error))
}

/// What exactly this process does. A process whose first thread has ended (state `Z`) cannot be told: its
/// other threads may go on.
pub fn pose(key: TaskKey) -> Pose {
    let stat = open(key.tgid)
        .and_then(|process| process.stat().map_err(|error| unreadable(key.tgid, error)));
    match stat {
        Err(Error::NoProcess(_)) => Pose::Gone,
        Err(_) => Pose::Settling,
        Ok(stat) if stat.starttime != key.start_ticks => Pose::Gone,
        Ok(stat) => match stat.state {
            'T' | 't' => Pose::Still,
            'X' => Pose::Gone,
            'Z' if stat.num_threads <= 1 => Pose::Gone,
            'Z' => Pose::Settling,
            _ => Pose::Going,
        },
    }
}

/// All processes. Those that end meanwhile are left out.
pub fn all() -> Result<Vec<ProcessInfo>, Error> {
    Ok(stats()?.into_iter().map(Into::into).collect())
}

/// What `/proc/PID/stat` says of all processes, zombies too.
pub(super) fn stats() -> Result<Vec<Stat>, Error> {
    let processes = procfs::process::all_processes().map_err(|error| Error::Proc {
        what: "the processes".into(),
        why: error.to_string(),
    })?;
    let processes = processes.flatten();
    Ok(processes
        .filter_map(|process| process.stat().ok())
        .collect())
}

/// A process and its parents, up to PID 1.
pub fn ancestry(pid: u32) -> Vec<u32> {
    let mut line = vec![pid];
    while let Some(process) = line.last().and_then(|pid| info(*pid).ok()) {
        if process.parent == 0 || line.contains(&process.parent) {
            break;
        }
        line.push(process.parent);
    }
    line
}

/// The descendants of some processes, themselves included, as they are now.
pub fn trees(roots: &[u32]) -> Result<Vec<u32>, Error> {
    let processes = all()?;
    let mut members = roots.to_vec();
    let mut next = 0;
    while let Some(parent) = members.get(next).copied() {
        next += 1;
        for child in processes.iter().filter(|process| process.parent == parent) {
            if !members.contains(&child.pid) {
                members.push(child.pid);
            }
        }
    }
    Ok(members)
}

/// Processes whose command line, its words joined by blanks, matches; neither kernel threads nor
/// processes in `leave_out`. Bytes that are not UTF-8 are `U+FFFD` to the pattern, which `.` matches.
pub fn matching(pattern: &str, leave_out: &[u32]) -> Result<Vec<u32>, Error> {
    CommandLines::like(pattern)?.find(leave_out)
}

/// What [`matching`] looks for, for callers that look again and again.
#[derive(Clone, Debug)]
pub struct CommandLines(regex::Regex);

impl CommandLines {
    /// Those that match this.
    pub fn like(pattern: &str) -> Result<Self, Error> {
        let regex = regex::Regex::new(pattern).map_err(|error| Error::Pattern {
            pattern: pattern.to_owned(),
            why: error.to_string(),
        })?;
        Ok(Self(regex))
    }

    /// The processes that have one now.
    pub fn find(&self, leave_out: &[u32]) -> Result<Vec<u32>, Error> {
        having(&self.0, leave_out)
    }
}

fn having(regex: &regex::Regex, leave_out: &[u32]) -> Result<Vec<u32>, Error> {
    let processes = procfs::process::all_processes().map_err(|error| Error::Proc {
        what: "the processes".into(),
        why: error.to_string(),
    })?;
    let mut found: Vec<u32> = processes
        .flatten()
        .filter(|process| {
            let line = command_line(process.pid.cast_unsigned());
            !line.is_empty() && regex.is_match(&line)
        })
        .map(|process| process.pid.cast_unsigned())
        .filter(|pid| !leave_out.contains(pid))
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// A command line in words that are joined by blanks; empty where there is none. procfs reads text only, and a
/// process may be started with any bytes.
pub(super) fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    joined(&bytes)
}

fn joined(bytes: &[u8]) -> String {
    let words = bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy);
    words.collect::<Vec<_>>().join(" ")
}

fn open(pid: u32) -> Result<Process, Error> {
    let number = i32::try_from(pid).map_err(|_| Error::NoProcess(pid))?;
    Process::new(number).map_err(|error| unreadable(pid, error))
}

fn unreadable(pid: u32, error: ProcError) -> Error {
    match error {
        ProcError::NotFound(_) => Error::NoProcess(pid),
        // A process that dies while it is read shows ESRCH.
        ProcError::Io(io, _) if io.raw_os_error() == Some(libc::ESRCH) => Error::NoProcess(pid),
        error => Error::Proc {
            what: format!("process {pid}"),
            why: error.to_string(),
        },
    }
}

/// Whether process ids are the kernel's own. The initial PID namespace has a fixed inode
/// (`include/linux/proc_ns.h`, `PROC_PID_INIT_INO`).
pub fn is_in_initial_pid_namespace() -> bool {
    const INITIAL: u64 = 0xEFFF_FFFC;
    rustix::fs::stat("/proc/self/ns/pid").is_ok_and(|stat| stat.st_ino == INITIAL)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn this_process_is_alive_and_a_changed_start_time_is_a_stranger() {
        let key = TaskKey::of(std::process::id()).unwrap();
        assert!(key.is_alive());
        let stranger = TaskKey {
            start_ticks: key.start_ticks + 1,
            ..key
        };
        assert!(!stranger.is_alive());
    }

    #[test]
    fn a_pid_that_cannot_exist_is_gone() {
        assert!(matches!(TaskKey::of(u32::MAX), Err(Error::NoProcess(_))));
        assert!(matches!(TaskKey::of(0), Err(Error::NoProcess(0))));
    }

    #[test]
    fn a_thread_is_told_from_a_process() {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let tid = rustix::thread::gettid()
                    .as_raw_nonzero()
                    .get()
                    .cast_unsigned();
                assert!(matches!(TaskKey::of(tid), Err(Error::Thread { .. })));
            });
        });
    }

    #[test]
    fn a_command_line_of_any_bytes_is_matched() {
        assert_eq!(joined(b"cat\0caf\xe9\0\0-n\0"), "cat caf\u{fffd} -n");
        assert_eq!(joined(b""), "");
        // It waits for its input before it looks for the file.
        let child = std::process::Command::new("cat")
            .arg("-")
            .arg(std::ffi::OsStr::from_bytes(b"injector-unit-\xe9-argv"))
            .stdin(std::process::Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        // A new program's command line is there a moment after its start (fs/binfmt_elf.c, `create_elf_tables`).
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        let mut found = Vec::new();
        while found.is_empty() && std::time::Instant::now() < deadline {
            found = matching("injector-unit-.-argv", &[]).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, [child.id()]);
    }

    #[test]
    fn a_stopped_process_stands_and_a_stranger_is_gone() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let key = TaskKey::of(child.id()).unwrap();
        assert_eq!(pose(key), Pose::Going);
        super::super::pidfd::signal(key, libc::SIGSTOP).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while pose(key) != Pose::Still {
            assert!(std::time::Instant::now() < deadline, "it does not stop");
        }
        let stranger = TaskKey {
            start_ticks: key.start_ticks + 1,
            ..key
        };
        assert_eq!(pose(stranger), Pose::Gone);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(pose(key), Pose::Gone);
    }

    #[test]
    fn ancestry_ends_at_the_top() {
        let line = ancestry(std::process::id());
        assert_eq!(line[0], std::process::id());
        assert!(line.len() > 1);
    }
}
