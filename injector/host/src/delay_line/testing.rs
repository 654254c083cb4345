//! A pair of sockets in place of a TAP (both keep the bounds of what is written), and a count of
//! allocations.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    os::fd::{AsFd, OwnedFd},
};

use injector_common::frame::{Direction, META_AT, Meta};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};

use super::vnet::{LARGEST, VNET};

/// The kernel's end.
pub(super) struct Peer(OwnedFd);

/// The worker's end and the kernel's.
pub(super) fn pair() -> (OwnedFd, Peer) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    for end in [&ours, &theirs] {
        sockopt::set_socket_send_buffer_size(end, 8 << 20).unwrap();
    }
    (ours, Peer(theirs))
}

impl Peer {
    /// Sends a frame with a number to know it by, for these rules of scope 0.
    pub(super) fn send(&self, number: u32, slots: u32) {
        self.send_long(number, slots, 60);
    }

    pub(super) fn send_long(&self, number: u32, slots: u32, len: usize) {
        let meta = Meta {
            direction: Direction::Egress,
            scope: 0,
            device: 1,
            slots,
        };
        let mut frame = vec![0; VNET + len];
        let at = VNET + META_AT;
        frame[at..at + 6].copy_from_slice(&meta.encode());
        frame[VNET + 16..VNET + 20].copy_from_slice(&number.to_be_bytes());
        self.send_raw(&frame);
    }

    pub(super) fn send_raw(&self, frame: &[u8]) {
        assert_eq!(rustix::io::write(&self.0, frame), Ok(frame.len()));
    }

    /// The numbers of all frames that have come back.
    pub(super) fn received(&self) -> Vec<u32> {
        std::iter::from_fn(|| self.receive()).collect()
    }

    fn receive(&self) -> Option<u32> {
        let mut frame = vec![0; LARGEST];
        match rustix::io::read(self.0.as_fd(), &mut frame) {
            Ok(len) if len > 0 => Some(u32::from_be_bytes(
                frame[VNET + 16..VNET + 20].try_into().unwrap(),
            )),
            _ => None,
        }
    }
}

/// Counts what each thread allocates, so that a test can show that frames cost nothing.
struct CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

// SAFETY: every call goes on unchanged to the system's allocator; the count is a plain thread-local
// number that needs no allocation itself.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no count any more, and no test that reads it.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often this thread has allocated so far.
pub(super) fn allocations() -> u64 {
    ALLOCATIONS.get()
}
