//! Parameters that cannot take effect as asked in the time that a fault has, told before the run.
//!
//! What has no effect at all is refused ([`Fault::check_in`]); what is cut short is told, and counted where
//! something counts it.

use std::time::Duration;

use super::Fault;
use crate::quantity::duration::format;

/// The time that a fault has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How long it is on: its step.
    pub on: Duration,
    /// From when it is switched on to the end of the run, when everything that is held is let go.
    pub left: Duration,
}

/// A fault that is over before it has begun.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// No signal would be sent.
    #[error(
        "`proc.kill` would send its first signal after {}, and its step is over after {}; make `after` shorter, \
         or the step longer", format(*after), format(*on)
    )]
    NeverSent {
        /// When it would be sent.
        after: Duration,
        /// When the step is over.
        on: Duration,
    },
    /// Nothing would be done.
    #[error(
        "`{fault}` would act after {}, and its step is over after {}; set a shorter time, or make the step longer",
        format(*after), format(*on)
    )]
    NeverDue {
        /// The fault.
        fault: &'static str,
        /// When it would act first.
        after: Duration,
        /// When the step is over.
        on: Duration,
    },
}

/// What is to be said of a fault's times, in the time that it has.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    /// Why it has no effect at all.
    pub refused: Option<TimingError>,
    /// What is cut short, a sentence each.
    pub remarks: Vec<String>,
}

impl Timing {
    /// An effect, with these remarks.
    pub(crate) fn remarks(remarks: impl IntoIterator<Item = String>) -> Self {
        Self {
            refused: None,
            remarks: remarks.into_iter().collect(),
        }
    }
}

impl Fault {
    /// Refuses a fault that has no effect in its step.
    pub(super) fn check_in(&self, on: Duration) -> Result<(), TimingError> {
        let span = Span { on, left: on };
        let Timing { refused, .. } = self.kind.definition().timing(span);
        refused.map_or(Ok(()), Err)
    }

    /// What a person should know about its times, in the time that it has.
    pub fn remarks_in(&self, span: Span) -> Vec<String> {
        self.kind.definition().timing(span).remarks
    }
}

/// Packets that are still held when the run is over.
pub(crate) fn held(longest: Duration, usual: Duration, left: Duration) -> Option<String> {
    let (usual, left_shown) = (format(usual), format(left));
    if longest <= left {
        return None;
    }
    Some(format!(
        "no packet is held longer than the run, which is over after {left_shown}: of {usual}, what is held then \
         is let go at once, and counted"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::FaultInFile;
    use clap::Parser;

    fn remarks(line: &str, seconds: u64) -> String {
        let parsed = FaultInFile::try_parse_from(line.split_whitespace()).unwrap();
        let (fault, _) = parsed.split();
        let on = Duration::from_secs(seconds);
        fault.remarks_in(Span { on, left: on }).join("; ")
    }

    #[test]
    fn what_is_longer_than_the_run_is_told() {
        for (line, part) in [
            (
                "net delay --latency 5m",
                "the run, which is over after 30s: of 5m",
            ),
            (
                "net delay --latency 29s --jitter 2s",
                "let go at once, and counted",
            ),
            ("net reorder --percent 5% --latency 1m", "of 1m"),
            (
                "net bandwidth --rate 100bit",
                "a packet of 1500 bytes takes 2m 1s",
            ),
            (
                "sys delay --syscall read --delay-enter 40s --chain",
                "a call would sleep for 40s",
            ),
            ("pipe delay --latency 31s", "who sleeps then is woken"),
            ("proc kill --interval 30s", "they are sent once"),
            (
                "proc pause --active 20s --dormant 10s",
                "stand still once, for 20s",
            ),
            (
                "proc pause --active 1m --dormant 10s",
                "stand still once, for 30s",
            ),
        ] {
            let told = remarks(line, 30);
            assert!(told.contains(part), "{line}: {told}");
        }
        for line in [
            "net delay --latency 30s",
            "net bandwidth --rate 1kbit",
            "io latency --path /x --latency 5s",
            "proc kill --after 1s --interval 2s",
            "proc pause --active 2s --dormant 8s",
            "pipe stall",
            "net blackhole",
        ] {
            assert_eq!(remarks(line, 30), "", "{line}");
        }
    }

    #[test]
    fn jitter_that_is_cut_moves_the_mean() {
        let mean = remarks("net delay --latency 50ms --jitter 100ms", 30);
        assert!(mean.ends_with("so the mean is 56.3ms"), "{mean}");
        let above = remarks(
            "net delay --latency 50ms --jitter 40ms --distribution normal",
            30,
        );
        assert!(above.ends_with("so the mean is above 50ms"), "{above}");
        assert_eq!(remarks("net delay --latency 50ms --jitter 50ms", 30), "");
        assert_eq!(
            remarks(
                "net delay --latency 50ms --jitter 70ms --distribution pareto",
                30
            ),
            ""
        );
        let sleep = remarks("io latency --path /x --latency 5ms --jitter 6ms", 30);
        assert!(sleep.contains("the mean is above 5ms"), "{sleep}");
    }

    #[test]
    fn a_signal_that_is_never_sent_is_refused() {
        let kill = |line: &str| {
            let parsed = FaultInFile::try_parse_from(line.split_whitespace()).unwrap();
            parsed.split().0.check_in(Duration::from_secs(30))
        };
        assert!(kill("proc kill --after 30s").is_err());
        assert_eq!(kill("proc kill --after 29s"), Ok(()));
        assert_eq!(kill("proc pause"), Ok(()));
    }
}
