//! What a call is about: a file, a name, a socket.
//!
//! Kernel structs are read by `bpf_probe_read_kernel` at offsets from the host's BTF: one way for all
//! hooks and kernels, whatever the verifier calls the pointer. A pointer that leads nowhere reads as zero,
//! and zero is "nothing".

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use injector_common::call::{Remote, kind};

use crate::maps::{
    OFFSET_ATOMIC_OPEN, OFFSET_DENTRY_INODE, OFFSET_DENTRY_PARENT, OFFSET_FDT, OFFSET_FDT_FD,
    OFFSET_FDT_MAX, OFFSET_FILE_DENTRY, OFFSET_FILE_INODE, OFFSET_FILE_PRIVATE, OFFSET_FILES,
    OFFSET_INODE_MODE, OFFSET_INODE_OP, OFFSET_MESSAGE_NAME, OFFSET_PATH_DENTRY,
    OFFSET_SOCK_FAMILY, OFFSET_SOCK_PORT, OFFSET_SOCK_V4, OFFSET_SOCK_V6, OFFSET_SOCKET_FILE,
    OFFSET_SOCKET_SK,
};

/// The kernel's addresses of what a call is about; 0 is "none".
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Subject {
    /// The directory entry, `struct dentry`.
    pub dentry: u64,
    /// Another one that the call is about: where a rename leads.
    pub other: u64,
    /// The socket, `struct sock`.
    pub sock: u64,
    /// The socket's far end, where it is known.
    pub remote: Remote,
    /// One of [`kind`].
    pub kind: u32,
}

/// Reads a value of the kernel's; zero where the address is bad.
#[inline(always)]
pub fn read<T: Copy + Default>(address: u64) -> T {
    let mut value = T::default();
    // SAFETY: the destination is our own; the helper checks the source.
    unsafe {
        bpf_probe_read_kernel(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            address as *const _,
        );
    }
    value
}

impl Subject {
    /// A call about nothing in particular.
    pub const NONE: Self = Self {
        dentry: 0,
        other: 0,
        sock: 0,
        remote: Remote {
            high: 0,
            low: 0,
            port: 0,
            known: 0,
        },
        kind: kind::OTHER,
    };

    /// An open file.
    #[inline(always)]
    pub fn file(file: u64) -> Self {
        if file == 0 {
            return Self::NONE;
        }
        let inode: u64 = read(file + u64::from(OFFSET_FILE_INODE.load()));
        let mode: u16 = read(inode + u64::from(OFFSET_INODE_MODE.load()));
        let mut subject = Self {
            dentry: read(file + u64::from(OFFSET_FILE_DENTRY.load())),
            kind: kind_of(mode),
            ..Self::NONE
        };
        if mode & S_IFMT == S_IFSOCK {
            let socket: u64 = read(file + u64::from(OFFSET_FILE_PRIVATE.load()));
            subject.sock = read(socket + u64::from(OFFSET_SOCKET_SK.load()));
            subject.kind = kind_of_sock(subject.sock);
        }
        subject
    }

    /// A directory entry, which may be of a file that does not exist yet.
    #[inline(always)]
    pub fn dentry(dentry: u64) -> Self {
        let inode: u64 = read(dentry + u64::from(OFFSET_DENTRY_INODE.load()));
        let mode: u16 = read(inode + u64::from(OFFSET_INODE_MODE.load()));
        Self {
            dentry,
            kind: kind_of(mode),
            ..Self::NONE
        }
    }

    /// A path, `struct path`.
    #[inline(always)]
    pub fn path(path: u64) -> Self {
        Self::dentry(read(path + u64::from(OFFSET_PATH_DENTRY.load())))
    }

