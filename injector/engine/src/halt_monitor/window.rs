//! How fast a counter grows.

use std::{collections::VecDeque, time::Duration};

use injector_spec::quantity::duration::nanos;

/// A counter's looks within a time.
#[derive(Debug)]
pub(super) struct Window {
    span: u64,
    /// Times on the boot clock, with the counter; the oldest is at most `span` old, or the last before.
    looks: VecDeque<(u64, u64)>,
}

impl Window {
    /// One that begins now, with the counter as it stands: what came before is not ours, and what comes before
    /// the first look is.
    pub(super) fn begin(span: Duration, now: u64, total: u64) -> Self {
        Self {
            span: nanos(span),
            looks: VecDeque::from([(now, total)]),
        }
    }

    /// Takes a look in: how much the counter has grown, for each nanosecond of the span or, where the last
    /// look is longer ago, of that. A burst counts at once, and a late look is fair.
    #[expect(
        clippy::cast_precision_loss,
        reason = "no condition is about the 16th digit of a rate"
    )]
    pub(super) fn look(&mut self, now: u64, total: u64) -> f64 {
        while let [_, (second, _), ..] = self.looks.make_contiguous()
            && now.saturating_sub(*second) >= self.span
        {
            self.looks.pop_front();
        }
        let (since, before) = self.looks.front().copied().unwrap_or((now, total));
        self.looks.push_back((now, total));
        let span = now.saturating_sub(since).max(self.span).max(1);
        total.saturating_sub(before) as f64 / span as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn per_second(window: &mut Window, now: u64, total: u64) -> f64 {
        window.look(now, total) * 1e9
    }

    #[test]
    fn a_burst_counts_at_once_and_is_forgotten() {
        let mut window = Window::begin(Duration::from_secs(1), 5 * SECOND, 1_000);
        let burst = per_second(&mut window, 5 * SECOND + 50_000_000, 1_200);
        assert!((burst - 200.0).abs() < 0.1, "{burst}");
        assert!(per_second(&mut window, 6 * SECOND, 1_200) > 199.0);
        assert!(per_second(&mut window, 6 * SECOND + 60_000_000, 1_200) < 0.1);
    }

    #[test]
    fn a_late_look_is_fair() {
        let mut window = Window::begin(Duration::from_secs(1), 0, 0);
        let rate = per_second(&mut window, 4 * SECOND, 400);
        assert!((rate - 100.0).abs() < 0.1, "{rate}");
    }

    proptest! {
        /// A steady counter has its rate, whatever the pace of the looks.
        #[test]
        fn a_steady_rate_is_seen(rate in 0u32..10_000, pace_ms in 10u64..300) {
            let mut window = Window::begin(Duration::from_secs(1), 0, 0);
            let mut seen = 0.0;
            for look in 0..200 {
                let now = look * pace_ms * 1_000_000;
                seen = per_second(&mut window, now, u64::from(rate) * now / SECOND);
            }
            let expected = f64::from(rate);
            prop_assert!((seen - expected).abs() <= 2.0 + expected * 0.01, "{seen} for {rate}");
        }
    }
}
