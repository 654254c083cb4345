//! `500ms`, `1m 30s`: for `#[serde(with)]`, and the limits that keep arithmetic on clocks safe.
//!
//! [`format`] is exact, for what is read back; [`measured`] rounds what a clock has said, for people.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// The longest time that a fault may last or hold a packet: anything longer is a mistyped unit.
pub const LONGEST: Duration = Duration::from_hours(24);

/// Why a text is no duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not the grammar.
    #[error("`{0}` is not a duration; write a number and a unit, as in `500ms`, `30s` or `1m 30s`")]
    NotADuration(String),
    /// A number alone.
    #[error("`{0}` has no unit; write `{0}s` for seconds or `{0}ms` for milliseconds")]
    NoUnit(String),
    /// Below zero.
    #[error("`{0}` is below zero, and no time is; write one as in `30s`")]
    Negative(String),
    /// Too long.
    #[error("`{0}` is longer than a day, the longest that is accepted; check the unit")]
    TooLong(String),
}

/// Parses a duration of at most [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let duration = parse_any(text)?;
    if duration > LONGEST {
        return Err(DurationError::TooLong(text.trim().to_owned()));
    }
    Ok(duration)
}

/// Parses a duration that the injector does not wait for, and that may be long.
pub fn parse_any(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let owned = || text.to_owned();
    let is_number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number(text) && !text.starts_with(['-', '+']) && text != "0" {
        return Err(DurationError::NoUnit(owned()));
    }
    let below = text.strip_prefix('-');
    if below.is_some_and(|rest| is_number(rest) || humantime::parse_duration(rest).is_ok()) {
        return Err(DurationError::Negative(owned()));
    }
    humantime::parse_duration(text).map_err(|_| DurationError::NotADuration(owned()))
}

/// The units, with their nanoseconds; the last is the first that takes decimal places.
const WHOLE: [(&str, u128); 3] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
];
const BROKEN: [(&str, u128); 3] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];

/// The text that [`parse`] reads back as the same: `1d`, `1m 30s`, `5.071s`, `500ms`.
pub fn format(duration: Duration) -> String {
    let mut rest = duration.as_nanos();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut parts = Vec::new();
    for (unit, size) in WHOLE {
        if rest >= size {
            parts.push(format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if rest > 0 {
        // Behind minutes a few milliseconds are a fraction of a second, not a word of their own.
        let smallest = if parts.is_empty() { BROKEN.len() } else { 1 };
        let fits = BROKEN[..smallest].iter().find(|(_, size)| rest >= *size);
        parts.push(match fits.or(BROKEN[..smallest].last()) {
            Some((unit, size)) if rest >= *size || smallest == 1 => decimal(rest, *size, unit),
            _ => format!("{rest}ns"),
        });
    }
    parts.join(" ")
}

/// The number of units with as many decimal places as it has.
fn decimal(ns: u128, size: u128, unit: &str) -> String {
    let (whole, fraction) = (ns / size, ns % size);
    if fraction == 0 {
        return format!("{whole}{unit}");
    }
    let places = size.ilog10() as usize;
    let digits = format!("{fraction:0places$}");
    format!("{whole}.{}{unit}", digits.trim_end_matches('0'))
}

/// A time that was measured, to three figures: `5.07s`, `71ms`, `1m 30s`.
pub fn measured(duration: Duration) -> String {
    let ns = duration.as_nanos();
    // From a minute on, whole seconds; below, three figures.
    let step = if ns >= WHOLE[2].1 {
        BROKEN[0].1
    } else {
        10u128.pow(ns.checked_ilog10().unwrap_or(0).saturating_sub(2))
    };
    let rounded = ns.saturating_add(step / 2) / step * step;
    format(Duration::from_nanos_u128(rounded.min(u128::from(u64::MAX))))
}

/// In nanoseconds, as clocks of the kernel count; the most that fits where it is longer.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A time in whole milliseconds, as records have it; the longest that they can have where it is longer.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A time in nanoseconds for people, in tenths of a second: `1.3 s`.
pub fn tenths(nanoseconds: u64) -> String {
    let tenths = nanoseconds.saturating_add(50_000_000) / 100_000_000;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// Writes `500ms`.
pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format(*value))
}

/// Reads `500ms`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// The same of a time that may be absent, for `#[serde(with)]`.
pub mod optional {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer};

    /// Writes `500ms`, or nothing.
    pub fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    /// Reads `500ms`, or nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| super::parse(&text).map_err(D::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_clock_cannot_count_is_its_longest_time() {
        assert_eq!(nanos(Duration::new(2, 5)), 2_000_000_005);
        assert_eq!(nanos(Duration::from_nanos(u64::MAX)), u64::MAX);
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }

    #[test]
    fn times_are_rounded_to_tenths() {
        assert_eq!(tenths(0), "0.0 s");
        assert_eq!(tenths(1_280_000_000), "1.3 s");
        assert_eq!(tenths(61_000_000_000), "61.0 s");
    }

    #[test]
    fn a_unit_is_required_and_a_day_is_the_limit() {
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert_eq!(parse("24h"), Ok(LONGEST));
        assert_eq!(parse(" 1 m 30 s "), Ok(Duration::from_secs(90)));
        assert_eq!(parse("25h"), Err(DurationError::TooLong("25h".into())));
        assert_eq!(parse("5"), Err(DurationError::NoUnit("5".into())));
        for text in ["-1s", "-1", "-1m 30s"] {
            assert_eq!(parse(text), Err(DurationError::Negative(text.into())));
        }
        for text in ["", "ms", "1x", "--1s", "inf", "NaN"] {
            assert_eq!(parse(text), Err(DurationError::NotADuration(text.into())));
        }
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        for (ns, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5us"),
            (500_000_000, "500ms"),
            (5_071_000_000, "5.071s"),
            (90_000_000_000, "1m 30s"),
            (3_600_000_500_000, "1h 0.0005s"),
            (86_400_000_000_000, "1d"),
        ] {
            assert_eq!(format(Duration::from_nanos(ns)), text);
        }
        for (ms, text) in [
            (5_071, "5.07s"),
            (71, "71ms"),
            (30_549, "30.5s"),
            (59_999, "1m"),
            (90_499, "1m 30s"),
            (86_400_004, "1d"),
        ] {
            assert_eq!(measured(Duration::from_millis(ms)), text);
        }
        assert_eq!(measured(Duration::ZERO), "0s");
        assert!(!measured(Duration::MAX).is_empty());
    }

    /// Journals and configurations of earlier versions have it so.
    #[test]
    fn what_was_written_before_is_read() {
        assert_eq!(parse("5s 71ms"), Ok(Duration::from_millis(5_071)));
        assert_eq!(parse("1day"), Ok(LONGEST));
        assert_eq!(parse("1h 5s 3us"), Ok(Duration::from_micros(3_605_000_003)));
    }

    proptest! {
        #[test]
        fn display_parses_back(nanoseconds in 0u64..=86_400_000_000_000) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        /// Where numbers are short, which is where people are.
        #[test]
        fn short_numbers_parse_back(number in 0u64..5_000, zeros in 0u32..11) {
            let duration = Duration::from_nanos(number * 10u64.pow(zeros)).min(LONGEST);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn what_is_measured_is_near(ms in 1u64..86_000_000) {
            let duration = Duration::from_millis(ms);
            let near = parse(&measured(duration)).unwrap();
            prop_assert!(near.abs_diff(duration) <= (duration / 100).min(Duration::from_millis(500)).max(Duration::from_micros(1)));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*|[-+]?[0-9.e]{0,9}[a-z ]{0,3}") {
            let _ = parse(&text);
        }
    }
}
