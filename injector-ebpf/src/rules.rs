//! Asks every rule of a target that is switched on, in slot order, which is the documented order of
//! composition. A lost packet ends the walk: later faults never meet it.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{helpers::generated::bpf_loop, maps::lpm_trie::Key};
use injector_common::{
    RuleId, SLOTS,
    decide::decide,
    filter::{FilterKey, PREFIX_BITS, Packet, matches},
    rule::{Counters, Rule, action},
    rule_id,
};

use crate::{
    emit, gate,
    maps::{INJ_COUNTERS, INJ_FILTERS, INJ_RULES, INJ_STATE},
};

/// What is to be done with a packet or call, all rules taken together.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Verdict {
    /// 1: lost.
    pub lost: u32,
    /// The rule that damages the payload, plus one; 0 is none.
    pub corrupt: u32,
    /// 1: sent twice.
    pub duplicate: u32,
    /// 1: overtakes what its rule holds back.
    pub overtake: u32,
    /// Slots whose rules hold the packet in the delay line.
    pub line: u32,
    /// The errno that the call fails with; 0 is none.
    pub errno: u32,
    /// Slots of rules for which the connection goes through the relay, one bit each.
    pub relay: u32,
    /// Keeps the record without gaps.
    pub pad: u32,
    /// Random bits for the function that damages the payload.
    pub random: u64,
}

/// What the walk carries from rule to rule; `bpf_loop` hands it to [`ask`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Walk {
    /// Slots to ask, one bit each.
    pub mask: u32,
    /// The target.
    pub scope: u32,
    /// 1 when the packet has a payload that could be damaged.
    pub has_payload: u32,
    /// Bytes of the packet.
    pub bytes: u32,
    /// What filters see.
    pub packet: Packet,
    /// What came of it.
    pub verdict: Verdict,
}

impl Walk {
    /// One about no packet, with no rules to ask.
    pub const NOWHERE: Self = Self {
        mask: 0,
        scope: 0,
        has_payload: 0,
        bytes: 0,
        packet: Packet {
            remote: [0; 16],
            remote_port: 0,
            local_port: 0,
            transport: 0,
            is_new: 0,
        },
        verdict: Verdict::NOTHING,
    };
}

impl Verdict {
    /// Nothing is to be done.
    pub const NOTHING: Self = Self {
        lost: 0,
        corrupt: 0,
        duplicate: 0,
        overtake: 0,
        line: 0,
        errno: 0,
        relay: 0,
        pad: 0,
        random: 0,
    };
}

/// Asks the rules of the walk's scope whose slots are set in its mask.
#[inline(always)]
pub fn evaluate(walk: &mut Walk) {
    let mut context: *mut Walk = walk;
    // SAFETY: the callback has the signature that the helper asks for, and the context, which has to
    // be on the stack, outlives the call. `bpf_loop` (5.17) makes the verifier walk the rules once
    // instead of once a slot.
    unsafe {
        bpf_loop(SLOTS as u32, ask as *mut _, (&raw mut context).cast(), 0);
    }
}

/// One step of the walk: 0 goes on, 1 ends it.
extern "C" fn ask(slot: u32, context: *mut *mut Walk) -> i64 {
    // SAFETY: `bpf_loop` passes the pointer that `evaluate` gave it.
    let walk = unsafe { &mut **context };
    if walk.mask >> (slot & 31) == 0 {
        return 1;
    }
    if walk.mask >> (slot & 31) & 1 == 0 {
        return 0;
    }
    let id = rule_id(walk.scope, slot);
    let (Some(rule), Some(counters)) = (INJ_RULES.get(id), INJ_COUNTERS.get_ptr_mut(id)) else {
        return 0;
    };
    // SAFETY: a per-CPU slot that user space only reads.
    let counters = unsafe { &mut *counters };
    counters.seen += 1;
    // A packet is damaged once.
    let cannot_be_damaged = walk.has_payload == 0 || walk.verdict.corrupt != 0;
    if rule.action == action::CORRUPT_PAYLOAD && cannot_be_damaged
        || !matches(rule.filters, id, &walk.packet, contains)
    {
        return 0;
    }
    if rule.action == action::DNS {
        // Names are read and counted in user space.
        walk.verdict.line |= 1 << (slot & 31);
        return 0;
    }
    if walk.verdict.overtake != 0 && matches!(rule.action, action::REORDER | action::LINE) {
        // It overtakes whatever these would hold back.
        return 0;
    }
    counters.matched += 1;
    match take(id, rule) {
        Draw::Hit(number) => {
            apply(walk, rule, slot, number);
            if rule.action != action::CORRUPT_PAYLOAD {
                record(walk, id, rule, number, counters);
            }
        }
        Draw::Spared if rule.action == action::REORDER => walk.verdict.line |= 1 << (slot & 31),
        Draw::Spared | Draw::OutOfReach => {}
    }
    // The verifier wants to see 0 or 1 and nothing else.
    i64::from((walk.verdict.lost | walk.verdict.errno) != 0)
}

