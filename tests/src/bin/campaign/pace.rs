//! How a client repeats itself, and what of it was hurt.

use injector_tests::observation::Op;

/// Operations of a round and the pause between them.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    count: &'static str,
    interval: &'static str,
}

impl Pace {
    /// For ends that come at once.
    pub(crate) const QUICK: Self = Self {
        count: "60",
        interval: "5ms",
    };
    /// For ends that take until the lease is over.
    pub(crate) const LONG: Self = Self {
        count: "200",
        interval: "20ms",
    };

    /// For ends that come when the supervisor's patience is over.
    pub(crate) const LONGEST: Self = Self {
        count: "500",
        interval: "20ms",
    };

    /// As flags of a victim.
    pub(crate) fn flags(self) -> [&'static str; 8] {
        [
            "--count",
            self.count,
            "--interval",
            self.interval,
            "--timeout",
            "400ms",
            "--each",
            "--wait",
        ]
    }
}

/// As what a fault is felt. A busy machine makes anything slow: who is slow beside a fault that slows nothing
/// down was held up by the machine.
#[derive(Clone, Copy)]
pub(crate) enum Symptom {
    /// An operation fails, or its time is over.
    Error,
    /// An operation takes so many milliseconds at least, if the fault is there for all of it.
    Slow(u64),
}

impl Symptom {
    /// Whether the target has felt the fault; it may have ended in the middle of an operation.
    pub(crate) fn is_in(self, op: &Op) -> bool {
        self.is_longer(op, |all| all * 2 / 3)
    }

    /// Whether somebody has felt all of it who must not: by no other hand than the fault's.
    pub(crate) fn is_surely_in(self, op: &Op) -> bool {
        self.is_longer(op, |all| all)
    }

    fn is_longer(self, op: &Op, part: fn(u64) -> u64) -> bool {
        let is_slow = match self {
            Self::Error => false,
            Self::Slow(millis) => op.took_ns >= part(millis * 1_000_000),
        };
        op.error.is_some() || is_slow
    }
}
