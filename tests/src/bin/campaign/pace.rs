//! How a client repeats itself, and what of it was hurt.

use injector_tests::observation::Op;

/// Slower than this is no accident of the scheduler; faults that delay do so for longer.
const SLOW_NS: u64 = 200_000_000;
/// The least that a fault of a scene adds to an operation, in nanoseconds.
const SHORTEST_FAULT_NS: u64 = 300_000_000;

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

/// As what a fault is felt. A busy machine makes anything slow, and that is no sign of a fault that slows nothing
/// down.
#[derive(Clone, Copy)]
pub(crate) enum Symptom {
    /// An operation fails, or its time is over.
    Error,
    /// An operation takes long.
    Slow,
}

impl Symptom {
    /// Whether the target has felt the fault.
    pub(crate) fn is_in(self, op: &Op) -> bool {
        match self {
            Self::Error => op.error.is_some(),
            Self::Slow => is_hurt(op),
        }
    }
}

/// Whether a target was hurt, by whatever it was.
pub(crate) fn is_hurt(op: &Op) -> bool {
    op.error.is_some() || op.took_ns > SLOW_NS
}

/// Whether a process was hurt that must not be. What took less was held up by the machine alone.
pub(crate) fn is_held_up(op: &Op) -> bool {
    op.error.is_some() || op.took_ns > SHORTEST_FAULT_NS
}