/// Counts and tells a hit.
#[inline(always)]
fn record(walk: &Walk, id: RuleId, rule: &Rule, number: u64, counters: &mut Counters) {
    counters.hit_at(gate::now());
    counters.bytes += u64::from(walk.bytes);
    if rule.tell == 0 {
        return;
    }
    emit::hit(id, number, &walk.packet, walk.bytes);
}

/// Whether the filter trie has the key.
#[inline(always)]
pub fn contains(key: &FilterKey) -> bool {
    let bits = PREFIX_BITS + key.value.len() as u32 * 8;
    INJ_FILTERS.get(Key::new(bits, *key)).is_some()
}

/// What a rule decides about a match.
pub enum Draw {
    /// It takes the fault; the number of the match.
    Hit(u64),
    /// It was lucky.
    Spared,
    /// The rule is over for it: `when` leaves it out, or the budget is spent.
    OutOfReach,
}

/// Numbers the match, draws, and pays from the budget.
#[inline(always)]
pub fn take(id: RuleId, rule: &Rule) -> Draw {
    let Some(state) = INJ_STATE.get_ptr_mut(id) else {
        return Draw::OutOfReach;
    };
    // SAFETY: the pointer is into a map value; `AcqRel` makes the compiler emit the form that
    // returns the old value, so every match has a number of its own on any number of CPUs.
    let number = unsafe {
        atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(&raw mut (*state).matched, 1)
    } + 1;
    let has_budget = rule.max_hits != u64::MAX;
    // SAFETY: the memory and the look at the budget may race with another CPU's, which `Memory` allows
    // for and which only tells the last few matches of a budget apart a moment late.
    let (hit, is_spent) = unsafe {
        (
            decide(rule, number, &mut (*state).memory),
            has_budget && (*state).spent >= rule.max_hits,
        )
    };
    if !rule.when.includes(number) || is_spent {
        return Draw::OutOfReach;
    }
    if !hit {
        return Draw::Spared;
    }
    if has_budget {
        // SAFETY: as for `matched`; the token's number is unique, so the budget is exact.
        let spent = unsafe {
            atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(&raw mut (*state).spent, 1)
        };
        if spent >= rule.max_hits {
            // Given back, for what is missed elsewhere meanwhile goes back to the budget too.
            // SAFETY: as above.
            unsafe {
                atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(
                    &raw mut (*state).spent,
                    u64::MAX,
                );
            }
            return Draw::OutOfReach;
        }
    }
    Draw::Hit(number)
}

/// Adds a hit's effect to the verdict.
#[inline(always)]
fn apply(walk: &mut Walk, rule: &Rule, slot: u32, number: u64) {
    match rule.action {
        action::LOSS => walk.verdict.lost = 1,
        action::CORRUPT_PAYLOAD => {
            walk.verdict.corrupt = rule_id(walk.scope, slot) + 1;
            // Not the number that decided the hit: the place would depend on the percentage.
            walk.verdict.random = injector_common::decide::random64(!rule.seed, number);
        }
        action::DUPLICATE => walk.verdict.duplicate = 1,
        action::REORDER => {
            walk.verdict.overtake = 1;
            // What an earlier rule of its kind would have held back overtakes too.
            walk.verdict.line = 0;
        }
        action::LINE => walk.verdict.line |= 1 << (slot & 31),
        action::CONNECT => walk.verdict.errno = rule.errno,
        action::RELAY => walk.verdict.relay |= 1 << (slot & 31),
        _ => {}
    }
}
