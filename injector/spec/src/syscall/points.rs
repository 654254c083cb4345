//! Where in the kernel calls are met: hooks of the security modules, which know what a call is about.
//!
//! A thread that is put to sleep at a hook keeps what the kernel holds there, and every thread that needs that waits
//! with it. So each hook says what that is ([`Asleep`]), and a delay is refused where a bystander's call would wait;
//! it is done at the function of the system call, where nothing is held yet, if the kernel lets programs sleep there.
//! Read for each hook in the sources of 6.1, 6.12 and 7.x, where the functions named here are the same. What waits
//! for a sleeper nowhere but in a rare case is in LIMITS.md.

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
    /// Whether a thread may be put to sleep here.
    pub asleep: Asleep,
    /// What the calls are.
    pub class: SyscallClass,
    /// The calls that are met here, by name.
    pub calls: &'static [&'static str],
}

/// Whether a thread may be put to sleep at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asleep {
    /// The kernel holds nothing there that a bystander's call waits for, and lets this program sleep.
    By(&'static str),
    /// The kernel would let a program sleep there (`kernel/bpf/bpf_lsm.c`, `sleepable_lsm_hooks`), and holds a lock
    /// that others wait for.
    Locked(Lock),
    /// The kernel lets no program sleep there.
    Refused,
}

/// A lock that the kernel holds while it asks a hook. Both are `inode::i_rwsem`, held for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// That of the folder in which a name is made, changed or removed: no other thread can do so there, look up a
    /// name that is not cached, or list it.
    Folder,
    /// That of the file itself: no other thread can write to it or change it.
    File,
}

impl Lock {
    /// What is locked, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Folder => "the folder",
            Self::File => "the file",
        }
    }
}

impl Point {
    /// The program that sleeps here, where that makes no other thread wait.
    pub const fn sleeper(&self) -> Option<&'static str> {
        match self.asleep {
            Asleep::By(program) => Some(program),
            Asleep::Locked(_) | Asleep::Refused => None,
        }
    }

    /// What others would wait for if a thread slept here.
    pub const fn lock(&self) -> Option<Lock> {
        match self.asleep {
            Asleep::Locked(lock) => Some(lock),
            Asleep::By(_) | Asleep::Refused => None,
        }
    }

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

/// A point: `asleep` where a thread may sleep, `locked` where others would wait for it, `awake` where the kernel
/// lets no program sleep.
macro_rules! point {
    (asleep, $class:ident, $op:ident, $hook:literal, $program:literal, $calls:expr) => {
        point!(@ $class, $op, $hook, $program, Asleep::By(concat!($program, "_s")), $calls)
    };
    (locked $lock:ident, $class:ident, $op:ident, $hook:literal, $program:literal, $calls:expr) => {
        point!(@ $class, $op, $hook, $program, Asleep::Locked(Lock::$lock), $calls)
    };
    (awake, $class:ident, $op:ident, $hook:literal, $program:literal, $calls:expr) => {
        point!(@ $class, $op, $hook, $program, Asleep::Refused, $calls)
    };
    (@ $class:ident, $op:ident, $hook:literal, $program:literal, $asleep:expr, $calls:expr) => {
        Point {
            op: op::$op,
            hook: $hook,
            program: $program,
            asleep: $asleep,
            class: SyscallClass::$class,
            calls: &$calls,
        }
    };
}

