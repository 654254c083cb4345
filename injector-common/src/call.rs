//! Rules on system calls: which calls a rule is about, and what the hooks leave for each other.
//!
//! A call meets a rule at exactly one *operation*: the place in the kernel where most is known about
//! what the call is about to do. `read(2)` of a file is [`op::READ`], of a socket [`op::RECEIVE`]. Which
//! operations a system call may meet is a table of user space's ([`Accept`]), so the hooks need no list of
//! their own and no call is decided twice.

mod path;

pub use path::{DEPTH, MOST_TWINS, Meets, NAME, PathEntry, PathKey, reach};

use crate::SLOTS;

/// Which of two programs at one place a program is: the first decides, the second for calls that the kernel has
/// not run the first for. The number is the cookie of an attachment; 0 is no cookie.
pub mod turn {
    /// There is no other.
    pub const ALONE: u64 = 0;
    /// The one that is run first.
    pub const FIRST: u64 = 1;
    /// The one behind it.
    pub const AGAIN: u64 = 2;
}

/// Places where calls are decided. The number is a bit's place in a mask.
pub mod op {
    /// A file is opened.
    pub const OPEN: u32 = 0;
    /// A file, directory or pipe is read; not a socket.
    pub const READ: u32 = 1;
    /// A file or pipe is written; not a socket.
    pub const WRITE: u32 = 2;
    /// A program is started.
    pub const EXEC: u32 = 3;
    /// A process or thread is made.
    pub const FORK: u32 = 4;
    /// Memory is mapped.
    pub const MMAP: u32 = 5;
    /// A name is removed.
    pub const UNLINK: u32 = 6;
    /// A name is changed.
    pub const RENAME: u32 = 7;
    /// A directory is made.
    pub const MKDIR: u32 = 8;
    /// A directory is removed.
    pub const RMDIR: u32 = 9;
    /// A file's attributes are read.
    pub const STAT: u32 = 10;
    /// A file is cut.
    pub const TRUNCATE: u32 = 11;
    /// A file's mode is changed.
    pub const CHMOD: u32 = 12;
    /// A file's owner is changed.
    pub const CHOWN: u32 = 13;
    /// A socket is made.
    pub const SOCKET: u32 = 14;
    /// A socket is connected.
    pub const CONNECT: u32 = 15;
    /// A socket gets an address.
    pub const BIND: u32 = 16;
    /// A socket waits for connections.
    pub const LISTEN: u32 = 17;
    /// A connection is accepted.
    pub const ACCEPT: u32 = 18;
    /// A socket sends.
    pub const SEND: u32 = 19;
    /// A socket receives.
    pub const RECEIVE: u32 = 20;
    /// A link is made.
    pub const LINK: u32 = 21;
    /// A symbolic link is made.
    pub const SYMLINK: u32 = 22;
    /// A device is spoken to.
    pub const IOCTL: u32 = 23;
    /// A file is locked.
    pub const LOCK: u32 = 24;
    /// An IPv4 or IPv6 socket is connected, seen by the cgroup's own hook.
    pub const ADDRESS_CONNECT: u32 = 25;
    /// An IPv4 or IPv6 socket gets an address, seen by the cgroup's own hook.
    pub const ADDRESS_BIND: u32 = 26;
    /// Any system call, seen where it begins; for calls that no other place knows.
    pub const SYSCALL: u32 = 32;
    /// Any system call, seen by the tracepoint where it ends: nothing can be refused there.
    pub const TRACE: u32 = 33;
    /// Any native system call of the host, at the tracepoint that all of them pass; nothing can be changed
    /// there, but the caller can get a signal.
    pub const ENTRY: u32 = 34;
    /// A native system call with a vector, at the tracepoint where it begins: the vector's lengths can be changed.
    pub const VECTOR: u32 = 35;
}

/// `execve` and `execveat` of `x86_64`, by `syscall_64.tbl`.
const STARTS: [u32; 2] = [59, 322];

/// How many system call numbers a rule can tell apart (`__NR_syscalls` of `x86_64` is below 480).
pub const SYSCALLS: u32 = 512;

