//! The calls of one client in one phase, in numbers.

use std::{collections::BTreeMap, time::Duration};

use super::part::Call;

/// What one client met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// All calls that ended.
    pub(super) calls: usize,
    /// Those that failed, by errno.
    pub(super) failed: BTreeMap<i32, usize>,
    /// The median of those that were answered; none where none was.
    pub(super) median: Option<Duration>,
}

impl Figures {
    /// Counts calls.
    pub(super) fn of(calls: impl Iterator<Item = Call>) -> Self {
        let mut figures = Self::default();
        let mut answered = Vec::new();
        for call in calls {
            figures.calls += 1;
            match call {
                Call::Answered(after) => answered.push(after),
                Call::Failed(errno) => *figures.failed.entry(errno).or_default() += 1,
            }
        }
        answered.sort_unstable();
        figures.median = answered.get(answered.len() / 2).copied();
        figures
    }

    /// How many failed, whatever the reason.
    pub(super) fn failures(&self) -> usize {
        self.failed.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_failures_are_counted_apart() {
        let answered = |millis| Call::Answered(Duration::from_millis(millis));
        let calls = [
            answered(9),
            Call::Failed(5),
            answered(1),
            answered(2),
            Call::Failed(5),
        ];
        let figures = Figures::of(calls.into_iter());
        assert_eq!((figures.calls, figures.failures()), (5, 2));
        assert_eq!(figures.median, Some(Duration::from_millis(2)));
        assert_eq!(Figures::of([].into_iter()).median, None);
    }
}
