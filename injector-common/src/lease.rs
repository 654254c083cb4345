//! The lease: the boot-clock time until which faults may fire.
//!
//! Every program asks [`Lease::is_live`] before it acts. The watchdog thread alone renews it; a
//! daemon that is stopped, hung or starved therefore loses its faults by itself. Zero is "disarmed",
//! which is also what a fresh map holds.

/// How long a lease lasts from its last renewal, in nanoseconds.
pub const LEASE_NS: u64 = 2_000_000_000;

/// How often the watchdog renews the lease, in nanoseconds.
pub const RENEW_EVERY_NS: u64 = 250_000_000;

/// The kernel's copy of the lease.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// `CLOCK_BOOTTIME` in nanoseconds; 0 is disarmed. Suspended time counts.
    pub expires_boot_ns: u64,
}

impl Lease {
    /// Nothing may fire.
    pub const DISARMED: Self = Self { expires_boot_ns: 0 };

    /// A lease of the usual length that starts at `now`.
    pub const fn from(now_boot_ns: u64) -> Self {
        Self {
            expires_boot_ns: now_boot_ns.saturating_add(LEASE_NS),
        }
    }

    /// Whether faults may fire at `now`.
    #[inline(always)]
    pub const fn is_live(&self, now_boot_ns: u64) -> bool {
        now_boot_ns < self.expires_boot_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disarmed_lease_is_never_live() {
        assert!(!Lease::DISARMED.is_live(0));
        assert!(!Lease::default().is_live(u64::MAX));
    }

    #[test]
    fn a_lease_ends_to_the_nanosecond() {
        let lease = Lease::from(1_000);
        assert!(lease.is_live(1_000 + LEASE_NS - 1));
        assert!(!lease.is_live(1_000 + LEASE_NS));
    }
}
