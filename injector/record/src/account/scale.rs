//! The axes of a chart: where a time and a latency stand, and which values are written beside them.
//!
//! Latencies stand on a logarithmic scale. A fault makes an answer ten or a hundred times slower; on a linear scale
//! the baseline would then be a line on the ground.

use std::time::Duration;

use injector_spec::quantity::duration;

/// Pixels from left to right.
pub(super) const WIDTH: u32 = 900;
/// Where the plot begins and ends, from the left.
pub(super) const LEFT: u32 = 62;
pub(super) const RIGHT: u32 = 886;
/// And from above.
pub(super) const TOP: u32 = 44;
pub(super) const BOTTOM: u32 = 190;
pub(super) const HEIGHT: u32 = 214;

/// More marks than this on an axis are too many.
const MOST_MARKS: usize = 7;

/// The time axis, which all charts of an account share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeAxis {
    /// In microseconds from arming.
    from_us: i64,
    span_us: u64,
}

/// A value that is written beside an axis, and where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    /// Pixels from the left, or from above.
    pub(super) at: String,
    pub(super) text: String,
}

impl TimeAxis {
    /// The axis that has all these times.
    pub(super) fn over(times: impl IntoIterator<Item = i64>) -> Self {
        let (mut from_us, mut to_us) = (0, 0);
        for time in times {
            from_us = time.min(from_us);
            to_us = time.max(to_us);
        }
        Self {
            from_us,
            span_us: to_us.abs_diff(from_us).max(1_000),
        }
    }

    pub(super) fn end_us(&self) -> i64 {
        self.from_us.saturating_add_unsigned(self.span_us)
    }

    /// How far to the right, in tenths of a pixel; never out of the plot.
    fn tenths(&self, at_us: i64) -> u64 {
        let plot = u128::from(RIGHT - LEFT) * 10;
        let since = at_us
            .max(self.from_us)
            .abs_diff(self.from_us)
            .min(self.span_us);
        let within = u128::from(since) * plot / u128::from(self.span_us);
        u64::from(LEFT) * 10 + u64::try_from(within).unwrap_or(0)
    }

    /// Pixels from the left.
    pub(super) fn x(&self, at_us: i64) -> String {
        let tenths = self.tenths(at_us);
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    /// The column of pixels.
    pub(super) fn column(&self, at_us: i64) -> u64 {
        self.tenths(at_us) / 10
    }

    /// Times that people count in.
    pub(super) fn marks(&self) -> Vec<Mark> {
        let step = one_two_five()
            .find(|step| usize::try_from(self.span_us / step).is_ok_and(|n| n < MOST_MARKS));
        let step = i64::try_from(step.unwrap_or(u64::MAX)).unwrap_or(i64::MAX);
        let first = self.from_us.div_euclid(step).saturating_mul(step);
        let times = std::iter::successors(Some(first), |time| time.checked_add(step));
        let times = times
            .skip_while(|time| *time < self.from_us)
            .take_while(|time| *time <= self.end_us());
        let mark = |us: i64| {
            let sign = if us < 0 { "−" } else { "" };
            let text = duration::format(Duration::from_micros(us.unsigned_abs()));
            Mark {
                at: self.x(us),
                text: format!("{sign}{text}"),
            }
        };
        times.map(mark).collect()
    }
}

/// The latency axis of one chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LatencyAxis {
    /// In microseconds; both are 1, 2 or 5 times a power of ten, and at least a factor of ten apart.
    low_us: u64,
    high_us: u64,
}

impl LatencyAxis {
    /// The axis that has all these latencies, in microseconds.
    pub(super) fn over(latencies: impl IntoIterator<Item = u64>) -> Self {
        let (mut least, mut most) = (u64::MAX, 1);
        for latency in latencies {
            least = latency.clamp(1, least);
            most = latency.max(most);
        }
        let low = one_two_five().take_while(|step| *step <= least.min(most));
        let low_us = low.last().unwrap_or(1);
        let least_high = most.max(low_us.saturating_mul(10));
        let high = one_two_five().find(|step| *step >= least_high);
        Self {
            low_us,
            high_us: high.unwrap_or(u64::MAX),
        }
    }

