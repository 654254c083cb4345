//! Programs on the tracepoints of all system calls: what needs no hook inside the kernel. Nothing can be
//! refused there; a signal can be sent, and what a call has returned can be damaged.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_loop, bpf_probe_read_user, bpf_probe_write_user},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use injector_common::{
    call::{CallRule, Pending, filling, op},
    decide::random64,
};

use crate::{
    caller,
    calls::{self, Count},
    carry,
    maps::{INJ_CALLS, INJ_PENDING, INJ_RULES},
    subject::read,
    syscall::{number, subject},
};

/// A call begins: `(registers, number)`, arch/x86/entry/common.c.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn inj_sys_enter(ctx: RawTracePointContext) -> i32 {
    let registers: u64 = ctx.arg(0);
    if let Some(walk) = calls::decide(op::TRACE, || subject(registers)) {
        carry::out_awake(&walk);
    }
    0
}

/// A call ends: `(registers, result)`. Damages what it has put into its buffer, where a hook of the call
/// has decided so.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn inj_sys_exit(ctx: RawTracePointContext) -> i32 {
    let _ = ctx.as_ptr();
    let registers: u64 = ctx.arg(0);
    let result: i64 = ctx.arg(1);
    let syscall = number(registers);
    let Some(pending) = carry::left(syscall) else {
        return 0;
    };
    let _ = INJ_PENDING.remove(caller::tid());
    if pending.damager == 0 {
        return 0;
    }
    let rule = pending.damager - 1;
    let is_damaged = result > 0 && damage(&pending, registers, result as u64).unwrap_or(false);
    if is_damaged {
        calls::hit_later(rule, syscall);
    } else {
        calls::count(rule, Count::Missed);
    }
    0
}

/// Where in user memory a call has put what it read, and how many bytes lie there in one piece.
#[inline(always)]
fn buffer(syscall: u32, registers: u64, result: u64) -> (u64, u64) {
    const SI: u64 = 13 * 8;
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
    (read_user(vector), if length < result { length } else { result })
}

#[inline(always)]
fn read_user<T: Copy + Default>(address: u64) -> T {
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

/// Damage in the making.
#[repr(C)]
struct Damage {
    at: u64,
    length: u64,
    random: u64,
    left: u32,
    filling: u32,
    written: u32,
    pad: u32,
}

/// The most bytes that are changed in one call, all places together.
const MOST_BYTES: u32 = 4096;

#[inline(always)]
fn damage(pending: &Pending, registers: u64, result: u64) -> Option<bool> {
    let id = pending.damager - 1;
    let (rule, call): (_, &CallRule) = (INJ_RULES.get(id)?, INJ_CALLS.get(id)?);
    let (at, length) = buffer(pending.syscall, registers, result);
    if at == 0 || length == 0 {
        return None;
    }
    let mut occurrence = 0;
    let mut is_damaged = false;
    while occurrence < MOST_PLACES {
        if occurrence >= call.occurrences {
            break;
        }
        // Not the number that decided the hit: the place would depend on the percentage.
        let random = random64(!rule.seed, pending.number.wrapping_mul(64) + u64::from(occurrence));
        let offset = (random >> 32) % length;
        let room = length - offset;
        let mut damage = Damage {
            at: at + offset,
            length: room,
            random,
            left: call.bytes.min(MOST_BYTES),
            filling: call.filling,
            written: 0,
            pad: 0,
        };
        // SAFETY: the callback has the signature that the helper asks for, and the context outlives the call.
        unsafe {
            bpf_loop(MOST_BYTES, change_one as *mut _, (&raw mut damage).cast(), 0);
        }
        is_damaged |= damage.written != 0;
        occurrence += 1;
    }
    Some(is_damaged)
}

/// The most places of one call that are damaged.
const MOST_PLACES: u32 = 16;

/// Changes one byte: 0 goes on, 1 ends it.
extern "C" fn change_one(_: u32, damage: *mut Damage) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `damage` gave it.
    let damage = unsafe { &mut *damage };
    if damage.left == 0 || damage.length == 0 {
        return 1;
    }
    let old: u8 = read_user(damage.at);
    let random = random64(damage.random, damage.length) as u8;
    let new = match damage.filling {
        filling::ZERO => 0,
        filling::RANDOM => random,
        _ => old ^ (1 << (random & 7)),
    };
    // SAFETY: one byte of ours into memory of the caller's; the helper checks the destination.
    let written =
        unsafe { bpf_probe_write_user(damage.at as *mut _, (&raw const new).cast(), 1) };
    damage.written |= u32::from(written == 0);
    damage.at += 1;
    damage.length -= 1;
    damage.left -= 1;
    0
}
