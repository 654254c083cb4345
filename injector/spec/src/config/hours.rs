//! When runs may start.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error};

/// `[hours]`, in local time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hours {
    /// The days on which they begin.
    #[serde(deserialize_with = "some_days")]
    pub days: Vec<Day>,
    /// From when.
    pub from: TimeOfDay,
    /// Until when, exclusive; not after `from` means on the next day.
    pub until: TimeOfDay,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Sunday, which is day 0 in C.
    Sun,
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
}

/// Minutes since midnight, 0 to 1440.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

/// A point in the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The day.
    pub day: Day,
    /// The time.
    pub time: TimeOfDay,
}

/// Why a text is no time of day.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day; write hours and minutes, as in `08:30`, up to `24:00`")]
pub struct TimeOfDayError(String);

impl Hours {
    /// Whether a run may start then.
    pub fn include(&self, moment: Moment) -> bool {
        let Moment { day, time } = moment;
        let begins = |day| self.days.contains(&day);
        if self.from < self.until {
            return begins(day) && self.from <= time && time < self.until;
        }
        // Over midnight: the evening is the day's own, the morning that of the day before.
        (begins(day) && self.from <= time) || (begins(day.before()) && time < self.until)
    }
}

impl Default for Hours {
    fn default() -> Self {
        Self {
            days: Day::ALL[1..]
                .iter()
                .chain(&Day::ALL[..1])
                .copied()
                .collect(),
            from: TimeOfDay(0),
            until: TimeOfDay(TimeOfDay::LAST),
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<_> = self.days.iter().map(|day| day.name()).collect();
        write!(
            out,
            "from {} until {} on {}",
            self.from,
            self.until,
            days.join(", ")
        )
    }
}

impl Day {
    /// All of them, in C's order (`tm_wday`).
    pub const ALL: [Self; 7] = [
        Self::Sun,
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
    ];

    /// The name in the file.
    pub const fn name(self) -> &'static str {
        ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][self as usize]
    }

    const fn before(self) -> Self {
        Self::ALL[(self as usize + 6) % 7]
    }
}

impl TimeOfDay {
    const LAST: u16 = 24 * 60;

    /// From hours and minutes of a clock.
    pub const fn new(hours: u16, minutes: u16) -> Option<Self> {
        let of_day = hours.saturating_mul(60).saturating_add(minutes);
        if minutes < 60 && of_day <= Self::LAST {
            Some(Self(of_day))
        } else {
            None
        }
    }

    /// Since midnight.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |text: &str| {
            let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| text.parse().ok()).flatten()
        };
        text.split_once(':')
            .and_then(|(hours, minutes)| Self::new(part(hours)?, part(minutes)?))
            .ok_or_else(|| TimeOfDayError(text.to_owned()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

fn some_days<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Day>, D::Error> {
    let days = Vec::<Day>::deserialize(from)?;
    if days.is_empty() {
        return Err(D::Error::custom(
            "no day is named, so nothing could ever start; name one, or stop everything with `injector halt`",
        ));
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment(day: usize, minute: u16) -> Moment {
        Moment {
            day: Day::ALL[day],
            time: TimeOfDay(minute),
        }
    }

    proptest! {
        /// The same question, asked of minutes counted from the week's beginning.
        #[test]
        fn hours_agree_with_minutes_of_the_week(
            first in 0usize..7, from in 0u16..=1440, until in 0u16..=1440,
            day in 0usize..7, minute in 0u16..1440,
        ) {
            let hours = Hours {
                days: vec![Day::ALL[first]],
                from: TimeOfDay(from),
                until: TimeOfDay(until),
            };
            let length = if from < until { until - from } else { 1440 - from + until };
            let begins = first * 1440 + usize::from(from);
            let now = day * 1440 + usize::from(minute);
            let since = (now + 7 * 1440 - begins % (7 * 1440)) % (7 * 1440);
            prop_assert_eq!(hours.include(moment(day, minute)), since < usize::from(length));
        }

        #[test]
        fn a_time_reads_back(minute in 0u16..=1440) {
            let time = TimeOfDay(minute);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn the_default_is_always(day in 0usize..7, minute in 0u16..1440) {
            prop_assert!(Hours::default().include(moment(day, minute)));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "", "8:00", "24:01", "12:60", "noon", "+1:00", "08:00 ", "99:00",
        ] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }
}
