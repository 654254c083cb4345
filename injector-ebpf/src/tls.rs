//! Probes in user space, on the functions of OpenSSL through which a target reads and writes in the clear.
//!
//! A probe's cookie says which function it stands at ([`function`]). The call is remembered at its entry and told at
//! its return, where it is known how many bytes passed: a write that has to be repeated is told once, and a read's buffer
//! is filled only then. They look, and change nothing.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_attach_cookie},
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use injector_common::plaintext::{ConnectionKey, TlsCall, function, through, what};

use crate::{
    caller, claim, gate,
    maps::{INJ_PROBE_TRIAL, INJ_TLS_CALLS},
    plaintext::{self, Passed},
    trace::read_user,
};

/// A function of the library begins.
#[uprobe]
pub fn inj_tls_enter(ctx: ProbeContext) -> u32 {
    if caller::admit().is_none() {
        return 0;
    }
    // SAFETY: the helper takes the program's own context.
    let function = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    // SAFETY: the probe's own registers: the first four arguments.
    let (ssl, buffer, count) = unsafe { ((*ctx.regs).rdi, (*ctx.regs).rsi, (*ctx.regs).rcx) };
    if function == function::FREE {
        plaintext::close(&connection(ssl));
        return 0;
    }
    let call = TlsCall {
        ssl,
        buffer,
        count: if has_count(function) { count } else { 0 },
        began_ns: gate::now(),
        function,
    };
    let _ = INJ_TLS_CALLS.insert(bpf_get_current_pid_tgid(), call, 0);
    0
}

/// It returns.
#[uretprobe]
pub fn inj_tls_leave(ctx: RetProbeContext) -> u32 {
    let thread = bpf_get_current_pid_tgid();
    // SAFETY: the entry is this thread's, which is here and nowhere else until it is removed.
    let Some(call) = (unsafe { INJ_TLS_CALLS.get(thread) }).copied() else {
        return 0;
    };
    let _ = INJ_TLS_CALLS.remove(thread);
    if caller::admit().is_some() {
        returned(&call, ctx.ret());
    }
    0
}

#[inline(always)]
fn returned(call: &TlsCall, result: u64) {
    // The functions return `int`.
    let result = result as i32;
    if result <= 0 {
        return;
    }
    let length = if call.count == 0 {
        u64::from(result as u32)
    } else {
        read_user(call.count)
    };
    let passed = Passed {
        buffer: call.buffer,
        length,
        began_ns: call.began_ns,
    };
    let connection = connection(call.ssl);
    if call.function == function::WRITE || call.function == function::WRITE_EX {
        if !plaintext::is_strange(&connection, &passed, || true) {
            plaintext::tell(&connection, what::WRITTEN, &passed);
        }
    } else if plaintext::is_told(&connection) {
        plaintext::tell(&connection, what::READ, &passed);
    }
}

/// Whether a function puts the number of bytes at its fourth argument.
#[inline(always)]
pub const fn has_count(function: u64) -> bool {
    function == function::READ_EX || function == function::WRITE_EX
}

/// What a connection of the library is known by.
#[inline(always)]
pub fn connection(ssl: u64) -> ConnectionKey {
    ConnectionKey {
        handle: ssl,
        tgid: claim::tgid(),
        through: through::TLS,
    }
}

/// The self-test's function begins. It is a child's of ours, so no lease is asked.
#[uprobe]
pub fn inj_probe_trial(_ctx: ProbeContext) -> u32 {
    count_trial(0);
    0
}

/// It returns.
#[uretprobe]
pub fn inj_probe_tried(_ctx: RetProbeContext) -> u32 {
    count_trial(2);
    0
}

/// Counts that the self-test was met at a place by this thread.
#[inline(always)]
pub fn count_trial(place: u32) {
    let is_first_thread = claim::tgid() == caller::tid();
    let place = place + u32::from(!is_first_thread);
    if let Some(met) = INJ_PROBE_TRIAL.get_ptr_mut(place) {
        // SAFETY: an entry of our own map; the child's threads take turns.
        unsafe { *met += 1 };
    }
}
