//! How a run ended, in words.

use std::fmt::{self, Display, Formatter};

use super::{HaltReport, Outcome};

impl Display for HaltReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let milliseconds = |us: u64| format!("{}.{:03} ms", us / 1_000, us % 1_000);
        let disarmed = milliseconds(self.disarmed_after_us);
        match &self.condition {
            Some(condition) => write!(
                out,
                "`{condition}`: disarmed {disarmed} after it was seen, "
            )?,
            None => out.write_str("halted: ")?,
        }
        match self.last_hit_after_us {
            Some(us) => write!(out, "last hit after {}", milliseconds(us)),
            None => out.write_str("no hit after that"),
        }
    }
}

impl Outcome {
    /// How it ended, without the reason.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::TargetEnded { .. } => "ended with its target",
            Self::Unsteady { .. } => "ended before its first fault",
            Self::GateShut { .. } => "ended at a gate",
            Self::Halted { .. } => "halted",
            Self::Failed { .. } => "failed",
        }
    }

    /// The reason, where there is one to give.
    pub const fn why(&self) -> Option<&String> {
        match self {
            Self::Completed | Self::Stopped => None,
            Self::TargetEnded { why }
            | Self::Unsteady { why }
            | Self::GateShut { why }
            | Self::Halted { why }
            | Self::Failed { why } => Some(why),
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())?;
        match self.why() {
            Some(why) => write!(out, ": {why}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{FaultReport, RunReport};
    use injector_spec::experiment::Described;

    fn sample() -> RunReport {
        let fault = |name: &str, hit, note: Option<&str>| FaultReport {
            step: "spike".into(),
            fault: name.into(),
            target: "agent".into(),
            mechanism: "delay-line".into(),
            seen: 1000,
            matched: 900,
            hit,
            missed: 0,
            connections: Vec::new(),
            reaction: None,
            plugins: None,
            note: note.map(Into::into),
            described: Described::default(),
        };
        let note = "applied, but the target never met it: it sent nothing while the fault was on";
        RunReport {
            armed_for_ms: 30_500,
            faults: vec![
                fault("net.delay", 900, None),
                fault("net.loss", 0, Some(note)),
            ],
            undo_errors: vec!["sysctl x: gone".into()],
            ..RunReport::of(
                "r000000010001".parse().unwrap(),
                "spike",
                Outcome::Completed,
            )
        }
    }

    #[test]
    fn a_halt_says_how_fast_it_was() {
        let halted = RunReport {
            halt: Some(Box::new(HaltReport {
                condition: Some("hits > 5/s over 1s".into()),
                seen_boot_ns: 7,
                disarmed_after_us: 31_007,
                last_hit_after_us: Some(900),
            })),
            fail_on: None,
            signs: None,
            undo_errors: vec![],
            ..sample()
        };
        let said =
            "`hits > 5/s over 1s`: disarmed 31.007 ms after it was seen, last hit after 0.900 ms";
        assert_eq!(halted.halt.as_ref().unwrap().to_string(), said);
        let json = serde_json::to_value(&halted).unwrap();
        assert_eq!(json["halt"]["disarmed_after_us"], 31_007);
        assert_eq!(serde_json::from_value::<RunReport>(json).unwrap(), halted);
    }

    #[test]
    fn json_is_what_scripts_rely_on() {
        let json = serde_json::to_value(sample()).unwrap();
        assert_eq!(json["outcome"], "completed");
        assert_eq!(json["armed_for_ms"], 30_500);
        assert_eq!(json["faults"][0]["note"], serde_json::Value::Null);
        assert_eq!(serde_json::from_value::<RunReport>(json).unwrap(), sample());
        let halted = Outcome::Halted {
            why: "too much".into(),
        };
        let json = serde_json::to_value(RunReport {
            outcome: halted,
            ..sample()
        })
        .unwrap();
        assert_eq!(
            (&json["outcome"], &json["why"]),
            (&"halted".into(), &"too much".into())
        );
    }
}
