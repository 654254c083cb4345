//! One target's coming and going: pure, from what each look shows to what is told.

use injector_host::targets::Sight;
use injector_spec::quantity::duration::tenths;

/// The most comings and goings that are remarked one by one.
const TOLD: usize = 6;

/// What is known of a target.
#[derive(Debug, Default)]
pub(super) struct Attendance {
    state: State,
    /// Each end, and each return, in nanoseconds after arming.
    ends: Vec<End>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It was never seen with a process in it: an empty cgroup that waits for its first one.
    #[default]
    Awaited,
    Here,
    /// Its cgroup is there, with no process in it any more.
    Empty,
    /// It is gone.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    after: u64,
    how: &'static str,
    back_after: Option<u64>,
}

/// What a look has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It has no process any more.
    Ended(&'static str),
    /// It has processes again.
    Back,
}

/// How a target ended.
const LAST_PROCESS: &str = "its last process has ended";
const REMOVED: &str = "its cgroup was removed";

impl Attendance {
    /// Takes a look in, so long after arming.
    pub(super) fn see(&mut self, sight: Sight, after: u64) -> Option<Change> {
        let (state, change) = match (self.state, sight) {
            (State::Awaited, Sight::Empty) => (State::Awaited, None),
            (State::Awaited | State::Here, Sight::Here) => (State::Here, None),
            (State::Awaited | State::Here, Sight::Removed) => {
                (State::Lost, Some(Change::Ended(REMOVED)))
            }
            (State::Awaited | State::Here, Sight::Ended) => {
                (State::Lost, Some(Change::Ended(LAST_PROCESS)))
            }
            (State::Here, Sight::Empty) => (State::Empty, Some(Change::Ended(LAST_PROCESS))),
            // It had ended, and that was told.
            (State::Empty, Sight::Empty) => (State::Empty, None),
            (State::Empty, Sight::Here) => (State::Here, Some(Change::Back)),
            // A cgroup that was lost is another one when it is back: `found` says so.
            (State::Empty, Sight::Removed | Sight::Ended)
            | (State::Lost, Sight::Here | Sight::Empty | Sight::Removed | Sight::Ended) => {
                (State::Lost, None)
            }
        };
        self.state = state;
        match change {
            None => {}
            Some(Change::Ended(how)) => self.ends.push(End {
                after,
                how,
                back_after: None,
            }),
            Some(Change::Back) => self.come_back(after),
        }
        change
    }

    /// Takes in that a lost target was found and is met again.
    pub(super) fn found(&mut self, after: u64) {
        self.state = State::Here;
        self.come_back(after);
    }

    fn come_back(&mut self, after: u64) {
        if let Some(end) = self.ends.last_mut() {
            end.back_after.get_or_insert(after);
        }
    }

    /// Whether its cgroup, or each of its processes, is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// When it ended, after arming, where it has not come back.
    pub(super) fn away_since(&self) -> Option<u64> {
        let last = self.ends.last()?;
        last.back_after.is_none().then_some(last.after)
    }

    /// One sentence for each end.
    pub(super) fn remarks(&self, name: &str) -> Vec<String> {
        let told = self.ends.iter().rev().take(TOLD).rev();
        let mut remarks: Vec<String> = told
            .map(|end| {
                let (after, how) = (tenths(end.after), end.how);
                let back = end.back_after.map_or_else(
                    || "it did not come back".to_owned(),
                    |back| format!("it was met again after {}", tenths(back)),
                );
                format!("{name} ended after {after} ({how}); {back}")
            })
            .collect();
        let more = self.ends.len().saturating_sub(TOLD);
        if more > 0 {
            remarks.insert(0, format!("{name} had ended {more} times more before that"));
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_process_that_ends_is_told_once_with_the_time() {
        let mut one = Attendance::default();
        assert_eq!(one.see(Sight::Here, 0), None);
        assert_eq!(
            one.see(Sight::Ended, SECOND),
            Some(Change::Ended(LAST_PROCESS))
        );
        assert_eq!(one.see(Sight::Ended, 2 * SECOND), None);
        assert_eq!(one.away_since(), Some(SECOND));
        assert_eq!(
            one.remarks("target agent"),
            ["target agent ended after 1.0 s (its last process has ended); it did not come back"]
        );
    }

    #[test]
    fn an_empty_cgroup_that_waits_has_not_ended() {
        let mut one = Attendance::default();
        assert_eq!(one.see(Sight::Empty, 0), None);
        assert!(one.remarks("a").is_empty());
        assert_eq!(one.see(Sight::Removed, 1), Some(Change::Ended(REMOVED)));
        assert!(one.is_lost());
    }

    #[test]
    fn a_restart_is_one_end_and_one_return() {
        let mut one = Attendance::default();
        one.see(Sight::Here, 0);
        assert!(one.see(Sight::Empty, SECOND).is_some());
        // The cgroup goes a moment after its last process.
        assert_eq!(one.see(Sight::Removed, SECOND + 1), None);
        assert!(one.is_lost());
        one.found(3 * SECOND);
        assert_eq!(one.see(Sight::Here, 4 * SECOND), None);
        assert_eq!(one.away_since(), None);
        assert_eq!(
            one.remarks("target a"),
            [
                "target a ended after 1.0 s (its last process has ended); it was met again after 3.0 s"
            ]
        );
    }

    proptest! {
        /// Whatever is seen: ends and returns take turns, and the remarks stay few.
        #[test]
        fn ends_and_returns_take_turns(
            sights in prop::collection::vec(0u8..4, 0..60),
        ) {
            let mut one = Attendance::default();
            let mut is_away = false;
            for (after, sight) in (0..).zip(sights) {
                let change = match sight {
                    0 => one.see(Sight::Here, after),
                    1 => one.see(Sight::Empty, after),
                    2 => one.see(Sight::Removed, after),
                    _ if one.is_lost() => {
                        one.found(after);
                        Some(Change::Back)
                    }
                    _ => None,
                };
                match change {
                    Some(Change::Ended(_)) => {
                        prop_assert!(!is_away);
                        is_away = true;
                    }
                    Some(Change::Back) => {
                        prop_assert!(is_away);
                        is_away = false;
                    }
                    None => {}
                }
                prop_assert_eq!(one.away_since().is_some(), is_away);
            }
            prop_assert!(one.remarks("a").len() <= TOLD + 1);
        }
    }
}
