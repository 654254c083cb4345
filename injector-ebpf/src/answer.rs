//! Puts an answer that is made up into a target's own memory, in the place of the one that it has read; the programs are in
//! [`crate::rewrite`].
//!
//! An answer is written whole or its status alone is; what could be neither stays the server's.

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_write_user};
use injector_common::{
    plaintext::function,
    rewrite::{ANSWER, Answer, Call, DIGITS, HEAD, Key, PADDING},
};

use crate::{
    maps::{INJ_ANSWERS, INJ_GENERATION},
    plaintext::at_most,
    rewrite::{FILLING, Rewrite, begin, end, look},
    trace::read_user,
};

/// What became of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It stands in the target's memory, whole.
    Whole,
    /// Its status does, or a part of it.
    Degraded,
    /// The server's own does.
    Not,
}

/// What every answer of HTTP/1 begins with, as a word, without the last of its bytes.
const HTTP: u64 = u64::from_ne_bytes(*b"HTTP/1.\0");
const SEVEN: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);

/// Bytes of a status line up to the end of its status, and where that begins.
const STATUS_LINE: u64 = 12;
const STATUS: u64 = 9;

/// What a read begins with.
#[derive(Clone, Copy)]
pub enum First {
    /// An answer.
    Final,
    /// An answer without a body (RFC 9110, 15.3.5 and 15.4.5): by another status alone a client would wait for one.
    Bodiless,
    /// The answer is still to come (RFC 9110, 15.2).
    Interim,
    /// No answer of HTTP/1, or a part of its status line.
    Other,
}

impl First {
    #[inline(always)]
    pub fn of(buffer: u64, length: u64) -> Self {
        let first: u64 = read_user(buffer);
        if length < STATUS_LINE || first & SEVEN != HTTP {
            return Self::Other;
        }
        let status: [u8; 4] = read_user(buffer + STATUS);
        match [status[0], status[1], status[2]] {
            [b'1', ..] => Self::Interim,
            [b'2' | b'3', b'0', b'4'] => Self::Bodiless,
            _ => Self::Final,
        }
    }
}

/// Writes bytes of ours into the caller's memory.
#[inline(always)]
pub fn write(to: u64, from: *const u8, bytes: u32) -> bool {
    // SAFETY: the verifier checks the source, the helper the destination.
    unsafe { bpf_probe_write_user(to as *mut _, from.cast(), bytes) == 0 }
}

/// Puts an answer where the server's has been read.
#[inline(always)]
pub fn answer(call: &Call, length: u64, mut key: Key, first: First) -> Outcome {
    let Some(work) = begin() else {
        return Outcome::Not;
    };
    key.number += INJ_GENERATION.get(0).map_or(0, |from| *from);
    // SAFETY: user space replaces entries of the generation that is not in use, whole.
    let mut made = unsafe { INJ_ANSWERS.get(key) };
    if made.is_some_and(|made| made.has_stream != 0) && is_stream(work, call.buffer, length) {
        key.number += 1;
        // SAFETY: as above.
        made = unsafe { INJ_ANSWERS.get(key) };
    }
    let outcome = match made {
        Some(made) => put(work, call, length, made, first),
        None => Outcome::Not,
    };
    end();
    outcome
}

/// Writes it, or what fits of it.
#[inline(always)]
fn put(work: *mut Rewrite, call: &Call, length: u64, made: &Answer, first: First) -> Outcome {
    let grows = call.function == function::READ_EX;
    let room = if grows { call.room } else { length };
    let bytes = u64::from(made.length);
    let fits = bytes != 0 && bytes <= room;
    let fills = !grows && bytes < length;
    if !fits || fills && (length - bytes > PADDING || made.is_exact != 0) {
        return degrade(call, made, first);
    }
    // The verifier wants to see that it is 1 to `ANSWER`.
    let last = core::hint::black_box(bytes - 1) & (ANSWER as u64 - 1);
    let text = (&raw const made.bytes).cast::<u8>();
    // SAFETY: `last` is a place in the text.
    if !write(call.buffer + last, unsafe { text.add(last as usize) }, 1) {
        return degrade(call, made, first);
    }
    // From here on something of the server's answer may be changed, and that is a hit.
    let count = bytes;
    let is_written = if grows {
        // How much it is before what it is: a count that cannot be written leaves the server's head.
        write(call.count, (&raw const count).cast(), 8) && write(call.buffer, text, last as u32 + 1)
    } else {
        let digits = digits(length - u64::from(made.head));
        (!fills || fill(work, call.buffer + bytes, length - bytes))
            && write(call.buffer, text, last as u32 + 1)
            && write(
                call.buffer + u64::from(made.digits_at),
                (&raw const digits).cast(),
                DIGITS as u32,
            )
    };
    if is_written {
        return Outcome::Whole;
    }
    // The status alone says as much as can be said now.
    let _ = degrade(call, made, first);
    Outcome::Degraded
}

