//! Counts the segments that targets send again, for runs that halt on their rate.

use aya_ebpf::{bindings::bpf_sock, macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{gate, maps::INJ_RETRANSMITS};

/// A segment is sent again: `(sk, skb, ...)`, `net/ipv4/tcp_output.c`, `__tcp_retransmit_skb`. The socket is a
/// full one, of which the kernel lets such programs ask for the storage
/// (`net/core/bpf_sk_storage.c`, `bpf_sk_storage_get_tracing`).
#[btf_tracepoint(function = "tcp_retransmit_skb")]
pub fn inj_retransmit(ctx: BtfTracePointContext) -> i32 {
    let sk: *mut bpf_sock = ctx.arg(0);
    let Some(admitted) = gate::admit_known(sk) else {
        return 0;
    };
    if let Some(count) = INJ_RETRANSMITS.get_ptr_mut(admitted.scope) {
        // SAFETY: a per-CPU slot; the tracepoint runs under the socket's lock with bottom halves off or in
        // one, and at worst a count is lost to another socket's.
        unsafe { *count += 1 };
    }
    0
}
