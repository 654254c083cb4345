//! The clock that all lines of victims and of the injector are stamped with.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`).
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let nanos = now
        .tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec);
    u64::try_from(nanos).unwrap_or(0)
}
