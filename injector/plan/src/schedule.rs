//! When the daemon starts an experiment by itself, which, and on which victim: pure arithmetic on a seed.
//!
//! Of the starts that are left to a day, each is at any second of the day's open hours that are left with the same chance,
//! and the first of them is the next. So it is drawn anew after each start and after each restart of the daemon, and the
//! starts of a day are spread over its hours nevertheless. A day with no start left, and hours that are over, lead to the
//! next day on which runs may start.
//!
//! Invariants: a start is within the hours, and a day of the wall clock has no more than its number. Whether that still
//! holds is asked again when it is due, for clocks are set and hours are changed.
//!
//! Rejected: one draw of all times of a day in the morning, which has to be kept somewhere; and a fixed interval with jitter,
//! after which people expect a failure.

use injector_common::decide::random64;
use injector_spec::config::{Day, Hours, Moment, TimeOfDay};

const SECONDS_OF_MINUTE: u32 = 60;
const MINUTES: u16 = 24 * 60;
const SECONDS: u32 = MINUTES as u32 * SECONDS_OF_MINUTE;

/// A second of the week, in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalSecond {
    /// The day.
    pub day: Day,
    /// Since its midnight, below 86400.
    pub second: u32,
}

impl LocalSecond {
    /// The minute that it is in.
    pub fn moment(self) -> Option<Moment> {
        moment(
            self.day,
            u16::try_from(self.second / SECONDS_OF_MINUTE).ok()?,
        )
    }
}

/// How many starts a day may have and has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starts {
    /// The most in a day.
    pub most: u32,
    /// Those of today.
    pub today: u32,
}

/// In how many seconds the next start is due; `None` where the hours are never open.
pub fn next_start(hours: &Hours, starts: Starts, now: LocalSecond, seed: u64) -> Option<u32> {
    let today = Day::ALL.iter().position(|day| *day == now.day)?;
    // The same day of the next week is the last that may be the first one.
    (0..=7).find_map(|ahead: u8| {
        let (left, from) = match ahead {
            0 => (starts.most.saturating_sub(starts.today), now.second),
            _ => (starts.most, 0),
        };
        let day = Day::ALL[(today + usize::from(ahead)) % Day::ALL.len()];
        let open = open_seconds(hours, day, from);
        let number = first_of(left, open, seed)?;
        let second = nth_open(hours, day, from, number)?;
        (u32::from(ahead) * SECONDS + second).checked_sub(now.second)
    })
}

/// Which of so many the seed chooses for the experiment; `None` where there are none.
pub fn draw_experiment(seed: u64, of: usize) -> Option<usize> {
    draw(random64(!seed, 1), of)
}

/// Which of so many the seed chooses for the victim; `None` where there are none.
pub fn draw_victim(seed: u64, of: usize) -> Option<usize> {
    draw(random64(!seed, 2), of)
}

fn draw(random: u64, of: usize) -> Option<usize> {
    let of = u64::try_from(of).ok()?;
    usize::try_from(random.checked_rem(of)?).ok()
}

/// The first of `left` draws among so many seconds.
fn first_of(left: u32, seconds: u32, seed: u64) -> Option<u32> {
    let draws = (0..left).map(|number| random64(seed, u64::from(number)));
    let first = draws
        .filter_map(|random| random.checked_rem(u64::from(seconds)))
        .min()?;
    u32::try_from(first).ok()
}

/// Seconds of a day from a second on at which runs may start, a minute each.
fn open_minutes(hours: &Hours, day: Day, from: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..MINUTES)
        .filter(move |minute| moment(day, *minute).is_some_and(|moment| hours.include(moment)))
        .map(move |minute| {
            let begin = u32::from(minute) * SECONDS_OF_MINUTE;
            (begin.max(from), begin + SECONDS_OF_MINUTE)
        })
        .filter(|(begin, end)| begin < end)
}

fn open_seconds(hours: &Hours, day: Day, from: u32) -> u32 {
    open_minutes(hours, day, from)
        .map(|(begin, end)| end - begin)
        .sum()
}

