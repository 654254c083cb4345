//! Tells what a target reads from and writes to its connections, where they speak HTTP.
//!
//! A connection is told of once a request was seen on it; of all others nothing is copied. The bytes go to the ring
//! straight from the target's own buffer.

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::{bpf_get_current_comm, bpf_probe_read_user},
    maps::ring_buf::RingBufEntry,
};
use injector_common::plaintext::{
    COMM, ConnectionKey, HEAD, Heading, Opening, Plaintext, TAIL, speaks, what,
};

use crate::{
    caller, gate,
    maps::{INJ_PLAINTEXT, INJ_PLAINTEXT_LOST, INJ_SPEAKERS},
    trace::read_user,
};

/// Bytes that have passed through a connection.
#[derive(Clone, Copy)]
pub struct Passed {
    /// Where they lie in the target's memory.
    pub buffer: u64,
    /// How many they are.
    pub length: u64,
    /// When the call began, on the boot clock; 0 where that was not seen.
    pub began_ns: u64,
}

/// Whether nothing is known of a connection on which this was written; where it begins with a request, it is known from
/// now on. `is_socket` is asked only where it does.
#[inline(always)]
pub fn is_strange(
    connection: &ConnectionKey,
    passed: &Passed,
    is_socket: impl FnOnce() -> bool,
) -> bool {
    let first: u32 = read_user(passed.buffer);
    let speaks = match Opening::of(first.to_ne_bytes()) {
        Opening::Http1 => speaks::HTTP1,
        Opening::Http2 => speaks::HTTP2,
        Opening::Other => return !is_told(connection),
    };
    if !is_socket() {
        return true;
    }
    let _ = INJ_SPEAKERS.insert(connection, speaks, 0);
    false
}

/// Whether a connection is one whose bytes are told.
#[inline(always)]
pub fn is_told(connection: &ConnectionKey) -> bool {
    // SAFETY: values are replaced whole; the oldest are forgotten, and then the entry is another's for a moment, which at
    // worst tells one call too many.
    unsafe { INJ_SPEAKERS.get(connection) }.is_some_and(|speaks| *speaks == speaks::HTTP1)
}

/// Tells of bytes that were written or read.
#[inline(always)]
pub fn tell(connection: &ConnectionKey, what: u32, passed: &Passed) {
    let Some(mut entry) = reserve() else {
        return;
    };
    let record: *mut Plaintext = entry.as_mut_ptr();
    let head = at_most(passed.length, HEAD as u64);
    let left = passed.length - head;
    let tail = at_most(left, TAIL as u64);
    // SAFETY: the record is reserved for this program until it is submitted or discarded; the helper writes no more than
    // is said, which is bounded by the fields' own lengths, and checks the source.
    let copied = unsafe {
        copy::<HEAD>(&raw mut (*record).head, passed.buffer, head)
            && copy::<TAIL>(
                &raw mut (*record).tail,
                passed.buffer + passed.length - tail,
                tail,
            )
    };
    if !copied {
        entry.discard(0);
        return;
    }
    heading(record, connection, what, passed, (head, tail));
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}

/// Tells that a connection has ended, and forgets it.
#[inline(always)]
pub fn close(connection: &ConnectionKey) {
    let was_told = is_told(connection);
    if INJ_SPEAKERS.remove(connection).is_err() || !was_told {
        return;
    }
    let Some(mut entry) = reserve() else {
        return;
    };
    let nothing = Passed {
        buffer: 0,
        length: 0,
        began_ns: 0,
    };
    heading(
        entry.as_mut_ptr(),
        connection,
        what::CLOSED,
        &nothing,
        (0, 0),
    );
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}

#[inline(always)]
fn reserve() -> Option<RingBufEntry<Plaintext>> {
    let entry = INJ_PLAINTEXT.reserve::<Plaintext>(0);
    if entry.is_none()
        && let Some(lost) = INJ_PLAINTEXT_LOST.get_ptr_mut(0)
    {
        // SAFETY: a per-CPU slot. Two callers on one CPU may count one loss for two, which is exact enough.
        unsafe { *lost += 1 };
    }
    entry
}

/// The lesser of the two.
#[inline(always)]
pub const fn at_most(value: u64, most: u64) -> u64 {
    if value < most { value } else { most }
}

/// Copies so many bytes of the caller's; false where they cannot be read.
///
/// # Safety
///
/// The destination must be writable.
#[inline(always)]
unsafe fn copy<const MOST: usize>(to: *mut [u8; MOST], from: u64, bytes: u64) -> bool {
    if bytes == 0 {
        return true;
    }
    // The verifier wants to see that it is 1 to `MOST`, and the compiler, who knows, would leave the mask out.
    let bytes = (core::hint::black_box(bytes - 1) & (MOST as u64 - 1)) + 1;
    // SAFETY: no more than the array has; the helper checks the source.
    unsafe { bpf_probe_read_user(to.cast(), bytes as u32, from as *const _) == 0 }
}

#[inline(always)]
fn heading(
    record: *mut Plaintext,
    connection: &ConnectionKey,
    what: u32,
    passed: &Passed,
    (head, tail): (u64, u64),
) {
    let now = gate::now();
    let began_ns = if passed.began_ns == 0 {
        now
    } else {
        passed.began_ns
    };
    // SAFETY: as in `tell`.
    unsafe {
        (*record).heading = Heading {
            boot_ns: now,
            began_ns,
            connection: *connection,
            what,
            tid: caller::tid(),
            length: at_most(passed.length, u64::from(u32::MAX)) as u32,
            head: head as u32,
            tail: tail as u32,
            pad: 0,
            comm: [0; COMM],
        };
        bpf_get_current_comm((&raw mut (*record).heading.comm).cast(), COMM as u32);
    }
}
