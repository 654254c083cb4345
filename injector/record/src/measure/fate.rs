//! What became of one probe under the faults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Answer, CALM_ANSWERS, CALM_TIME, Times, spread};
use injector_spec::quantity::duration::{self, millis, nanos};

/// What a probe is held against.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The recovery time objective.
    pub rto: Duration,
    /// What is seen.
    pub seen: Seen,
}

/// How much of what a target does is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What is asked; the longest time from one answer to the next.
    Asked(Duration),
    /// All of it.
    Everything,
}

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Fate {
    /// No fault hit anything, so nothing was shown.
    NotMet,
    /// Faults hit, and no answer was bad.
    Absorbed,
    /// Good again while the faults were still on, in time.
    Adapted(Recovery),
    /// Good again after the faults were off, in time.
    Recovered(Recovery),
    /// Good again, and later than the objective.
    Late(Recovery),
    /// Not good again for longer than the objective, as far as the run could see.
    Never {
        /// For at least so long, in milliseconds: the run's end is not the target's.
        at_least_ms: u64,
    },
    /// The answers do not tell.
    NotMeasurable {
        /// Why not.
        why: String,
    },
}

/// How long it took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// From the first hit to the impact.
    pub impact_after_ms: u64,
    /// From the impact to the recovery: the RTA.
    pub rta_ms: u64,
    /// The RTA is not shorter.
    pub least_ms: u64,
    /// The RTA is not longer.
    pub most_ms: u64,
    /// From when the last fault was off; absent where the recovery came before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_lift_ms: Option<u64>,
}

impl Fate {
    /// How long the recovery took, where there was one.
    pub const fn recovery(&self) -> Option<&Recovery> {
        match self {
            Self::Adapted(recovery) | Self::Recovered(recovery) | Self::Late(recovery) => {
                Some(recovery)
            }
            Self::NotMet | Self::Absorbed | Self::Never { .. } | Self::NotMeasurable { .. } => None,
        }
    }
}

/// Judges the answers, in the order in which they were asked; `bad` says which of them are bad.
pub fn fate(answers: &[Answer], bad: &[bool], times: &Times, rule: Rule) -> Fate {
    let (Some(hit), Some(lifted)) = (times.hit_ns, times.lifted_ns) else {
        return Fate::NotMet;
    };
    let Some(impact) = spread::first_bad(answers, bad, hit) else {
        let first = spread::first_open(answers, hit);
        return unhurt(&answers[first..], hit, lifted, times, rule);
    };
    let since = answers[impact].begun_ns.max(hit);
    let Some(found) = recovery(answers, bad, impact, times.ended_ns) else {
        return unrecovered(answers, bad, since, times, rule);
    };
    let ms = |from: u64, to: u64| to.saturating_sub(from) / 1_000_000;
    let good_before = impact
        .checked_sub(1)
        .map_or(hit, |index| answers[index].begun_ns);
    let recovered = answers[found].begun_ns;
    let rta_ms = ms(since, recovered);
    let (least_ms, most_ms) = match rule.seen {
        Seen::Everything => (rta_ms, rta_ms),
        Seen::Asked(_) => (
            ms(since, answers[found - 1].begun_ns),
            // A begun millisecond counts: a bound must not be too low.
            ms(good_before.max(hit), answers[found].ended_ns) + 1,
        ),
    };
    let took = Recovery {
        impact_after_ms: ms(hit, since),
        rta_ms,
        least_ms,
        most_ms,
        after_lift_ms: (recovered >= lifted).then(|| ms(lifted, recovered)),
    };
    let rto = millis(rule.rto);
    match took.after_lift_ms {
        _ if took.least_ms > rto => Fate::Late(took),
        _ if took.most_ms > rto => Fate::NotMeasurable {
            why: format!(
                "it took between {} and {}, and the objective of {} lies between the two; ask more often",
                time(took.least_ms),
                time(took.most_ms),
                duration::measured(rule.rto)
            ),
        },
        None => Fate::Adapted(took),
        Some(_) => Fate::Recovered(took),
    }
}

/// No answer was bad: whether there were enough of them to say so.
fn unhurt(answers: &[Answer], hit: u64, lifted: u64, times: &Times, rule: Rule) -> Fate {
    let under_fault = answers.iter().any(|answer| answer.begun_ns < lifted);
    if !under_fault {
        let why = match rule.seen {
            Seen::Asked(_) => {
                "no answer came while the faults were on; let them last longer, or ask more often"
            }
            Seen::Everything => {
                "the target had no operation while the faults were on; let them last longer, or let it do more"
            }
        };
        return Fate::NotMeasurable { why: why.into() };
    }
    // What was not looked at for longer than the objective could have been lost for as long.
    let asked = answers.iter().map(|answer| answer.begun_ns);
    let seen: Vec<u64> = [hit]
        .into_iter()
        .chain(asked)
        .chain([times.ended_ns])
        .collect();
    let gaps = seen.windows(2).map(|two| two[1].saturating_sub(two[0]));
    let longest = Duration::from_nanos(gaps.max().unwrap_or_default());
    let silence = match rule.seen {
        Seen::Asked(pace) if longest > rule.rto.max(pace) => {
            "no question was asked for {}; look for what kept this host from asking"
        }
        Seen::Everything if longest > rule.rto => {
            "the target had no operation for {}; let it do more, or raise `rto`"
        }
        Seen::Asked(_) | Seen::Everything => return Fate::Absorbed,
    };
    Fate::NotMeasurable {
        why: silence.replace("{}", &duration::measured(longest)),
    }
}

/// The first good answer after the impact that opens a calm.
fn recovery(answers: &[Answer], bad: &[bool], impact: usize, ended: u64) -> Option<usize> {
    let mut opens = None;
    for index in impact + 1..=answers.len() {
        let is_bad = bad.get(index).copied().unwrap_or(true);
        match opens {
            None if !is_bad => opens = Some(index),
            Some(first) if is_bad => {
                let until = answers.get(index).map_or(ended, |answer| answer.begun_ns);
                let lasted = until.saturating_sub(answers[first].begun_ns);
                let is_calm = index - first >= CALM_ANSWERS as usize && lasted >= nanos(CALM_TIME);
                if is_calm {
                    return Some(first);
                }
                opens = None;
            }
            None | Some(_) => {}
        }
    }
    None
}

/// There was no calm after the impact: whether that says that there never was a recovery.
fn unrecovered(answers: &[Answer], bad: &[bool], since: u64, times: &Times, rule: Rule) -> Fate {
    // Good answers at the very end may be the beginning of a calm.
    let last_bad = bad.iter().rposition(|is_bad| *is_bad).unwrap_or_default();
    let is_good_at_end = last_bad + 1 < answers.len();
    let until = if is_good_at_end {
        answers[last_bad].begun_ns
    } else {
        times.ended_ns
    };
    let lost = Duration::from_nanos(until.saturating_sub(since));
    if lost > rule.rto {
        return Fate::Never {
            at_least_ms: millis(lost),
        };
    }
    let lost = duration::measured(lost);
    let why = if is_good_at_end {
        format!(
            "it was good again after {lost}, and was not watched for long enough to say that it stays so; let the recovery last longer"
        )
    } else {
        format!(
            "it was bad until the end, {lost} after the impact, which is within the objective; let the recovery last longer"
        )
    };
    Fate::NotMeasurable { why }
}

fn time(ms: u64) -> String {
    duration::measured(Duration::from_millis(ms))
}
