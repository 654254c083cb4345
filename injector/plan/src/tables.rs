//! How many entries each table of an object has room for.
//!
//! The kernel makes most tables in full when they are made, and their memory cannot be swapped out: in the sizes
//! that the programs are compiled with, the largest that any run needs, they take some 17 MB for each run and
//! namespace. A run needs a fraction of that, and which one its plan says ([`crate::Plan::sizes`]).
//!
//! A table that no rule uses keeps one entry, since the kernel makes none without. Three tables grow with what is in
//! them (`BPF_F_NO_PREALLOC`): those of processes and of sleepers (`INJ_PROCESSES`, `INJ_PENDING`, `INJ_SLEEPS`), of
//! which there may be very many and nearly never are. Rejected: to let all of them grow. The others are written on
//! each call of a target, where memory that is asked for may not be there.

use injector_common::{SLOTS, frame::DEVICES, park, relay};

/// The tables' sizes; each field is in entries but for `events`, `operations` and `plaintext`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Targets: one more than the highest scope.
    pub scopes: u32,
    /// Rules: one more than the highest id.
    pub rules: u32,
    /// The same, of rules on system calls.
    pub call_rules: u32,
    /// Target processes.
    pub processes: u32,
    /// Devices that frames are given back to.
    pub devices: u32,
    /// Flows that packets which arrive are known by.
    pub flows: u32,
    /// Threads in connect(2) at once.
    pub connecting: u32,
    /// Connections to a relay, one for each port of each protocol.
    pub relayed: u32,
    /// Threads on their way through the rules on calls at once: those that run there, or were preempted.
    pub walks: u32,
    /// Threads between the two programs that decide at one place, likewise.
    pub met: u32,
    /// Threads between the hook that has decided on a sleep and the program that sleeps.
    pub pending: u32,
    /// Threads asleep.
    pub sleeps: u32,
    /// Threads whose call is being damaged.
    pub damages: u32,
    /// Threads whose vector is cut.
    pub vectors: u32,
    /// Files that rules are about.
    pub paths: u32,
    /// Bytes of the ring of hits; a power of two, and whole pages.
    pub events: u32,
    /// The same of the ring of operations.
    pub operations: u32,
    /// The same of the ring of what targets read and write.
    pub plaintext: u32,
    /// Connections on which requests are seen, and threads in calls of a TLS library.
    pub speakers: u32,
    /// Answers in a target's own memory: those that are made up, and the paths that they are for.
    pub answers: u32,
    /// Connections that wait for one, and threads in calls of a TLS library.
    pub armed: u32,
    /// Threads whose request or answer is looked at.
    pub rewrites: u32,
}

impl Sizes {
    /// The ring of hits that no reader listens to.
    pub const PAGE: u32 = 4_096;

    /// The least that a table has in which the oldest makes room (`BPF_MAP_TYPE_LRU_HASH`): such tables keep lists for
    /// each CPU.
    const FEW_FLOWS: u32 = 64;

    /// Room for nothing but one rule of one target: what a probe loads.
    pub const LEAST: Self = Self {
        scopes: 1,
        rules: 1,
        call_rules: 1,
        processes: 1,
        devices: 1,
        flows: Self::FEW_FLOWS,
        connecting: 1,
        relayed: 1,
        walks: 1,
        met: 1,
        pending: 1,
        sleeps: 1,
        damages: 1,
        vectors: 1,
        paths: 1,
        events: Self::PAGE,
        operations: Self::PAGE,
        plaintext: Self::PAGE,
        speakers: Self::FEW_FLOWS,
        answers: 1,
        armed: Self::FEW_FLOWS,
        rewrites: 1,
    };

