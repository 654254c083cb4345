//! Time for the delay line: nanoseconds of `CLOCK_BOOTTIME`, so that a suspended host counts as a gap.

/// Where the worker reads the time; tests bring their own.
pub(super) trait Clock {
    /// Nanoseconds since boot, suspended time included.
    fn now(&self) -> u64;
}

/// The host's clock.
pub(super) struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> u64 {
        crate::kernel::clock::boot_ns()
    }
}