    /// How far from above, in pixels.
    fn pixels(&self, us: u64) -> f64 {
        let (low, high) = (float(self.low_us).ln(), float(self.high_us).ln());
        let share = (float(us.clamp(self.low_us, self.high_us)).ln() - low) / (high - low);
        f64::from(BOTTOM) - share * f64::from(BOTTOM - TOP)
    }

    /// Pixels from above.
    pub(super) fn y(&self, us: u64) -> String {
        format!("{:.1}", self.pixels(us))
    }

    /// The row of pixels, as a text that equals that of the same row.
    pub(super) fn row(&self, us: u64) -> String {
        format!("{:.0}", self.pixels(us))
    }

    /// Latencies that people count in.
    pub(super) fn marks(&self) -> Vec<Mark> {
        let within: Vec<u64> = one_two_five()
            .skip_while(|step| *step < self.low_us)
            .take_while(|step| *step <= self.high_us)
            .collect();
        let is_decade = |us: u64| {
            us.checked_ilog10()
                .is_some_and(|zeros| us == 10_u64.pow(zeros))
        };
        let are_few = within.len() <= MOST_MARKS;
        let shown = within.into_iter().filter(|us| are_few || is_decade(*us));
        let mark = |us| Mark {
            at: self.y(us),
            text: duration::format(Duration::from_micros(us)),
        };
        shown.map(mark).collect()
    }
}

/// 1, 2, 5, 10, 20, ...
fn one_two_five() -> impl Iterator<Item = u64> {
    (0..19).flat_map(|zeros| [1, 2, 5].map(|first| first * 10_u64.pow(zeros)))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what is lost is far less than a pixel"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(marks: &[Mark]) -> Vec<&str> {
        marks.iter().map(|mark| mark.text.as_str()).collect()
    }

    #[test]
    fn marks_are_numbers_that_people_count_in() {
        let axis = TimeAxis::over([-500_000, 61_000_000]);
        assert_eq!(
            texts(&axis.marks()),
            ["0s", "10s", "20s", "30s", "40s", "50s", "1m"]
        );
        let axis = LatencyAxis::over([3_100, 104_000]);
        assert_eq!(
            texts(&axis.marks()),
            ["2ms", "5ms", "10ms", "20ms", "50ms", "100ms", "200ms"]
        );
        let axis = LatencyAxis::over([90, 2_000_000]);
        assert_eq!(
            texts(&axis.marks()),
            ["100us", "1ms", "10ms", "100ms", "1s"]
        );
    }

    #[test]
    fn the_ends_of_an_axis_are_the_ends_of_the_plot() {
        let axis = TimeAxis::over([0, 10_000_000]);
        assert_eq!(
            (axis.x(0), axis.x(10_000_000)),
            ("62.0".into(), "886.0".into())
        );
        let axis = LatencyAxis::over([1_000, 10_000]);
        assert_eq!(
            (axis.y(1_000), axis.y(10_000)),
            ("190.0".into(), "44.0".into())
        );
    }

    proptest! {
        #[test]
        fn all_is_within_the_plot(times: Vec<i64>, latencies: Vec<u64>, at: i64, us: u64) {
            let axis = TimeAxis::over(times);
            let within = |at: &str, low: u32, high: u32| {
                let at: f64 = at.parse().unwrap();
                (f64::from(low)..=f64::from(high)).contains(&at)
            };
            prop_assert!(within(&axis.x(at), LEFT, RIGHT));
            prop_assert!(axis.marks().len() <= MOST_MARKS + 1);
            let axis = LatencyAxis::over(latencies);
            prop_assert!(within(&axis.y(us), TOP, BOTTOM));
            prop_assert!(!axis.marks().is_empty());
        }
    }
}