/// All of them. A call of two points is met at one of them each time: reading a socket is
/// receiving from it.
#[rustfmt::skip::macros(point)]
pub const ALL: &[Point] = &[
    // fs/open.c, `do_dentry_open`, from fs/namei.c, `do_open`: `open_last_lookups` has let the folder go. A file
    // system that opens while it looks up (`inode_operations::atomic_open`: NFS, SMB, FUSE, 9p) asks with the folder
    // locked, and so does one that makes a copy first (overlayfs); the program sees both and does not sleep there.
    point!(asleep, File, OPEN, "file_open", "inj_file_open", ["open", "openat", "openat2", "creat"]),
    // fs/read_write.c, `rw_verify_area`: under `file::f_pos_lock`, which all that share the open file wait for.
    point!(awake, File, READ, "file_permission", "inj_file_access",
        ["read", "pread64", "readv", "preadv", "preadv2", "getdents", "getdents64", "sendfile"]),
    point!(awake, File, WRITE, "file_permission", "inj_file_access",
        ["write", "pwrite64", "writev", "pwritev", "pwritev2"]),
    // fs/namei.c, `vfs_unlink`: `do_unlinkat` has locked the folder, and the file is locked as well.
    point!(locked Folder, File, UNLINK, "inode_unlink", "inj_unlink", ["unlink", "unlinkat"]),
    // fs/namei.c, `vfs_rename`: `lock_rename` has locked both folders, and `s_vfs_rename_mutex` of the file system.
    point!(locked Folder, File, RENAME, "inode_rename", "inj_rename", ["rename", "renameat", "renameat2"]),
    // fs/namei.c, `vfs_mkdir`, with the folder locked by `filename_create`.
    point!(awake, File, MKDIR, "inode_mkdir", "inj_mkdir", ["mkdir", "mkdirat"]),
    // fs/namei.c, `vfs_rmdir`: `do_rmdir` has locked the folder above, and the folder itself is locked.
    point!(locked Folder, File, RMDIR, "inode_rmdir", "inj_rmdir", ["rmdir", "unlinkat"]),
    // fs/stat.c, `vfs_getattr`: nothing is held.
    point!(asleep, File, STAT, "inode_getattr", "inj_getattr", ["stat", "lstat", "fstat", "newfstatat", "statx"]),
    // fs/open.c, `vfs_truncate`: no lock, but protection against a freeze of the file system (`mnt_want_write`).
    point!(asleep, File, TRUNCATE, "path_truncate", "inj_truncate", ["truncate"]),
    // fs/open.c, `chmod_common`, `chown_common`: between `inode_lock` and `inode_unlock`.
    point!(locked File, File, CHMOD, "path_chmod", "inj_chmod", ["chmod", "fchmod", "fchmodat"]),
    point!(locked File, File, CHOWN, "path_chown", "inj_chown", ["chown", "fchown", "lchown", "fchownat"]),
    // fs/namei.c, `vfs_symlink`, with the folder locked by `filename_create`.
    point!(locked Folder, File, SYMLINK, "inode_symlink", "inj_symlink", ["symlink", "symlinkat"]),
    // fs/namei.c, `vfs_link`, likewise.
    point!(awake, File, LINK, "inode_link", "inj_link", ["link", "linkat"]),
    // fs/locks.c, `flock`: before `flock_lock_inode`.
    point!(asleep, File, LOCK, "file_lock", "inj_lock", ["flock"]),
    // fs/ioctl.c, `ioctl`: before `do_vfs_ioctl`.
    point!(asleep, File, IOCTL, "file_ioctl", "inj_ioctl", ["ioctl"]),
    // fs/exec.c, `bprm_execve`: `signal_struct::cred_guard_mutex` of the caller alone, which its own threads and
    // a debugger that attaches to it wait for.
    point!(asleep, Process, EXEC, "bprm_creds_for_exec", "inj_bprm_creds", ["execve", "execveat"]),
    // kernel/fork.c, `copy_process`: before `cgroup_can_fork`, which takes `cgroup_threadgroup_rwsem`.
    point!(asleep, Process, FORK, "task_alloc", "inj_task_alloc", ["fork", "vfork", "clone", "clone3"]),
    // mm/util.c, `vm_mmap_pgoff`: before `mmap_write_lock_killable`.
    point!(asleep, Process, MMAP, "mmap_file", "inj_mmap_file", ["mmap"]),
    // net/socket.c: `__sock_create`, `__sys_connect_file`, `__sys_bind`, `__sys_listen`, `do_accept`, `sock_sendmsg`
    // and `sock_recvmsg` ask before the protocol takes the socket's lock. A file system that sends over a socket of
    // the kernel's own (SMB, NFS) does so under its locks, in the caller's name; the program passes those.
    point!(asleep, Network, SOCKET, "socket_create", "inj_socket", ["socket"]),
    point!(asleep, Network, CONNECT, "socket_connect", "inj_sock_connect", ["connect"]),
    point!(asleep, Network, BIND, "socket_bind", "inj_sock_bind", ["bind"]),
    point!(asleep, Network, LISTEN, "socket_listen", "inj_sock_listen", ["listen"]),
    point!(asleep, Network, ACCEPT, "socket_accept", "inj_sock_accept", ["accept", "accept4"]),
    point!(asleep, Network, SEND, "socket_sendmsg", "inj_sock_send",
        ["sendto", "sendmsg", "sendmmsg", "write", "writev"]),
    point!(asleep, Network, RECEIVE, "socket_recvmsg", "inj_sock_receive",
        ["recvfrom", "recvmsg", "recvmmsg", "read", "readv"]),
];

/// The points at which a call is met.
pub fn of(call: Syscall) -> impl Iterator<Item = &'static Point> {
    ALL.iter()
        .filter(move |point| point.calls.contains(&call.name()))
}