    /// Room for self-tests: one rule after the other on the calls of one thread of ours, beside which others of this
    /// process go through the same programs.
    #[expect(clippy::cast_possible_truncation, reason = "it is a small constant")]
    pub const TRIAL: Self = Self {
        rules: SLOTS as u32,
        call_rules: SLOTS as u32,
        processes: 16,
        walks: 256,
        met: 256,
        pending: 256,
        sleeps: 256,
        damages: 256,
        vectors: 256,
        ..Self::LEAST
    };

    /// The largest that any run has.
    #[expect(clippy::cast_possible_truncation, reason = "both are small constants")]
    pub const MOST: Self = Self {
        scopes: injector_common::SCOPES as u32,
        rules: (injector_common::SCOPES * SLOTS) as u32,
        call_rules: (injector_common::SCOPES * SLOTS) as u32,
        processes: 65_536,
        devices: DEVICES as u32,
        flows: 2_048,
        connecting: 1_024,
        relayed: 2 * relay::PORTS,
        walks: 2_048,
        met: 4_096,
        pending: 16_384,
        sleeps: park::SLOTS,
        damages: 1_024,
        vectors: 1_024,
        paths: 4_096,
        events: 1 << 19,
        operations: 1 << 22,
        plaintext: 1 << 22,
        speakers: 4_096,
        answers: 8_192,
        armed: 4_096,
        rewrites: 512,
    };

    /// What `observe` takes: it has targets, and no rule.
    pub const OBSERVE: Self = Self {
        processes: 65_536,
        met: 1_024,
        plaintext: 1 << 22,
        speakers: 4_096,
        ..Self::LEAST
    };

    /// The tables by name, with their sizes. Those that are not here are small, or take memory only for what is
    /// in them.
    pub const fn tables(&self) -> [(&'static str, u32); 34] {
        [
            ("INJ_ACTIVE", self.scopes),
            ("INJ_RETRANSMITS", self.scopes),
            ("INJ_WATCHED", self.scopes),
            ("INJ_RULES", self.rules),
            ("INJ_STATE", self.rules),
            ("INJ_COUNTERS", self.rules),
            ("INJ_CALLS", self.call_rules),
            ("INJ_KILLED", self.call_rules),
            ("INJ_PROCESSES", self.processes),
            ("INJ_DEVICES", self.devices),
            ("INJ_DEVICE_AT", self.devices),
            ("INJ_FLOWS", self.flows),
            ("INJ_CONNECTING", self.connecting),
            ("INJ_RELAYED", self.relayed),
            ("INJ_WALKS", self.walks),
            ("INJ_MET", self.met),
            ("INJ_PENDING", self.pending),
            ("INJ_SLEEPS", self.sleeps),
            ("INJ_DAMAGES", self.damages),
            ("INJ_VECTORS", self.vectors),
            ("INJ_PATHS", self.paths),
            ("INJ_TRIALS", 16),
            ("INJ_EVENTS", self.events),
            ("INJ_OPERATIONS", self.operations),
            ("INJ_PLAINTEXT", self.plaintext),
            ("INJ_SPEAKERS", self.speakers),
            ("INJ_TLS_CALLS", self.speakers),
            ("INJ_PATH_ENDS", self.answers),
            ("INJ_ANSWERS", self.answers),
            ("INJ_ARMED", self.armed),
            ("INJ_REWRITE_CALLS", self.armed),
            ("INJ_REWRITES", self.rewrites),
            ("INJ_DEGRADED", self.rules),
            ("INJ_UNREADABLE", self.scopes),
        ]
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self::LEAST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel refuses a table without entries, and a ring that is no power of two of pages.
    #[test]
    fn every_size_is_one_that_the_kernel_takes() {
        for sizes in [Sizes::LEAST, Sizes::TRIAL, Sizes::OBSERVE, Sizes::MOST] {
            assert!(sizes.tables().iter().all(|(_, entries)| *entries > 0));
            for ring in [sizes.events, sizes.operations, sizes.plaintext] {
                assert!(ring.is_power_of_two() && ring >= Sizes::PAGE);
            }
        }
    }
}