    /// A socket, `struct socket`, and the address that goes with the call, `struct sockaddr` in kernel memory
    /// (0 is none: the far end is then the peer that the socket is connected to).
    ///
    /// A socket without a file is the kernel's own: a file system (SMB, NFS) sends over it what a target and
    /// bystanders alike read and write, in the name of the thread that happens to run and under the file
    /// system's locks.
    #[inline(always)]
    pub fn socket(socket: u64, address: u64) -> Self {
        let sock: u64 = read(socket + u64::from(OFFSET_SOCKET_SK.load()));
        let file: u64 = read(socket + u64::from(OFFSET_SOCKET_FILE.load()));
        Self {
            sock,
            remote: if address == 0 {
                connected_to(sock)
            } else {
                at_address(address)
            },
            kind: if file == 0 {
                kind::NONE
            } else {
                kind_of_sock(sock)
            },
            ..Self::NONE
        }
    }

    /// A socket, and the message that is sent through it, `struct msghdr`.
    #[inline(always)]
    pub fn message(socket: u64, message: u64) -> Self {
        Self::socket(
            socket,
            read(message + u64::from(OFFSET_MESSAGE_NAME.load())),
        )
    }

    /// What a descriptor of the calling thread stands for.
    #[inline(always)]
    pub fn descriptor(task: u64, fd: u32) -> Self {
        let files: u64 = read(task + u64::from(OFFSET_FILES.load()));
        let table: u64 = read(files + u64::from(OFFSET_FDT.load()));
        let most: u32 = read(table + u64::from(OFFSET_FDT_MAX.load()));
        if fd >= most {
            return Self::NONE;
        }
        let array: u64 = read(table + u64::from(OFFSET_FDT_FD.load()));
        Self::file(read(array + 8 * u64::from(fd)))
    }
}

/// Whether a file may be about to be opened with its folder locked: its file system opens files while it looks their
/// names up (fs/namei.c, `atomic_open`).
#[inline(always)]
pub fn is_opened_by_its_folder(file: u64) -> bool {
    let dentry: u64 = read(file + u64::from(OFFSET_FILE_DENTRY.load()));
    let folder: u64 = read(dentry + u64::from(OFFSET_DENTRY_PARENT.load()));
    let inode: u64 = read(folder + u64::from(OFFSET_DENTRY_INODE.load()));
    let operations: u64 = read(inode + u64::from(OFFSET_INODE_OP.load()));
    read::<u64>(operations + u64::from(OFFSET_ATOMIC_OPEN.load())) != 0
}

const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

#[inline(always)]
fn kind_of(mode: u16) -> u32 {
    match mode & S_IFMT {
        0o100_000 => kind::FILE,
        0o040_000 => kind::DIRECTORY,
        0o010_000 => kind::PIPE,
        0o020_000 => kind::CHARACTER,
        _ => kind::OTHER,
    }
}

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

#[inline(always)]
fn kind_of_sock(sock: u64) -> u32 {
    match read::<u16>(sock + u64::from(OFFSET_SOCK_FAMILY.load())) {
        AF_UNIX => kind::UNIX,
        AF_INET | AF_INET6 => kind::INET,
        _ => kind::OTHER,
    }
}

/// The peer that a socket is connected to.
#[inline(always)]
fn connected_to(sock: u64) -> Remote {
    let port = u16::from_be(read(sock + u64::from(OFFSET_SOCK_PORT.load())));
    if port == 0 {
        return Remote::default();
    }
    match read::<u16>(sock + u64::from(OFFSET_SOCK_FAMILY.load())) {
        AF_INET => Remote::v4(read(sock + u64::from(OFFSET_SOCK_V4.load())), port),
        AF_INET6 => {
            let address = sock + u64::from(OFFSET_SOCK_V6.load());
            Remote::v6(read(address), read(address + 8), port)
        }
        _ => Remote::default(),
    }
}

/// `struct sockaddr_in` and `struct sockaddr_in6` are ABI (include/uapi/linux/in.h, in6.h).
#[inline(always)]
fn at_address(address: u64) -> Remote {
    let port = u16::from_be(read(address + 2));
    match read::<u16>(address) {
        AF_INET => Remote::v4(read(address + 4), port),
        AF_INET6 => Remote::v6(read(address + 8), read(address + 16), port),
        _ => Remote::default(),
    }
}