/// The second of the day that is the `number`-th at which runs may start, from 0.
fn nth_open(hours: &Hours, day: Day, from: u32, number: u32) -> Option<u32> {
    let mut left = number;
    for (begin, end) in open_minutes(hours, day, from) {
        if left < end - begin {
            return Some(begin + left);
        }
        left -= end - begin;
    }
    None
}

fn moment(day: Day, minute: u16) -> Option<Moment> {
    let time = TimeOfDay::new(minute / 60, minute % 60)?;
    Some(Moment { day, time })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours() -> impl Strategy<Value = Hours> {
        let time =
            || (0u16..MINUTES).prop_map(|minute| TimeOfDay::new(minute / 60, minute % 60).unwrap());
        let days = prop::sample::subsequence(Day::ALL.to_vec(), 1..=7);
        (days, time(), time()).prop_map(|(days, from, until)| Hours { days, from, until })
    }

    fn now() -> impl Strategy<Value = LocalSecond> {
        (0usize..7, 0..SECONDS).prop_map(|(day, second)| LocalSecond {
            day: Day::ALL[day],
            second,
        })
    }

    fn later(now: LocalSecond, by: u32) -> (LocalSecond, u32) {
        let second = now.second + by;
        let days = second / SECONDS;
        let today = Day::ALL.iter().position(|day| *day == now.day).unwrap();
        let day = Day::ALL[(today + days as usize) % 7];
        (
            LocalSecond {
                day,
                second: second % SECONDS,
            },
            days,
        )
    }

    proptest! {
        /// Two weeks or so of starts, each of which may last: always within the hours, never more than so many a day.
        #[test]
        fn starts_are_within_the_hours_and_so_many_a_day(
            hours in hours(), most in 1u32..20, now in now(), seed: u64,
            lasting in prop::collection::vec(0u32..20_000, 30),
        ) {
            let (mut now, mut today) = (now, 0);
            for (number, lasts) in (0..).zip(lasting) {
                let starts = Starts { most, today };
                let by = next_start(&hours, starts, now, random64(seed, number)).unwrap();
                let days;
                (now, days) = later(now, by);
                today = if days == 0 { today } else { 0 } + 1;
                prop_assert!(hours.include(now.moment().unwrap()), "{now:?}");
                prop_assert!(today <= most);
                let days;
                (now, days) = later(now, lasts);
                today = if days == 0 { today } else { 0 };
            }
        }

        #[test]
        fn the_same_seed_draws_the_same(
            hours in hours(), now in now(), seed: u64, files in 1usize..100, victims in 1usize..100,
        ) {
            let starts = Starts { most: 3, today: 1 };
            prop_assert_eq!(next_start(&hours, starts, now, seed), next_start(&hours, starts, now, seed));
            prop_assert!(draw_experiment(seed, files).unwrap() < files);
            prop_assert!(draw_victim(seed, victims).unwrap() < victims);
        }

        /// With no start left, none is due on this day.
        #[test]
        fn a_day_that_had_its_starts_is_over(hours in hours(), now in now(), seed: u64, most in 1u32..5) {
            let starts = Starts { most, today: most };
            let by = next_start(&hours, starts, now, seed).unwrap();
            prop_assert!(later(now, by).1 >= 1);
        }
    }

    /// One start in four hours: each hour has it a quarter of the time.
    #[test]
    fn a_start_is_at_any_time_of_the_hours() {
        let hours = Hours {
            from: "10:00".parse().unwrap(),
            until: "14:00".parse().unwrap(),
            ..Hours::default()
        };
        let now = LocalSecond {
            day: Day::Mon,
            second: 0,
        };
        let mut counts = [0_u32; 4];
        for seed in 0..4000 {
            let due = next_start(&hours, Starts { most: 1, today: 0 }, now, seed).unwrap();
            counts[usize::try_from(due / 3600 - 10).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| count.abs_diff(1000) < 137),
            "{counts:?}"
        );
    }

    #[test]
    fn of_none_none_is_drawn() {
        assert_eq!((draw_experiment(7, 0), draw_victim(7, 0)), (None, None));
        let counts = (0..1000)
            .filter(|seed| draw_victim(*seed, 2) == Some(0))
            .count();
        assert!((400..600).contains(&counts), "{counts}");
    }
}
