//! Tells what targets write to and read from sockets by system calls, from where each call ends: its registers still have
//! its arguments, and its result says how many bytes passed. It looks, and changes nothing.
//!
//! There are two programs, one behind the other: [`crate::twice`]. Work of an `io_uring` belongs to no such call, and is not
//! seen.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use injector_common::{
    call::turn,
    plaintext::{ConnectionKey, through, what},
};

use crate::{
    caller, claim,
    plaintext::{self, Passed, at_most},
    subject::{Subject, read},
    syscall::{DI, DX, SI},
    trace::read_user,
    twice,
};

/// A call ends: `(registers, result)`.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn inj_plain(ctx: RawTracePointContext) -> i32 {
    twice::once(|| turn::FIRST, || meet(&ctx)) as i32
}

/// The same again, for calls that the first program was not run for.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn inj_plain_again(ctx: RawTracePointContext) -> i32 {
    twice::once(|| turn::AGAIN, || meet(&ctx)) as i32
}

/// What a call does with a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Write,
    Read,
    Close,
}

/// `None` where there was nothing to tell.
#[inline(always)]
fn meet(ctx: &RawTracePointContext) -> Option<i64> {
    let registers: u64 = ctx.arg(0);
    let result: i64 = ctx.arg(1);
    if result < 0 {
        return None;
    }
    // A 32-bit call has other numbers.
    let syscall = caller::number();
    // read, recvfrom, readv, recvmsg; write, sendto, writev, sendmsg; close (arch/x86/entry/syscalls/syscall_64.tbl).
    let deed = match syscall {
        0 | 45 | 19 | 47 => Deed::Read,
        1 | 44 | 20 | 46 => Deed::Write,
        3 => Deed::Close,
        _ => return None,
    };
    caller::admit()?;
    let fd: u64 = read(registers + DI);
    let connection = ConnectionKey {
        handle: fd & 0xffff_ffff,
        tgid: claim::tgid(),
        through: through::SOCKET,
    };
    if deed == Deed::Close || deed == Deed::Read && result == 0 {
        // A read into no room is no end.
        if deed == Deed::Close || syscall != 0 && syscall != 45 || read::<u64>(registers + DX) != 0
        {
            plaintext::close(&connection);
        }
        return Some(0);
    }
    if result == 0 {
        return None;
    }
    // Most reads are of files and of connections that are not told: they cost one look-up.
    if deed == Deed::Read && !plaintext::is_told(&connection) {
        return None;
    }
    let [first, second] = pieces(syscall, registers, result as u64);
    let what = if deed == Deed::Read {
        what::READ
    } else {
        if plaintext::is_strange(&connection, &first, || {
            Subject::descriptor(caller::task(), fd as u32).sock != 0
        }) {
            return None;
        }
        what::WRITTEN
    };
    plaintext::tell(&connection, what, &first);
    // Of a request that is written from several pieces the second is the body, as Node does.
    if second.length != 0 {
        plaintext::tell(&connection, what, &second);
    }
    Some(0)
}

/// Where the bytes lie: the first piece, and the second of a vector. What further ones have is not told.
#[inline(always)]
fn pieces(syscall: u32, registers: u64, result: u64) -> [Passed; 2] {
    let second: u64 = read(registers + SI);
    let vector = match syscall {
        19 | 20 => second,
        // msghdr::msg_iov
        46 | 47 => read_user(second + 16),
        _ => return [passed(second, result), passed(0, 0)],
    };
    let count: u64 = if syscall == 46 || syscall == 47 {
        // msghdr::msg_iovlen
        read_user(second + 24)
    } else {
        read(registers + DX)
    };
    let in_first = at_most(read_user(vector + 8), result);
    let in_second = if count > 1 {
        at_most(read_user(vector + 24), result - in_first)
    } else {
        0
    };
    [
        passed(read_user(vector), in_first),
        passed(read_user(vector + 16), in_second),
    ]
}

#[inline(always)]
const fn passed(buffer: u64, length: u64) -> Passed {
    Passed {
        buffer,
        length,
        began_ns: 0,
    }
}
