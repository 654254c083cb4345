//! The zero of an account's times: arming, on the boot clock.

use crate::journal::{Record, Replay, Stamped};

/// Where times count from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// Zero.
    boot_ns: u64,
    unix_ms: u64,
    /// Records that are older on the boot clock than the first one are of another boot.
    first_boot_ns: u64,
    is_armed: bool,
}

impl Origin {
    /// Arming, or the first record where there was none.
    pub(super) fn of(replay: &Replay) -> Self {
        let first = replay.records.first();
        let armed = replay
            .records
            .iter()
            .find(|stamped| matches!(stamped.record, Record::Armed));
        let zero = armed.or(first);
        Self {
            boot_ns: zero.map_or(0, |stamped| stamped.boot_ns),
            unix_ms: zero.map_or(0, |stamped| stamped.unix_ms),
            first_boot_ns: first.map_or(0, |stamped| stamped.boot_ns),
            is_armed: armed.is_some(),
        }
    }

    /// When the run was armed, by the wall clock.
    pub(super) fn armed_unix_ms(&self) -> Option<u64> {
        self.is_armed.then_some(self.unix_ms)
    }

    /// A time on the boot clock, in microseconds from zero.
    pub(super) fn micros(&self, boot_ns: u64) -> i64 {
        clamped((i128::from(boot_ns) - i128::from(self.boot_ns)) / 1_000)
    }

    /// When a record was written: by the boot clock, which cannot be set, and by the host's where the boot was
    /// another.
    pub(super) fn of_record(&self, stamped: &Stamped) -> i64 {
        if stamped.boot_ns >= self.first_boot_ns {
            return self.micros(stamped.boot_ns);
        }
        clamped((i128::from(stamped.unix_ms) - i128::from(self.unix_ms)) * 1_000)
    }
}

fn clamped(micros: i128) -> i64 {
    i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
}
