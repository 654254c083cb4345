//! Messages for a person who debugs the programs; compiled in by the feature `debug-log` only.

use aya_ebpf::{bindings::__sk_buff, programs::TcContext};
use aya_log_ebpf::debug;

use crate::rules::Walk;

/// Says what came of a packet of a target.
#[inline(always)]
pub fn verdict(skb: *mut __sk_buff, walk: &Walk) {
    let ctx = TcContext::new(skb);
    let verdict = &walk.verdict;
    debug!(
        &ctx,
        "scope {}: {} bytes, port {}: lost {}, damaged by {}, twice {}, held by {:x}",
        walk.scope,
        walk.bytes,
        walk.packet.remote_port,
        verdict.lost,
        verdict.corrupt,
        verdict.duplicate,
        verdict.line
    );
}
