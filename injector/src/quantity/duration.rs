//! `500ms`, `1m 30s`: for `#[serde(with)]`, and the limits that keep arithmetic on clocks safe.

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
    /// Too long.
    #[error("`{0}` is longer than a day, the longest that is accepted; check the unit")]
    TooLong(String),
}

/// Parses a duration of at most [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| DurationError::NotADuration(text.to_owned()))?;
    if duration > LONGEST {
        return Err(DurationError::TooLong(text.to_owned()));
    }
    Ok(duration)
}

/// The text that [`parse`] reads back.
pub fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Writes `500ms`.
pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&humantime::format_duration(*value))
}

/// Reads `500ms`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_unit_is_required_and_a_day_is_the_limit() {
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert_eq!(parse("24h"), Ok(LONGEST));
        assert_eq!(parse("25h"), Err(DurationError::TooLong("25h".into())));
        for text in ["", "5", "ms", "-1s", "1x"] {
            assert_eq!(parse(text), Err(DurationError::NotADuration(text.into())));
        }
    }

    proptest! {
        #[test]
        fn display_parses_back(nanoseconds in 0u64..=86_400_000_000_000) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn parsing_is_total(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