/// Not a native system call: `io_uring` work, a 32-bit call, a call out of range.
pub const NO_NUMBER: u32 = u32::MAX;

/// Operations that a native system call may meet, as a mask, by its number; with [`FIRST_IS_FD`].
pub type Accept = u64;

/// The bit of [`Accept`] that says: the call's first argument is a descriptor.
pub const FIRST_IS_FD: u32 = 63;

/// Kinds of what a descriptor stands for, as a mask.
pub mod kind {
    /// A regular file.
    pub const FILE: u32 = 1;
    /// A directory.
    pub const DIRECTORY: u32 = 2;
    /// A pipe or FIFO.
    pub const PIPE: u32 = 4;
    /// A unix socket.
    pub const UNIX: u32 = 8;
    /// An IPv4 or IPv6 socket.
    pub const INET: u32 = 16;
    /// A terminal or another character device.
    pub const CHARACTER: u32 = 32;
    /// Anything else, or nothing at all.
    pub const OTHER: u32 = 64;
    /// Not the call's own doing: a socket of the kernel's, which no fault is about.
    pub const NONE: u32 = 0;
    /// Whatever it is.
    pub const ANY: u32 = 127;
}

/// Bits of [`CallRule::filters`].
pub mod filters {
    /// The thread's name matches [`super::CallRule::thread`].
    pub const THREAD: u32 = 1;
    /// The file stands in the table of paths.
    pub const PATH: u32 = 2;
    /// The socket's far end passes [`super::CallRule::remotes`].
    pub const REMOTE: u32 = 4;
}

/// When a sleep happens.
pub mod sleep {
    /// Before the call does its work.
    pub const ENTER: u32 = 0;
    /// After the call has done its work.
    pub const EXIT: u32 = 1;
}

/// Longest name of a thread with its final zero (`TASK_COMM_LEN`).
pub const THREAD_NAME: usize = 16;

/// The longest single sleep, in nanoseconds: sleepers hold up RCU Tasks Trace, which others wait for when
/// they attach BPF programs.
pub const LONGEST_SLEEP_NS: u64 = 10_000_000_000;

/// What a rule on calls has beside its [`crate::rule::Rule`]. All zero matches nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRule {
    /// One bit for each native system call.
    pub syscalls: [u64; SYSCALLS as usize / 64],
    /// Operations at which the rule is asked, one bit each.
    pub ops: u64,
    /// Operations at which the target starts no program any more once the rule has killed, one bit each.
    pub denied: u64,
    /// How long a hit sleeps, in nanoseconds.
    pub sleep_ns: u64,
    /// How far a sleep may stray from that to both sides, in nanoseconds.
    pub jitter_ns: u64,
    /// Bits of [`filters`].
    pub filters: u32,
    /// One of [`sleep`].
    pub sleep_at: u32,
    /// Kinds of descriptors, as a mask of [`kind`].
    pub kinds: u32,
    /// The most bytes of one place that are damaged, or of one call that are read or written.
    pub bytes: u32,
    /// How damage looks, one of [`filling`].
    pub filling: u32,
    /// The most places of one call that are damaged.
    pub places: u32,
    /// Length of the pattern in `thread`.
    pub thread_length: u32,
    /// The signal that a hit sends.
    pub signal: u32,
    /// Pattern of the thread's name, see [`crate::glob`].
    pub thread: [u8; THREAD_NAME],
    /// Far ends that are meant; those with a zero mask and any port are at the end, and mean no far end.
    pub remotes: [RemoteFilter; REMOTES],
}

/// How damage looks.
pub mod filling {
    /// Zero bytes.
    pub const ZERO: u32 = 0;
    /// Random bytes.
    pub const RANDOM: u32 = 1;
    /// Each byte with one bit turned over.
    pub const FLIP: u32 = 2;
}

impl Default for CallRule {
    fn default() -> Self {
        Self {
            syscalls: [0; SYSCALLS as usize / 64],
            ops: 0,
            denied: 0,
            sleep_ns: 0,
            jitter_ns: 0,
            filters: 0,
            sleep_at: sleep::ENTER,
            kinds: 0,
            bytes: 0,
            filling: filling::ZERO,
            places: 0,
            thread_length: 0,
            signal: 0,
            thread: [0; THREAD_NAME],
            remotes: [RemoteFilter::NOBODY; REMOTES],
        }
    }
}

