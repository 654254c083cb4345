//! The facts of a stream of operations, beside what a judgement says of it.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use injector_spec::quantity::{count, duration};

/// What a stream of operations came to in a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationAccount {
    /// The longest that a good one took, in microseconds; absent where the baseline gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_us: Option<u64>,
    /// Bad ones by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bad: BTreeMap<String, u64>,
    /// Operations at a far end after a bad one there.
    #[serde(default)]
    pub retries: u64,
    /// The times between a bad one and its retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaps: Option<Gaps>,
    /// How many operations there were from the impact on for each that was no retry, in percent; absent where there was no
    /// retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amplification_percent: Option<u64>,
    /// What the target did first about the impact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaction: Option<Reaction>,
    /// Segments of requests that were sent again.
    #[serde(default)]
    pub resent: u64,
    /// Bytes of requests.
    #[serde(default)]
    pub sent_bytes: u64,
    /// Records that were lost; then nothing is judged.
    #[serde(default)]
    pub lost: u64,
}

/// Times in front of retries, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// The shortest.
    pub least_ms: u64,
    /// The one in the middle.
    pub median_ms: u64,
    /// The longest.
    pub most_ms: u64,
    /// What a gap is of the one before it at the same far end, in percent, the one in the middle: 100 where they stay as
    /// they are, 200 where they double. Absent where no far end was tried twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_percent: Option<u64>,
}

/// What the target did first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// So long after the impact, in milliseconds.
    pub after_ms: u64,
    /// What.
    pub what: Reacted,
}

/// What a target can do about a bad operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reacted {
    /// It tried again at the same far end.
    Retry,
    /// It turned to one that it had not met before.
    OtherFarEnd,
    /// It ended, or ended to begin again.
    TargetEnded,
}

impl Gaps {
    /// Of these times in nanoseconds, with what each is of the one before; none where there is none.
    pub(super) fn of(gaps_ns: &[u64], growths: &[u64]) -> Option<Self> {
        let mut gaps = gaps_ns.to_vec();
        gaps.sort_unstable();
        let mut growths = growths.to_vec();
        growths.sort_unstable();
        let ms = |ns: &u64| ns / 1_000_000;
        Some(Self {
            least_ms: ms(gaps.first()?),
            median_ms: ms(gaps.get(gaps.len() / 2)?),
            most_ms: ms(gaps.last()?),
            growth_percent: growths.get(growths.len() / 2).copied(),
        })
    }
}

impl Display for OperationAccount {
    /// `bad: 3 late, 1 ECONNRESET; 2 retries after 100 ms to 1 s; reacted after 300 ms by a retry; ...`, and nothing
    /// where nothing was bad.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.bad.is_empty() {
            let bad = self.bad.iter();
            let bad: Vec<String> = bad.map(|(why, number)| format!("{number} {why}")).collect();
            parts.push(format!("bad: {}", bad.join(", ")));
        }
        if let (1.., Some(gaps)) = (self.retries, self.gaps) {
            let growth = gaps.growth_percent.map_or_else(String::new, |growth| {
                format!(", each {} the one before", times(growth))
            });
            parts.push(format!(
                "{} after {} to {}{growth}",
                count(self.retries, "retry", "retries"),
                time(gaps.least_ms),
                time(gaps.most_ms)
            ));
        }
        if let Some(amplification) = self.amplification_percent {
            parts.push(format!("{} the operations", times(amplification)));
        }
        if let Some(reaction) = self.reaction {
            let how = match reaction.what {
                Reacted::Retry => "a retry",
                Reacted::OtherFarEnd => "another far end",
                Reacted::TargetEnded => "its own end",
            };
            parts.push(format!(
                "reacted {} after the impact by {how}",
                time(reaction.after_ms)
            ));
        }
        if self.resent > 0 {
            parts.push(format!(
                "{} sent again",
                count(self.resent, "segment", "segments")
            ));
        }
        out.write_str(&parts.join("; "))
    }
}

/// `x1.5`, of so many percent.
fn times(percent: u64) -> String {
    let tenths = percent.saturating_add(5) / 10;
    match tenths % 10 {
        0 => format!("x{}", tenths / 10),
        rest => format!("x{}.{rest}", tenths / 10),
    }
}

fn time(ms: u64) -> String {
    duration::measured(Duration::from_millis(ms))
}
