//! The records and decisions that the BPF programs and the daemon share.
//!
//! Everything here is `no_std`, free of I/O and of clocks, so that the very code that runs in the
//! kernel also runs under unit tests, proptest and miri. The BPF side gathers inputs, calls
//! [`decide::decide`], acts and emits; it takes no decision of its own.
//!
//! Reading order: [`lease`] (may anything fire?), [`tag`] (whose socket is it?), [`rule`] (what was
//! asked?), [`filter`] (which packets?), [`call`] and [`glob`] (which system calls?), [`decide`] (does
//! this one take it?), [`flow`] and [`met`] (whose is a packet that arrives, and was it met before?), [`frame`] (what the delay line is told), [`look`] (which sockets are open?), [`operation`] (what do targets ask and when is it answered?), [`park`] (where threads sleep), [`plaintext`] (what does a target say through its connections?), [`relay`] (which connections go through a process of ours), [`rewrite`] (what is answered in a target's own memory), [`tail`] (how a classic filter reaches a program), [`event`]
//! (what is told to people).
//!
//! Layout rules: `repr(C)`, no `bool`, no enum with forbidden bit patterns, no implicit padding;
//! zero always means "no target" or "nothing", so that a fresh map is inert.
#![cfg_attr(not(test), no_std)]
#![expect(
    clippy::inline_always,
    reason = "a call costs a BPF program a frame of its 512 bytes of stack, so each has to be one function"
)]

pub mod call;
pub mod decide;
pub mod event;
mod fields;
pub mod filter;
pub mod flow;
pub mod frame;
pub mod glob;
pub mod lease;
pub mod look;
pub mod met;
pub mod operation;
pub mod park;
pub mod plaintext;
pub mod process;
pub mod relay;
pub mod rewrite;
pub mod rule;
pub mod sequence;
pub mod tag;
pub mod tail;
pub mod threshold;

/// How many targets one run may tell apart. A scope is the number of a target within its run.
pub const SCOPES: usize = 64;

/// How many faults one target may have over the whole run, all steps together.
pub const SLOTS: usize = 32;

/// The number of a rule in the kernel's tables: its scope and its slot, packed.
pub type RuleId = u32;

/// Packs a scope and a slot; both are taken modulo their table's size, so the result always is an
/// index into a table of `SCOPES * SLOTS` entries.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "both tables are small")]
pub const fn rule_id(scope: u32, slot: u32) -> RuleId {
    (scope % SCOPES as u32) * SLOTS as u32 + slot % SLOTS as u32
}

/// Marks the shared records as plain old data, so that aya may copy them to and from maps.
#[cfg(feature = "user")]
mod pod {
    macro_rules! pod {
        ($($t:ty),* $(,)?) => {
            $(
                // SAFETY: `repr(C)`, `Copy`, made of integers only, and every bit pattern is valid.
                unsafe impl aya::Pod for $t {}
            )*
        };
    }
    pod!(
        crate::lease::Lease,
        crate::look::Look,
        crate::tag::Tag,
        crate::rule::Rule,
        crate::rule::ActiveSlots,
        crate::rule::RuleState,
        crate::rule::Counters,
        crate::filter::FilterKey,
        crate::flow::Unjudged,
        crate::frame::Device,
        crate::process::ProcessKey,
        crate::process::TargetProcess,
        crate::event::Event,
        crate::call::CallRule,
        crate::call::PathKey,
        crate::call::PathEntry,
        crate::call::Pending,
        crate::park::Park,
        crate::park::Sleep,
        crate::park::Trial,
        crate::plaintext::ConnectionKey,
        crate::plaintext::TlsCall,
        crate::relay::Relay,
        crate::relay::Relayed,
        crate::rewrite::Key,
        crate::rewrite::PathEnd,
        crate::rewrite::Answer,
        crate::rewrite::Armed,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_ids_are_distinct_and_in_range() {
        let mut seen = std::collections::HashSet::new();
        for scope in 0..u32::try_from(SCOPES).unwrap() {
            for slot in 0..u32::try_from(SLOTS).unwrap() {
                let id = rule_id(scope, slot);
                assert!((id as usize) < SCOPES * SLOTS);
                assert!(seen.insert(id));
            }
        }
    }
}
