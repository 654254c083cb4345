//! Where in the kernel calls are met: hooks of the security modules, which know what a call is about.

use injector_common::call::{kind, op};

use super::{Syscall, SyscallClass};

/// A place where calls are met.
#[derive(Debug)]
pub struct Point {
    /// One of [`op`].
    pub op: u32,
    /// The hook, as in `security_file_open` and `bpf_lsm_file_open`.
    pub hook: &'static str,
    /// The program for it.
    pub program: &'static str,
    /// The same for sleepers, where the kernel lets the hook sleep (`kernel/bpf/bpf_lsm.c`,
    /// `sleepable_lsm_hooks`).
    pub sleepable: Option<&'static str>,
    /// What the calls are.
    pub class: SyscallClass,
    /// The calls that are met here, by name.
    pub calls: &'static [&'static str],
}

impl Point {
    /// Whether it knows the file that a call is about.
    pub fn knows_files(&self) -> bool {
        !matches!(self.op, op::FORK) && self.class != SyscallClass::Network
    }

    /// Kinds of files that a call may be about here, as a mask of [`kind`]. Sockets are read and written at their
    /// own hooks; a socket that is being made has no kind yet.
    pub fn kinds(&self) -> u32 {
        const SOCKETS: u32 = kind::UNIX | kind::INET;
        match self.op {
            op::FORK | op::SOCKET => 0,
            op::READ | op::WRITE => kind::ANY & !SOCKETS,
            _ if self.class == SyscallClass::Network => SOCKETS,
            _ => kind::ANY,
        }
    }

    /// Whether it knows the far end of the socket that a call is about.
    pub fn knows_remotes(&self) -> bool {
        matches!(self.op, op::CONNECT | op::SEND | op::RECEIVE)
    }
}

/// A point whose hook may sleep.
macro_rules! sleepable {
    ($class:ident, $op:ident, $hook:literal, $program:literal, [$($call:literal),*]) => {
        Point {
            op: op::$op,
            hook: $hook,
            program: $program,
            sleepable: Some(concat!($program, "_s")),
            class: SyscallClass::$class,
            calls: &[$($call),*],
        }
    };
}

/// A point whose hook may not.
macro_rules! awake {
    ($class:ident, $op:ident, $hook:literal, $program:literal, [$($call:literal),*]) => {
        Point {
            op: op::$op,
            hook: $hook,
            program: $program,
            sleepable: None,
            class: SyscallClass::$class,
            calls: &[$($call),*],
        }
    };
}

/// All of them. A call of two points is met at one of them each time: reading a socket is
/// receiving from it.
pub const ALL: &[Point] = &[
    sleepable!(
        File,
        OPEN,
        "file_open",
        "inj_file_open",
        ["open", "openat", "openat2", "creat"]
    ),
    awake!(
        File,
        READ,
        "file_permission",
        "inj_file_access",
        [
            "read",
            "pread64",
            "readv",
            "preadv",
            "preadv2",
            "getdents",
            "getdents64",
            "sendfile"
        ]
    ),
    awake!(
        File,
        WRITE,
        "file_permission",
        "inj_file_access",
        ["write", "pwrite64", "writev", "pwritev", "pwritev2"]
    ),
    sleepable!(
        File,
        UNLINK,
        "inode_unlink",
        "inj_unlink",
        ["unlink", "unlinkat"]
    ),
    sleepable!(
        File,
        RENAME,
        "inode_rename",
        "inj_rename",
        ["rename", "renameat", "renameat2"]
    ),
    awake!(
        File,
        MKDIR,
        "inode_mkdir",
        "inj_mkdir",
        ["mkdir", "mkdirat"]
    ),
    sleepable!(
        File,
        RMDIR,
        "inode_rmdir",
        "inj_rmdir",
        ["rmdir", "unlinkat"]
    ),
    sleepable!(
        File,
        STAT,
        "inode_getattr",
        "inj_getattr",
        ["stat", "lstat", "fstat", "newfstatat", "statx"]
    ),
    sleepable!(
        File,
        TRUNCATE,
        "path_truncate",
        "inj_truncate",
        ["truncate"]
    ),
    sleepable!(
        File,
        CHMOD,
        "path_chmod",
        "inj_chmod",
        ["chmod", "fchmod", "fchmodat"]
    ),
    sleepable!(
        File,
        CHOWN,
        "path_chown",
        "inj_chown",
        ["chown", "fchown", "lchown", "fchownat"]
    ),
    sleepable!(
        File,
        SYMLINK,
        "inode_symlink",
        "inj_symlink",
        ["symlink", "symlinkat"]
    ),
    awake!(File, LINK, "inode_link", "inj_link", ["link", "linkat"]),
    sleepable!(File, LOCK, "file_lock", "inj_lock", ["flock"]),
    sleepable!(File, IOCTL, "file_ioctl", "inj_ioctl", ["ioctl"]),
    sleepable!(
        Process,
        EXEC,
        "bprm_creds_for_exec",
        "inj_bprm_creds",
        ["execve", "execveat"]
    ),
    sleepable!(
        Process,
        FORK,
        "task_alloc",
        "inj_task_alloc",
        ["fork", "vfork", "clone", "clone3"]
    ),
    sleepable!(Process, MMAP, "mmap_file", "inj_mmap_file", ["mmap"]),
    sleepable!(Network, SOCKET, "socket_create", "inj_socket", ["socket"]),
    sleepable!(
        Network,
        CONNECT,
        "socket_connect",
        "inj_sock_connect",
        ["connect"]
    ),
    sleepable!(Network, BIND, "socket_bind", "inj_sock_bind", ["bind"]),
    sleepable!(
        Network,
        LISTEN,
        "socket_listen",
        "inj_sock_listen",
        ["listen"]
    ),
    sleepable!(
        Network,
        ACCEPT,
        "socket_accept",
        "inj_sock_accept",
        ["accept", "accept4"]
    ),
    sleepable!(
        Network,
        SEND,
        "socket_sendmsg",
        "inj_sock_send",
        ["sendto", "sendmsg", "sendmmsg", "write", "writev"]
    ),
    sleepable!(
        Network,
        RECEIVE,
        "socket_recvmsg",
        "inj_sock_receive",
        ["recvfrom", "recvmsg", "recvmmsg", "read", "readv"]
    ),
];

/// The points at which a call is met.
pub fn of(call: Syscall) -> impl Iterator<Item = &'static Point> {
    ALL.iter()
        .filter(move |point| point.calls.contains(&call.name()))
}
