//! Parameters that cannot take effect as asked in the time that a fault has, told before the run.
//!
//! What has no effect at all is refused ([`Fault::check_in`]); what is cut short is told, and counted where
//! something counts it.

use std::time::Duration;

use super::{Distribution, Fault, FaultKind, Interval, Pulse};
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
}

/// A packet as most links take it, in bits (1500 bytes and an Ethernet header).
const PACKET_BITS: u64 = 1514 * 8;

impl Fault {
    /// Refuses a fault that has no effect in its step.
    pub(super) fn check_in(&self, on: Duration) -> Result<(), TimingError> {
        match &self.kind {
            FaultKind::Kill(kill) if kill.after >= on => Err(TimingError::NeverSent {
                after: kill.after,
                on,
            }),
            _ => Ok(()),
        }
    }

    /// What a person should know about its times, in the time that it has.
    pub fn remarks_in(&self, span: Span) -> Vec<String> {
        let Span { on, left } = span;
        let mut remarks = Vec::new();
        match &self.kind {
            FaultKind::Delay(delay) => {
                let (latency, jitter) = (delay.latency, delay.jitter);
                remarks.extend(held(latency.saturating_add(jitter), latency, left));
                remarks.extend(cut(latency, jitter, delay.distribution));
            }
            FaultKind::Reorder { latency, .. } | FaultKind::DnsDelay { latency, .. } => {
                remarks.extend(held(*latency, *latency, left));
            }
            FaultKind::Bandwidth(rate) => {
                let bits = rate.bits_per_second().get();
                let ns = u128::from(PACKET_BITS) * 1_000_000_000 / u128::from(bits);
                let takes = Duration::from_nanos_u128(ns.min(u128::from(u64::MAX)));
                if takes > left {
                    remarks.push(format!(
                        "a packet of 1500 bytes takes {} at this rate, and the run is over after {}; what waits \
                         then is let go at once",
                        crate::quantity::duration::measured(takes),
                        format(left)
                    ));
                }
            }
            FaultKind::SysDelay(delay)
            | FaultKind::IoLatency(delay)
            | FaultKind::PipeDelay(delay) => {
                if delay.length > left {
                    remarks.push(format!(
                        "a call would sleep for {}, and the run is over after {}; who sleeps then is woken",
                        format(delay.length),
                        format(left)
                    ));
                }
                if delay.jitter > delay.length {
                    remarks.push(format!(
                        "jitter {} is more than {}: sleeps below zero are none, so the mean is above {}",
                        format(delay.jitter),
                        format(delay.length),
                        format(delay.length)
                    ));
                }
            }
            FaultKind::Kill(kill) => {
                if let Some(Interval(every)) = kill.interval
                    && kill.after.saturating_add(every) >= on
                {
                    remarks.push(format!(
                        "the step is over after {}, before a second round of signals; they are sent once",
                        format(on)
                    ));
                }
            }
            FaultKind::Pause(pause) => {
                if let Some(Pulse { active, dormant }) = pause.pulse
                    && active.saturating_add(dormant) >= on
                {
                    remarks.push(format!(
                        "the step is over after {}, before a second turn; processes stand still once, for {}",
                        format(on),
                        format(active.min(on))
                    ));
                }
            }
            // `at-most` is a bound, and a stall ends with its fault by what it is.
            FaultKind::PipeStall(_)
            | FaultKind::Noop
            | FaultKind::Loss(_)
            | FaultKind::Corrupt(_)
            | FaultKind::Duplicate
            | FaultKind::Blackhole
            | FaultKind::Partition { .. }
            | FaultKind::Reset
            | FaultKind::Connect(_)
            | FaultKind::Dns { .. }
            | FaultKind::KillAtCall(_)
            | FaultKind::Starve(_)
            | FaultKind::SysError(_)
            | FaultKind::IoError(_)
            | FaultKind::IoCorrupt(_)
            | FaultKind::IoShort(_)
            | FaultKind::PipeError(_)
            | FaultKind::PipeCorrupt(_) => {}
        }
        remarks
    }
}

/// Packets that are still held when the run is over.
fn held(longest: Duration, usual: Duration, left: Duration) -> Option<String> {
    let (usual, left_shown) = (format(usual), format(left));
    if longest <= left {
        return None;
    }
    Some(format!(
        "no packet is held longer than the run, which is over after {left_shown}: of {usual}, what is held then \
         is let go at once, and counted"
    ))
}

/// Jitter that would have packets arrive before they were sent.
fn cut(latency: Duration, jitter: Duration, shape: Distribution) -> Option<String> {
    let (mean, deviation) = (latency.as_secs_f64(), jitter.as_secs_f64());
    let cut = "a delay below zero is none";
    // How far below the mean a delay may stray, in units of the jitter (`delay_line/distribution.rs`).
    let (reach, moved) = match shape {
        Distribution::Uniform => (1.0, (mean + deviation).powi(2) / (4.0 * deviation)),
        Distribution::Normal => (4.0, f64::NAN),
        Distribution::Pareto => (2.0 / 3.0, f64::NAN),
    };
    // A bell's far tail moves nothing that a measurement shows.
    let felt = match shape {
        Distribution::Normal => 2.0,
        Distribution::Uniform | Distribution::Pareto => reach,
    };
    if deviation * felt <= mean || jitter.is_zero() {
        return None;
    }
    let (jitter, latency) = (format(jitter), format(latency));
    Some(if moved.is_finite() {
        let moved = crate::quantity::duration::measured(Duration::from_secs_f64(moved));
        format!("jitter {jitter} is more than latency {latency}: {cut}, so the mean is {moved}")
    } else {
        format!(
            "jitter {jitter} reaches below latency {latency}: {cut}, so the mean is above {latency}"
        )
    })
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
