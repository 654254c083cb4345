//! When a fault on processes acts: pure arithmetic on the time since it began, in nanoseconds.

use injector_spec::{
    experiment::{Interval, Kill, Pulse},
    quantity::duration::nanos,
};

/// The round of signals that is due, from 1; `None` before the first. A round that the executor did not
/// come to in time is left out: two at once would be more than was asked.
pub(super) fn round(kill: &Kill, since: u64) -> Option<u64> {
    let late = since.checked_sub(nanos(kill.after))?;
    match kill.interval {
        None => Some(1),
        Some(Interval(every)) => Some((late / nanos(every).max(1)).saturating_add(1)),
    }
}

/// The turn in which processes are to stand still, from 1; `None` while they go on.
pub(super) fn turn(pulse: Option<Pulse>, since: u64) -> Option<u64> {
    let Some(Pulse { active, dormant }) = pulse else {
        return Some(1);
    };
    let both = nanos(active).saturating_add(nanos(dormant)).max(1);
    (since % both < nanos(active)).then_some((since / both).saturating_add(1))
}

/// When the turn that goes on at `since` is over, as time since the fault began; `None` where its step ends it.
pub(super) fn end_of_turn(pulse: Option<Pulse>, since: u64) -> Option<u64> {
    let Pulse { active, dormant } = pulse?;
    let both = nanos(active).saturating_add(nanos(dormant)).max(1);
    Some((since - since % both).saturating_add(nanos(active)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use injector_spec::quantity::Signal;

    const SECOND: u64 = 1_000_000_000;

    fn kill(after: u64, interval: Option<u64>) -> Kill {
        Kill {
            signal: Signal::KILL,
            after: Duration::from_nanos(after),
            interval: interval.map(|every| Interval(Duration::from_nanos(every))),
            respawn: None,
        }
    }

    #[test]
    fn once_and_every_so_often() {
        let once = kill(SECOND, None);
        assert_eq!(round(&once, SECOND - 1), None);
        assert_eq!(round(&once, SECOND), Some(1));
        assert_eq!(round(&once, 99 * SECOND), Some(1));
        let often = kill(SECOND, Some(2 * SECOND));
        assert_eq!(round(&often, SECOND), Some(1));
        assert_eq!(round(&often, 3 * SECOND - 1), Some(1));
        assert_eq!(round(&often, 3 * SECOND), Some(2));
    }

    proptest! {
        /// Never before its time, and after it exactly one more for each interval.
        #[test]
        fn rounds_keep_their_distance(after: u32, every in 1u32.., since: u32) {
            let kill = kill(after.into(), Some(every.into()));
            let (after, every, since) = (u64::from(after), u64::from(every), u64::from(since));
            match round(&kill, since) {
                None => prop_assert!(since < after),
                Some(n) => {
                    prop_assert!(after + (n - 1) * every <= since);
                    prop_assert!(after + n * every > since);
                    prop_assert_eq!(round(&kill, since + every), Some(n + 1));
                }
            }
        }

        /// A turn is on for the first part of its period and off for the rest, whatever the number.
        #[test]
        fn turns_come_and_go(active in 1u32.., dormant in 1u32.., n in 0u64..100, at: u32) {
            let pulse = Pulse {
                active: Duration::from_nanos(active.into()),
                dormant: Duration::from_nanos(dormant.into()),
            };
            let both = u64::from(active) + u64::from(dormant);
            let at = u64::from(at) % both;
            let expected = (at < u64::from(active)).then_some(n + 1);
            prop_assert_eq!(turn(Some(pulse), n * both + at), expected);
            prop_assert_eq!(turn(None, at), Some(1));
            prop_assert_eq!(end_of_turn(Some(pulse), n * both + at), Some(n * both + u64::from(active)));
        }
    }
}
