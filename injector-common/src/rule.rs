//! A rule: one fault of one target, compiled to the record that the BPF programs read.

use crate::threshold::Threshold;

/// What a rule does to a packet or call that it hits.
pub mod action {
    /// An empty slot.
    pub const NONE: u32 = 0;
    /// Counts and does nothing else: the pattern for a new fault.
    pub const NOOP: u32 = 1;
    /// The packet is lost on the wire (loss, blackhole, partition).
    pub const LOSS: u32 = 2;
    /// One byte of the payload is changed and the checksum repaired.
    pub const CORRUPT_PAYLOAD: u32 = 3;
    /// The packet is sent twice.
    pub const DUPLICATE: u32 = 4;
    /// The packet passes through the delay line (delay, bandwidth, wire corruption).
    pub const LINE: u32 = 5;
    /// A hit overtakes the packets that the rule holds back.
    pub const REORDER: u32 = 6;
    /// A DNS query that the delay line answers, drops or lets go.
    pub const DNS: u32 = 7;
    /// `connect(2)` fails at once.
    pub const CONNECT: u32 = 8;
    /// A system call returns an errno.
    pub const FAIL: u32 = 9;
    /// A system call takes longer.
    pub const SLEEP: u32 = 10;
    /// What a system call returns is damaged.
    pub const DAMAGE: u32 = 11;
    /// The caller of a system call gets a signal.
    pub const SIGNAL: u32 = 12;
    /// A system call reads or writes less than it was asked to.
    pub const SHORTEN: u32 = 13;
    /// The connection goes through the relay.
    pub const RELAY: u32 = 14;
    /// A request inside TLS is answered in the target's own memory.
    pub const ANSWER: u32 = 15;
}

/// Bits of [`Rule::loss_model`].
pub mod loss_model {
    /// Every packet on its own, with [`super::Rule::percent`] and [`super::Rule::correlation`].
    pub const INDEPENDENT: u32 = 0;
    /// Gilbert-Elliott: two states, `gemodel` in the rule.
    pub const GILBERT_ELLIOTT: u32 = 1;
}

/// Which matched packets may be hit at all, as in `strace -e inject=...:when=first..last+step`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Number of the first, from 1.
    pub first: u64,
    /// Number of the last, inclusive.
    pub last: u64,
    /// Every so many, from 1.
    pub step: u64,
}

impl When {
    /// All of them.
    pub const ALWAYS: Self = Self {
        first: 1,
        last: u64::MAX,
        step: 1,
    };

    /// Whether the `n`-th match (from 1) may be hit.
    #[inline(always)]
    pub const fn includes(&self, n: u64) -> bool {
        n >= self.first
            && n <= self.last
            && (self.step <= 1 || (n - self.first).is_multiple_of(self.step))
    }
}

impl Default for When {
    fn default() -> Self {
        Self::ALWAYS
    }
}

/// A fault in the kernel's terms. The all-zero rule is empty and does nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// One of [`action`].
    pub action: u32,
    /// Bits of [`crate::filter::bits`].
    pub filters: u32,
    /// Share of the matched packets that are hit.
    pub percent: Threshold,
    /// How much the last random number counts in the next one, as a share of 2^32 (netem).
    pub correlation: Threshold,
    /// One of [`loss_model`].
    pub loss_model: u32,
    /// Gilbert-Elliott: good to bad, bad to good, loss in bad, loss in good.
    pub gemodel: [Threshold; 4],
    /// Reorder: one candidate after every so many packets.
    pub gap: u32,
    /// The errno that a failing call returns, positive.
    pub errno: u32,
    /// 1: each hit is told; 0: hits are counted only, which is cheaper where no reader listens.
    pub tell: u32,
    /// Which matches may be hit.
    pub when: When,
    /// The most hits; `u64::MAX` is no limit.
    pub max_hits: u64,
    /// Makes the run repeatable: the n-th match always draws the same random number.
    pub seed: u64,
}

/// Which slots of a scope are switched on, one bit a slot, for each hook family.
///
/// Slots are evaluated from bit 0 up: the planner sorts a target's faults into the documented order
/// of composition.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActiveSlots {
    /// Packets that the target sends.
    pub egress: u32,
    /// Packets that the target receives, seen at the device.
    pub ingress: u32,
    /// Packets that the target receives, seen at its socket.
    pub deliver: u32,
    /// `connect(2)` calls.
    pub connect: u32,
    /// System calls.
    pub call: u32,
    /// Requests inside TLS, at the functions of the target's own library.
    pub request: u32,
}

/// What a rule remembers between packets.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleState {
    /// Matches so far; taken with an atomic add, so each match has a number of its own.
    pub matched: u64,
    /// Tokens of the budget taken so far; may run past `max_hits`, hits never do.
    pub spent: u64,
    /// What [`crate::decide::decide`] remembers.
    pub memory: crate::decide::Memory,
}

/// Per-CPU counters of a rule.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets or calls that came from the target while the rule was on.
    pub seen: u64,
    /// Those that passed the filters.
    pub matched: u64,
    /// Those that the rule acted on.
    pub hit: u64,
    /// Those that the rule chose but could not act on; they went through unharmed.
    pub missed: u64,
    /// Bytes of the packets that the rule acted on; calls have none.
    pub bytes: u64,
    /// When the rule acted last, on the boot clock, in nanoseconds; 0 where it never did.
    pub last_hit_boot_ns: u64,
}

impl Counters {
    /// Adds another CPU's counters.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            matched: self.matched + other.matched,
            hit: self.hit + other.hit,
            missed: self.missed + other.missed,
            bytes: self.bytes + other.bytes,
            last_hit_boot_ns: if self.last_hit_boot_ns > other.last_hit_boot_ns {
                self.last_hit_boot_ns
            } else {
                other.last_hit_boot_ns
            },
        }
    }

    /// Counts a hit at this time of the boot clock.
    #[inline(always)]
    pub const fn hit_at(&mut self, boot_ns: u64) {
        self.hit += 1;
        self.last_hit_boot_ns = boot_ns;
    }
}

const _: () = assert!(size_of::<Rule>() == 88 && align_of::<Rule>() == 8);
const _: () = assert!(size_of::<RuleState>() == 24);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn when_counts_as_strace_does(
            first in 1u64..50, extra in 0u64..50, step in 1u64..10, n in 1u64..120,
        ) {
            let when = When { first, last: first + extra, step };
            let listed: Vec<u64> =
                (first..=first + extra).step_by(usize::try_from(step).unwrap()).collect();
            prop_assert_eq!(when.includes(n), listed.contains(&n));
        }
    }
}