/// Puts the status alone in the place of the server's, behind `HTTP/1.1` and a blank.
#[inline(always)]
fn degrade(call: &Call, made: &Answer, first: First) -> Outcome {
    let says = made.status[0] != 0 && matches!(first, First::Final);
    if says && write(call.buffer + STATUS, (&raw const made.status).cast(), 3) {
        Outcome::Degraded
    } else {
        Outcome::Not
    }
}

/// A number as the head of an answer has it, with blanks in front.
#[inline(always)]
fn digits(mut number: u64) -> [u8; DIGITS] {
    let mut digits = [b' '; DIGITS];
    let mut place = DIGITS;
    while place > 0 {
        place -= 1;
        if number != 0 || place == DIGITS - 1 {
            digits[place] = b'0' + (number % 10) as u8;
        }
        number /= 10;
    }
    digits
}

/// Puts ends of lines behind an answer, which mean nothing behind a document or a stream.
#[inline(always)]
fn fill(mut work: *mut Rewrite, at: u64, bytes: u64) -> bool {
    // SAFETY: as in `asked`.
    unsafe {
        (*work).at = at;
        (*work).left = bytes;
        bpf_loop(
            (PADDING / FILLING as u64) as u32,
            fill_some as *mut _,
            (&raw mut work).cast(),
            0,
        );
        (*work).failed == 0 && (*work).left == 0
    }
}

/// Fills some of it: 0 goes on, 1 ends it.
extern "C" fn fill_some(_: u32, context: *mut *mut Rewrite) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `fill` gave it.
    let work = unsafe { &mut **context };
    if work.left == 0 {
        return 1;
    }
    let some = at_most(work.left, FILLING as u64);
    // The verifier wants to see that it is 1 to `FILLING`.
    let some = (core::hint::black_box(some - 1) & (FILLING as u64 - 1)) + 1;
    if !write(work.at, (&raw const work.padding).cast(), some as u32) {
        work.failed = 1;
        return 1;
    }
    work.at += some;
    work.left -= some;
    0
}

/// Parts of the types by which models answer piece by piece: `text/event-stream` and `application/x-ndjson`.
const STREAMS: [u64; 2] = [
    u64::from_be_bytes(*b"vent-str"),
    u64::from_be_bytes(*b"x-ndjson"),
];

/// Whether an answer's head says that it is a stream.
#[inline(always)]
fn is_stream(mut work: *mut Rewrite, buffer: u64, length: u64) -> bool {
    if look(work, buffer, length).is_some() {
        // SAFETY: as in `asked`.
        unsafe {
            bpf_loop(HEAD as u32, find_type as *mut _, (&raw mut work).cast(), 0);
            return (*work).found != 0;
        }
    }
    false
}

/// What a head ends with.
const END_OF_HEAD: u32 = u32::from_be_bytes(*b"\r\n\r\n");

/// Looks at the next byte of the head: 0 goes on, 1 ends it.
extern "C" fn find_type(index: u32, context: *mut *mut Rewrite) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `is_stream` gave it.
    let work = unsafe { &mut **context };
    let at = index as usize;
    if at >= HEAD || at >= work.length as usize {
        return 1;
    }
    work.window = work.window << 8 | u64::from(work.head[at]);
    work.found = u32::from(work.window == STREAMS[0] || work.window == STREAMS[1]);
    i64::from(work.found != 0 || work.window as u32 == END_OF_HEAD)
}
