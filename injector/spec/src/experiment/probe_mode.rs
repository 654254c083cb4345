//! When a probe of the steady state is asked. The words are those of Litmus.

use serde::{Deserialize, Serialize};

/// When a probe is asked, and with that what it is held to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeMode {
    /// As long as the run measures: how long it was bad for is held against the recovery time objective.
    #[default]
    Continuous,
    /// In the baseline: no fault begins where it is bad.
    StartOfTest,
    /// Behind the last fault: it is right at the end.
    EndOfTest,
    /// Both of these.
    Edge,
    /// From the first fault to the last: it is never bad.
    OnFault,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No fault was on yet.
    Before,
    /// Faults are on, or will be again.
    Under,
    /// No fault will be on any more.
    After,
}

impl ProbeMode {
    /// Each of them.
    pub const ALL: [Self; 5] = [
        Self::Continuous,
        Self::StartOfTest,
        Self::EndOfTest,
        Self::Edge,
        Self::OnFault,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continuous => "continuous",
            Self::StartOfTest => "start-of-test",
            Self::EndOfTest => "end-of-test",
            Self::Edge => "edge",
            Self::OnFault => "on-fault",
        }
    }

    /// Whether it is asked while the run stands there.
    pub const fn is_asked(self, phase: Phase) -> bool {
        match (self, phase) {
            (Self::Continuous, _)
            | (Self::StartOfTest | Self::Edge, Phase::Before)
            | (Self::EndOfTest | Self::Edge, Phase::After)
            | (Self::OnFault, Phase::Under) => true,
            (Self::StartOfTest, Phase::Under | Phase::After)
            | (Self::EndOfTest, Phase::Before | Phase::Under)
            | (Self::Edge, Phase::Under)
            | (Self::OnFault, Phase::Before | Phase::After) => false,
        }
    }

    /// Whether it is the usual one.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::Continuous
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json_and_each_is_asked_some_time() {
        for mode in ProbeMode::ALL {
            let json = serde_json::to_string(&mode).unwrap();
            assert_eq!(json, format!("\"{}\"", mode.name()));
            let asked =
                [Phase::Before, Phase::Under, Phase::After].map(|phase| mode.is_asked(phase));
            assert!(asked.contains(&true), "{mode:?}");
            assert_eq!(
                asked == [true; 3],
                mode == ProbeMode::Continuous,
                "{mode:?}"
            );
        }
    }
}
