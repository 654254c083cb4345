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
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // The boot clock starts at zero and never runs back, so neither part is negative.
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }
}
