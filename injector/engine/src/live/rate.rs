//! How fast a number grows, over the last one to two seconds.

/// The shortest time that a rate is over.
const WINDOW_NS: u64 = 1_000_000_000;

/// Two looks at a number are remembered, whatever was counted.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    older: (u64, u64),
    newer: (u64, u64),
}

impl Rate {
    /// Begins at zero, at this time on a clock of nanoseconds.
    pub const fn since(now_ns: u64) -> Self {
        Self {
            older: (now_ns, 0),
            newer: (now_ns, 0),
        }
    }

    /// The rate a second, now that the number is this.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate for people has two figures"
    )]
    pub fn now(&mut self, now_ns: u64, number: u64) -> f64 {
        if now_ns.saturating_sub(self.newer.0) >= WINDOW_NS {
            self.older = self.newer;
            self.newer = (now_ns, number);
        }
        let (since, before) = self.older;
        let time = now_ns.saturating_sub(since);
        if time == 0 {
            return 0.0;
        }
        number.saturating_sub(before) as f64 * 1e9 / time as f64
    }
}