impl CallRule {
    /// Adds a native system call.
    pub fn add(&mut self, number: u32) {
        if let Some(word) = self.syscalls.get_mut(number as usize / 64) {
            *word |= 1 << (number % 64);
        }
    }

    /// Whether the rule is about a call that is seen at `op` under this number.
    ///
    /// A call without a native number (`io_uring`, 32-bit) is taken for any of the operation's calls.
    #[inline(always)]
    pub fn is_about(&self, op: u32, number: u32) -> bool {
        if self.ops >> (op & 63) & 1 == 0 {
            return false;
        }
        if number >= SYSCALLS {
            return true;
        }
        let word = self.syscalls[(number / 64) as usize & (SYSCALLS as usize / 64 - 1)];
        word >> (number % 64) & 1 != 0
    }

    /// Whether a call that is seen at `op` under this number starts a program that the rule forbids.
    #[inline(always)]
    pub const fn denies(&self, op: u32, number: u32) -> bool {
        let starts = number == STARTS[0] || number == STARTS[1] || number == NO_NUMBER;
        self.denied >> (op & 63) & 1 != 0 && starts
    }

    /// Whether a far end is one of those that are meant.
    #[inline(always)]
    pub const fn means(&self, remote: &Remote) -> bool {
        let all = &self.remotes;
        all[0].has(remote) || all[1].has(remote) || all[2].has(remote) || all[3].has(remote)
    }

    /// How long the `n`-th match sleeps, in nanoseconds; the same for the same seed.
    #[inline(always)]
    pub const fn sleep_of(&self, seed: u64, n: u64) -> u64 {
        if self.jitter_ns == 0 {
            return self.sleep_ns;
        }
        // Not the number that decided the hit: the length would depend on the percentage.
        let drawn = crate::decide::random(!seed, n) as u64;
        // Jitter is below 2^36 ns (a minute), so the product stays below 2^64.
        let stray = ((self.jitter_ns >> 5) * 2 * drawn) >> 27;
        (self.sleep_ns + stray).saturating_sub(self.jitter_ns)
    }
}

/// Far ends that a rule on calls can tell apart.
pub const REMOTES: usize = 4;

/// The far end of a socket: its address as IPv6, v4-mapped where it is IPv4, in two words of the host's order, and
/// its port. All zero is "unknown".
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// The address's first eight bytes.
    pub high: u64,
    /// The others.
    pub low: u64,
    /// The port; 0 is unknown.
    pub port: u32,
    /// 1 where the address is known.
    pub known: u32,
}

impl Remote {
    /// An IPv6 address in network order, and a port.
    #[inline(always)]
    pub const fn v6(high: [u8; 8], low: [u8; 8], port: u16) -> Self {
        Self {
            high: u64::from_be_bytes(high),
            low: u64::from_be_bytes(low),
            port: port as u32,
            known: 1,
        }
    }

    /// An IPv4 address in network order, and a port.
    #[inline(always)]
    pub const fn v4(address: [u8; 4], port: u16) -> Self {
        Self {
            high: 0,
            low: 0xffff_0000_0000 | u32::from_be_bytes(address) as u64,
            port: port as u32,
            known: 1,
        }
    }

    #[inline(always)]
    const fn is_v4(&self) -> bool {
        self.high == 0 && self.low >> 32 == 0xffff
    }
}

/// Far ends with one prefix and a range of ports. All zero is no far end.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteFilter {
    /// The prefix, as in [`Remote`].
    pub high: u64,
    /// Its second half.
    pub low: u64,
    /// Bits of the address that count.
    pub mask_high: u64,
    /// The second half.
    pub mask_low: u64,
    /// The lowest port.
    pub first_port: u32,
    /// The highest; 0 means no far end.
    pub last_port: u32,
    /// 1: addresses of IPv4 are not meant, though as IPv6 they may begin so.
    pub v6_only: u32,
    /// Keeps the record without gaps.
    pub pad: u32,
}

