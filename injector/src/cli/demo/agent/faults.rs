//! The ten faults of the demo with agents, each a command that a person could type, and what a naive agent shows by it.

use std::time::Duration;

use injector_spec::experiment::Flaw;

use super::habit::Work;

/// Longer than any work takes without a fault that stands still; the run ends when its agent does.
const ENOUGH: &str = "20s";

/// As long as a target has to be seen waiting, and a second more.
const HELD: &str = "11500ms";

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// In the table.
    pub(super) name: &'static str,
    /// What a person would type.
    pub(super) words: &'static str,
    pub(super) work: Work,
    /// What the naive agent shows.
    pub(super) shows: &'static [Flaw],
    /// How long it is on at most.
    pub(super) duration: &'static str,
}

impl Fault {
    /// A word for what the agent works on meanwhile.
    pub(super) fn order(&self) -> String {
        self.name.replace([' ', ','], "-")
    }
}

/// Longer than a run with such a fault takes to arm, to last and to end.
pub(super) const LIMIT: Duration = Duration::from_mins(2);

const fn fault(
    name: &'static str,
    words: &'static str,
    work: Work,
    shows: &'static [Flaw],
) -> Fault {
    Fault {
        name,
        words,
        work,
        shows,
        duration: ENOUGH,
    }
}

/// All that a naive agent stumbles over, those last at which it stands still.
pub(super) const FAULTS: [Fault; 10] = [
    fault(
        "llm rate-limit",
        "llm rate-limit --retry-after 1s --max-hits 2",
        Work::Ask,
        &[Flaw::IgnoredRetryAfter],
    ),
    fault(
        "llm error 500",
        "llm error --status 500",
        Work::Ask,
        &[Flaw::RetryStorm],
    ),
    fault(
        "llm overload, mid-stream",
        "llm overload --after-tokens 2 --max-hits 1",
        Work::Ask,
        &[Flaw::GaveUp],
    ),
    fault(
        "llm cut, clean",
        "llm cut --ending clean --after-tokens 2 --max-hits 1",
        Work::Ask,
        &[Flaw::AcceptedTruncation],
    ),
    fault(
        "llm cut, dirty",
        "llm cut --ending dirty --after-tokens 2 --max-hits 1",
        Work::Ask,
        &[Flaw::GaveUp],
    ),
    fault(
        "tool corrupt, half JSON",
        "tool corrupt --damage json --max-hits 1",
        Work::Pay,
        &[Flaw::DuplicateEffect],
    ),
    fault(
        "tool is-error",
        "tool is-error",
        Work::Pay,
        &[Flaw::RetryStorm],
    ),
    fault("tool empty", "tool empty", Work::Pay, &[Flaw::NoProgress]),
    Fault {
        duration: HELD,
        ..fault(
            "llm timeout",
            "llm timeout --max-hits 1",
            Work::Ask,
            &[Flaw::Hung],
        )
    },
    Fault {
        duration: HELD,
        ..fault(
            "tool timeout",
            "tool timeout --max-hits 1",
            Work::Pay,
            &[Flaw::Hung],
        )
    },
];

/// One that means another model than the agents ask: it bites nothing, and nothing may be said.
pub(super) const QUIET: Fault = fault(
    "none that bites",
    "llm error --status 500 --model another",
    Work::Ask,
    &[],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_their_column_and_none_is_there_twice() {
        let mut names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
        assert!(
            names
                .iter()
                .all(|name| name.len() <= super::super::table::NAME)
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAULTS.len());
        for fault in FAULTS {
            assert!(!fault.shows.is_empty(), "{}", fault.name);
        }
    }
}
