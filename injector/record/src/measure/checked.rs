//! A probe that is asked at one time of the run alone, and held to being right then.
//!
//! Such a probe has no recovery: between two of its answers there may be the whole fault. So it is no part of impact, spread and
//! times, and says one thing: in the baseline that faults may begin, behind the last fault that it is right at the end,
//! and while faults are on that it was never bad. The first is asked by [`unsteady`](super::unsteady).

use serde::{Deserialize, Serialize};

use super::{Measured, Standing, Times, bad};
use injector_spec::experiment::{Phase, ProbeMode};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The probe's name.
    pub probe: String,
    /// When it was asked.
    pub mode: ProbeMode,
    /// How many answers there were where it is judged: behind the last fault, or while faults were on.
    pub answers: u64,
    /// How many of them were bad.
    pub bad: u64,
    /// Whether the last of them was.
    pub ended_bad: bool,
}

/// What became of a probe with this mode; `None` where it is judged as a continuous one, or no fault was on.
pub(super) fn checked(one: &Measured<'_>, times: &Times) -> Option<Checked> {
    let mode = one.what.mode();
    let faults = times.faults_ns?;
    let lifted = times.lifted_ns.unwrap_or(times.ended_ns);
    let when = match mode {
        ProbeMode::Continuous => return None,
        // It has let the faults begin, which is all that it is for.
        ProbeMode::StartOfTest => 0..0,
        ProbeMode::EndOfTest | ProbeMode::Edge => lifted..u64::MAX,
        ProbeMode::OnFault => faults..lifted,
    };
    let bad = bad(&one.answers, one.what.too_many());
    let judged: Vec<bool> = one
        .answers
        .iter()
        .zip(bad)
        .filter(|(answer, _)| when.contains(&answer.begun_ns))
        .map(|(_, is_bad)| is_bad)
        .collect();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Some(Checked {
        probe: one.what.name().to_owned(),
        mode,
        answers: count(judged.len()),
        bad: count(judged.iter().filter(|is_bad| **is_bad).count()),
        ended_bad: judged.last().copied().unwrap_or_default(),
    })
}

impl Checked {
    /// How it stands to what it is for.
    pub fn standing(&self) -> Standing {
        let Self {
            probe,
            answers,
            bad,
            ..
        } = self;
        let unseen = |when| Standing::Unseen(format!("`{probe}` had no answer {when}"));
        match self.mode {
            ProbeMode::Continuous | ProbeMode::StartOfTest => Standing::Within,
            ProbeMode::EndOfTest | ProbeMode::Edge => match answers {
                0 => unseen("behind the last fault"),
                _ if self.ended_bad => {
                    Standing::Deviated(format!("`{probe}` was bad at the end of the run"))
                }
                _ => Standing::Within,
            },
            ProbeMode::OnFault => match (answers, bad) {
                (0, _) => unseen("while faults were on"),
                (_, 0) => Standing::Within,
                _ => Standing::Deviated(format!(
                    "`{probe}` was bad in {bad} of {answers} answers while faults were on"
                )),
            },
        }
    }
}

/// Whether a probe is asked in the baseline.
pub(super) const fn is_of_baseline(mode: ProbeMode) -> bool {
    mode.is_asked(Phase::Before)
}