/// Bits of an IPv6 address in front of the IPv4 address in it (`::ffff:0:0/96`).
const MAPPED_BITS: u32 = 96;

impl RemoteFilter {
    /// Means no far end.
    pub const NOBODY: Self = Self {
        high: 0,
        low: 0,
        mask_high: 0,
        mask_low: 0,
        first_port: 0,
        last_port: 0,
        v6_only: 0,
        pad: 0,
    };

    /// Far ends whose port lies in between, wherever they are.
    pub const fn anywhere(first_port: u16, last_port: u16) -> Self {
        Self {
            v6_only: 0,
            ..Self::new([0; 16], 0, first_port, last_port)
        }
    }

    /// Far ends whose address, as IPv6, begins with the first `bits` of this one, and whose port lies in between.
    /// Fewer than 96 bits are those of a network of IPv6, and hold no address of IPv4.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower halves of words twice as wide"
    )]
    pub const fn new(address: [u8; 16], bits: u32, first_port: u16, last_port: u16) -> Self {
        let all = u128::from_be_bytes(address);
        let mask = match bits {
            0 => 0,
            1..=127 => u128::MAX << (128 - bits),
            _ => u128::MAX,
        };
        let prefix = all & mask;
        Self {
            high: (prefix >> 64) as u64,
            low: prefix as u64,
            mask_high: (mask >> 64) as u64,
            mask_low: mask as u64,
            first_port: first_port as u32,
            last_port: last_port as u32,
            v6_only: (bits < MAPPED_BITS) as u32,
            pad: 0,
        }
    }

    #[inline(always)]
    const fn has(&self, remote: &Remote) -> bool {
        remote.known != 0
            && remote.high & self.mask_high == self.high
            && remote.low & self.mask_low == self.low
            && remote.port >= self.first_port
            && remote.port <= self.last_port
            && self.last_port != 0
            && (self.v6_only == 0 || !remote.is_v4())
    }
}

const _: () = assert!(crate::SCOPES * SLOTS <= 1 << 16 && MOST_TWINS < 1 << 16);

/// What one hook leaves for a later one of the same call, by thread.
///
/// The id of a thread is not enough to find it again: a thread that starts a program takes that of its process
/// (fs/exec.c, `de_thread`) and leaves the entry, and the id becomes another's. No two threads of one id were started
/// in the same nanosecond.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// When the thread was started, on the boot clock in nanoseconds (`task_struct::start_boottime`).
    pub thread_start_ns: u64,
    /// Still to be slept, in nanoseconds.
    pub sleep_ns: u64,
    /// The number of the match, for damage.
    pub number: u64,
    /// Rule that sleeps, plus one; 0 is none.
    pub sleeper: u32,
    /// Rule that damages or shortens what the call reads or writes, plus one; 0 is none.
    pub damager: u32,
    /// The errno that the call returns; 0 is none.
    pub errno: u32,
    /// The call, as the kernel numbers it.
    pub syscall: u32,
    /// When the sleep is to be, one of [`sleep`].
    pub sleep_at: u32,
    /// Keeps the record without gaps.
    pub pad: u32,
}

impl Pending {
    /// Nothing is to be done.
    pub const NOTHING: Self = Self {
        thread_start_ns: 0,
        sleep_ns: 0,
        number: 0,
        sleeper: 0,
        damager: 0,
        errno: 0,
        syscall: NO_NUMBER,
        sleep_at: sleep::ENTER,
        pad: 0,
    };

    /// Whether nothing is left to do.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.sleeper == 0 && self.errno == 0
    }

    /// Whether it was left in this very call of this very thread, for the target that the thread belongs to.
    #[inline(always)]
    pub const fn is_of(&self, thread_start_ns: u64, syscall: u32, scope: u32) -> bool {
        let of_target = self.sleeper == 0 || (self.sleeper - 1) as usize / SLOTS == scope as usize;
        self.thread_start_ns == thread_start_ns && self.syscall == syscall && of_target
    }
}

const _: () = assert!(size_of::<CallRule>() == 336);
const _: () = assert!(size_of::<PathEntry>() == 72);
const _: () = assert!(size_of::<Pending>() == 48);

#[cfg(test)]
mod tests;
