//! Tells user space about a hit. Nobody is woken: readers poll, so that a busy target pays for the
//! record and not for a wake-up. A full ring loses the event, counts the loss, and harms nobody.

use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, helpers::generated::bpf_ktime_get_boot_ns};
use injector_common::{RuleId, event::Event, filter::Packet};

use crate::maps::{INJ_EVENTS, INJ_LOST};

/// Emits one hit.
#[inline(always)]
pub fn hit(rule: RuleId, action: u32, match_number: u64, packet: &Packet, bytes: u32) {
    let Some(mut entry) = INJ_EVENTS.reserve::<Event>(0) else {
        if let Some(lost) = INJ_LOST.get_ptr_mut(0) {
            // SAFETY: a per-CPU slot, and programs of one CPU do not interleave here.
            unsafe { *lost += 1 };
        }
        return;
    };
    entry.write(Event {
        // SAFETY: the helper has no preconditions.
        boot_ns: unsafe { bpf_ktime_get_boot_ns() },
        match_number,
        rule,
        action,
        bytes,
        ports: u32::from(packet.local_port) << 16 | u32::from(packet.remote_port),
        remote: packet.remote,
    });
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}
