//! Tells user space about a hit. No reader is woken: readers poll, so that a busy target pays for the
//! record and not for a wake-up. A full ring loses the event, counts the loss, and harms no process.

use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, helpers::generated::bpf_ktime_get_boot_ns};
use injector_common::{
    RuleId,
    event::{Caller, Event, about},
    filter::Packet,
};

use crate::{
    caller, claim,
    maps::{INJ_EVENTS, INJ_LOST},
};

/// Emits a hit on a packet.
#[inline(always)]
pub fn hit(rule: RuleId, match_number: u64, packet: &Packet, bytes: u32) {
    tell(Event {
        boot_ns: 0,
        match_number,
        rule,
        about: about::PACKET,
        bytes,
        ports: u32::from(packet.local_port) << 16 | u32::from(packet.remote_port),
        remote: packet.remote,
    });
}

/// Emits a hit on a call of the current thread.
#[inline(always)]
pub fn call(rule: RuleId, match_number: u64, syscall: u32) {
    let caller = Caller {
        tgid: claim::tgid(),
        tid: caller::tid(),
        syscall,
    };
    tell(Event {
        boot_ns: 0,
        match_number,
        rule,
        about: about::CALL,
        bytes: 0,
        ports: 0,
        remote: caller.encode(),
    });
}

/// Stamps an event and hands it over.
#[inline(always)]
fn tell(mut event: Event) {
    let Some(mut entry) = INJ_EVENTS.reserve::<Event>(0) else {
        if let Some(lost) = INJ_LOST.get_ptr_mut(0) {
            // SAFETY: a per-CPU slot. Two callers on one CPU may count one loss for two, which is exact
            // enough for events that no reader gets.
            unsafe { *lost += 1 };
        }
        return;
    };
    // SAFETY: the helper has no preconditions.
    event.boot_ns = unsafe { bpf_ktime_get_boot_ns() };
    entry.write(event);
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}
