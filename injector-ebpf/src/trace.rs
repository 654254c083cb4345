//! Programs on the tracepoint where every system call ends: what a call has put into its buffer is damaged
//! there. Nothing can be refused.
//!
//! There are two, one behind the other: [`crate::twice`].

use aya_ebpf::{
    helpers::generated::{bpf_loop, bpf_probe_read_user, bpf_probe_write_user},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use injector_common::{
    call::{CallRule, Pending, filling, op, turn},
    decide::random64,
};

use crate::{
    caller,
    calls::{self, Count},
    maps::{INJ_CALLS, INJ_DAMAGES, INJ_RULES},
    subject::read,
    syscall::{SI, subject},
    twice,
};

/// A call ends: `(registers, result)`. Decides about it, and damages what it has put into its buffer.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn inj_sys_exit(ctx: RawTracePointContext) -> i32 {
    twice::once(|| turn::FIRST, || meet(&ctx)) as i32
}

/// The same again, for calls that the first program was not run for.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn inj_sys_exit_again(ctx: RawTracePointContext) -> i32 {
    twice::once(|| turn::AGAIN, || meet(&ctx)) as i32
}

/// `None` where no rule was asked.
#[inline(always)]
fn meet(ctx: &RawTracePointContext) -> Option<i64> {
    let registers: u64 = ctx.arg(0);
    let result: i64 = ctx.arg(1);
    if result <= 0 {
        return None;
    }
    let pending = calls::decide(op::TRACE, || subject(registers))?;
    if pending.damager == 0 {
        return Some(0);
    }
    let rule = pending.damager - 1;
    if damage(&pending, registers, result as u64).unwrap_or(false) {
        calls::hit_later(rule, pending.syscall);
    } else {
        calls::count(rule, Count::Missed);
    }
    Some(0)
}

/// Where in user memory a call has put what it read, and how many bytes lie there in one piece.
#[inline(always)]
fn buffer(syscall: u32, registers: u64, result: u64) -> (u64, u64) {
    let second: u64 = read(registers + SI);
    match syscall {
        // read, pread64, recvfrom
        0 | 17 | 45 => (second, result),
        // readv, preadv, preadv2: the first piece that is not empty is the first or there is none.
        19 | 295 | 327 => first_piece(second, result),
        // recvmsg: msghdr::msg_iov
        47 => first_piece(read_user(second + 16), result),
        _ => (0, 0),
    }
}

#[inline(always)]
fn first_piece(vector: u64, result: u64) -> (u64, u64) {
    let length: u64 = read_user(vector + 8);
    (
        read_user(vector),
        if length < result { length } else { result },
    )
}

/// Something of the caller's; zero where it cannot be read.
#[inline(always)]
pub fn read_user<T: Copy + Default>(address: u64) -> T {
    let mut value = T::default();
    // SAFETY: the destination is our own; the helper checks the source.
    unsafe {
        bpf_probe_read_user(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            address as *const _,
        );
    }
    value
}

/// Damage in the making. It lies in a map entry of its thread, for the verifier's sake, see
/// [`crate::calls`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Damage {
    /// The buffer, and its length.
    buffer: u64,
    length: u64,
    /// The place that is being damaged: its next byte, and how many may follow.
    at: u64,
    room: u64,
    seed: u64,
    /// Number of the next place.
    place: u64,
    places: u32,
    bytes: u32,
    left: u32,
    filling: u32,
    written: u32,
    pad: u32,
}

impl Damage {
    /// None yet.
    const NONE: Self = Self {
        buffer: 0,
        length: 0,
        at: 0,
        room: 0,
        seed: 0,
        place: 0,
        places: 0,
        bytes: 0,
        left: 0,
        filling: filling::ZERO,
        written: 0,
        pad: 0,
    };
}

/// The most bytes of one place.
const MOST_BYTES: u32 = 4096;
/// The most places of one call.
const MOST_PLACES: u32 = 16;

#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a value that is passed would lie on the stack"
)]
#[inline(always)]
fn damage(pending: &Pending, registers: u64, result: u64) -> Option<bool> {
    let id = pending.damager - 1;
    let (rule, call): (_, &CallRule) = (INJ_RULES.get(id)?, INJ_CALLS.get(id)?);
    let (at, length) = buffer(pending.syscall, registers, result);
    if at == 0 || length == 0 {
        return None;
    }
    let thread = caller::tid();
    INJ_DAMAGES.insert(thread, &Damage::NONE, 0).ok()?;
    let mut entry: *mut Damage = INJ_DAMAGES.get_ptr_mut(thread)?;
    // SAFETY: the entry is this thread's until it is removed.
    let damage = unsafe { &mut *entry };
    damage.buffer = at;
    damage.length = length;
    // Not the number that decided the hit: the place would depend on the percentage.
    damage.seed = random64(!rule.seed, pending.number);
    damage.places = call.places;
    damage.bytes = call.bytes;
    damage.filling = call.filling;
    // SAFETY: the entry is this thread's until it is removed. The callback has the signature that the helper
    // asks for, and the context outlives the call.
    let written = unsafe {
        bpf_loop(
            MOST_PLACES,
            damage_place as *mut _,
            (&raw mut entry).cast(),
            0,
        );
        (*entry).written
    };
    let _ = INJ_DAMAGES.remove(thread);
    Some(written != 0)
}

/// Damages one place: 0 goes on, 1 ends it.
extern "C" fn damage_place(_: u32, context: *mut *mut Damage) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `damage` gave it.
    let damage = unsafe { &mut **context };
    if damage.place >= u64::from(damage.places) || damage.length == 0 {
        return 1;
    }
    let offset = (random64(damage.seed, damage.place) >> 32) % damage.length;
    damage.place += 1;
    damage.at = damage.buffer + offset;
    damage.room = damage.length - offset;
    damage.left = damage.bytes;
    // SAFETY: as in `damage`.
    unsafe {
        bpf_loop(MOST_BYTES, change_one as *mut _, context.cast(), 0);
    }
    0
}

/// Changes one byte: 0 goes on, 1 ends it.
extern "C" fn change_one(_: u32, context: *mut *mut Damage) -> i64 {
    // SAFETY: as in `damage_place`.
    let damage = unsafe { &mut **context };
    if damage.left == 0 || damage.room == 0 {
        return 1;
    }
    let old: u8 = read_user(damage.at);
    let random = random64(damage.seed ^ damage.at, damage.place) as u8;
    let new = match damage.filling {
        filling::ZERO => 0,
        filling::RANDOM => random,
        _ => old ^ (1 << (random & 7)),
    };
    // SAFETY: one byte of ours into memory of the caller's; the helper checks the destination.
    let written = unsafe { bpf_probe_write_user(damage.at as *mut _, (&raw const new).cast(), 1) };
    damage.written |= u32::from(written == 0);
    damage.at += 1;
    damage.room -= 1;
    damage.left -= 1;
    0
}
