//! The impact of a run, and how it spread from probe to probe.
//!
//! The impact of the run is the first impact of any of its probes, those of the steady state and controls. Of each
//! probe it is told how long after that it left its steady state, or that it never did: the order of a cascade. A time
//! is known to one interval of its probe, so two probes that are closer to each other than that may have left in either order.
//! Operations that are not measurable are left out: of what was not seen, none can say when it was bad.

use serde::{Deserialize, Serialize};

use super::{Answer, Measured, Seen, Times, bad};
use injector_spec::{experiment::ProbeRole, quantity::duration::millis};

/// The impact of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    /// When, on the boot clock, in nanoseconds.
    pub at_ns: u64,
    /// From the first hit, in milliseconds.
    pub after_hit_ms: u64,
    /// Each probe: the first to leave its steady state first, and last those that never did.
    pub spread: Vec<Left>,
}

/// When a probe left its steady state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The probe's name.
    pub probe: String,
    /// What it is about.
    pub role: ProbeRole,
    /// From the impact, in milliseconds; absent where it never left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// The time is known to so many milliseconds: the longest time from one answer of the probe to the next.
    pub within_ms: u64,
}

/// The place of the first bad answer that was open at the first hit, or was asked after it.
///
/// Operations on several connections end in another order than they began, so each is looked at.
pub(super) fn first_bad(answers: &[Answer], bad: &[bool], hit: u64) -> Option<usize> {
    (0..answers.len()).find(|index| bad[*index] && answers[*index].ended_ns >= hit)
}

/// The place of the first answer, good or bad, that was open at the first hit or was asked after it.
pub(super) fn first_open(answers: &[Answer], hit: u64) -> usize {
    let open = answers.iter().position(|answer| answer.ended_ns >= hit);
    open.unwrap_or(answers.len())
}

/// What is measured, with what is asked of its answers more than once: there may be a million of them.
pub(super) struct Marked<'m> {
    pub(super) one: &'m Measured<'m>,
    /// Which of the answers are bad.
    pub(super) bad: Vec<bool>,
    /// When the first bad answer of the faults began, or the first hit, whichever is later.
    pub(super) left_ns: Option<u64>,
}

impl<'m> Marked<'m> {
    pub(super) fn of(one: &'m Measured<'m>, times: &Times) -> Self {
        let bad = bad(&one.answers, one.what.too_many());
        let left_ns = times.hit_ns.and_then(|hit| {
            let found = first_bad(&one.answers, &bad, hit)?;
            Some(one.answers[found].begun_ns.max(hit))
        });
        Self { one, bad, left_ns }
    }
}

/// The impact of a run with these probes and operations, in the order of the experiment; `None` where no probe left its steady state
/// behind the first hit.
pub(super) fn impact(marked: &[Marked<'_>], times: &Times) -> Option<Impact> {
    let hit = times.hit_ns?;
    let seen = marked
        .iter()
        .filter(|marked| marked.one.what.unmeasurable().is_none());
    let mut left: Vec<_> = seen.map(|marked| (marked.left_ns, marked.one)).collect();
    let at_ns = left.iter().filter_map(|(at, _)| *at).min()?;
    left.sort_by_key(|(at, _)| at.unwrap_or(u64::MAX));
    let spread = left.into_iter().map(|(at, one)| Left {
        probe: one.what.name().to_owned(),
        role: one.what.role(),
        after_ms: at.map(|at| at.saturating_sub(at_ns) / 1_000_000),
        within_ms: match one.what.seen() {
            // Each operation is seen: its time is known to the millisecond.
            Seen::Everything => 0,
            Seen::Asked(pace) => millis(pace),
        },
    });
    Some(Impact {
        at_ns,
        after_hit_ms: at_ns.saturating_sub(hit) / 1_000_000,
        spread: spread.collect(),
    })
}
