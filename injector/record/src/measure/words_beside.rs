//! What is measured beside recoveries, in words: the spread of the impact, the detection, the ledgers.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use super::{
    Checked, Detected, Detection, Impact, Judgement, Left, Quality, Reached, Reconciliation, Rpa,
    loss::{Age, Loss, TOLD, shortened},
    quality,
};
use injector_spec::{
    experiment::{ProbeMode, ProbeRole},
    quantity::duration,
};

impl Judgement {
    /// A line for each: the spread where several probes left their steady state, the probes that are asked at one time, the
    /// answers on the whole, the detection, the ledgers. They are not escaped.
    pub fn beside(&self) -> Vec<String> {
        let spread = self.impact.iter().filter(|impact| impact.is_cascade());
        let spread = spread.map(ToString::to_string);
        let detection = self.detection.iter().map(ToString::to_string);
        let checks = self.checks.iter().map(ToString::to_string);
        let qualities = self.qualities.iter().map(ToString::to_string);
        let ledgers = self.ledgers.iter().map(ToString::to_string);
        let beside = spread.chain(checks).chain(qualities).chain(detection);
        beside.chain(ledgers).collect()
    }
}

impl Impact {
    /// Whether more than one probe left its steady state.
    fn is_cascade(&self) -> bool {
        let left = self.spread.iter().filter(|left| left.after_ms.is_some());
        left.count() > 1
    }
}

/// `spread from the impact on, 200ms after the first hit: `a` at +0s (±100ms), then `b` at +1.2s (±100ms); `c` never`
impl Display for Impact {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (left, never): (Vec<&Left>, Vec<&Left>) =
            self.spread.iter().partition(|left| left.after_ms.is_some());
        let joined = |all: &[&Left], between: &str| {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            all.join(between)
        };
        write!(
            out,
            "spread from the impact on, {} after the first hit: {}",
            time(self.after_hit_ms),
            joined(&left, ", then ")
        )?;
        if !never.is_empty() {
            write!(out, "; {}", joined(&never, ", "))?;
        }
        Ok(())
    }
}

impl Display for Left {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            ProbeRole::SteadyState => "",
            ProbeRole::Control => "control ",
        };
        write!(out, "{role}`{}` ", self.probe)?;
        match self.after_ms {
            Some(ms) => write!(out, "at +{} (±{})", time(ms), time(self.within_ms)),
            None => out.write_str("never"),
        }
    }
}

/// ``on-fault `orders`: bad in 2 of 40 answers``
impl Display for Checked {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            probe,
            mode,
            answers,
            bad,
            ended_bad,
        } = self;
        write!(out, "{} `{probe}`: ", mode.name())?;
        match mode {
            ProbeMode::Continuous | ProbeMode::StartOfTest => {
                out.write_str("right in front of the first fault")
            }
            ProbeMode::EndOfTest | ProbeMode::Edge if *answers > 0 => {
                out.write_str(if *ended_bad {
                    "bad at the end"
                } else {
                    "right at the end"
                })
            }
            ProbeMode::EndOfTest | ProbeMode::Edge | ProbeMode::OnFault => {
                write!(out, "bad in {bad} of {answers} answers")
            }
        }
    }
}

/// ``from the first hit on, `api`: 402 of 412 answers right (objective 99%), p99 1.2s (objective 500ms)``
impl Display for Quality {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "from the first hit on, `{}`: {} of {} answers right",
            self.probe, self.right, self.answers
        )?;
        if let Some(share) = self.success {
            write!(out, " (objective {share})")?;
        }
        if let Some(Reached { objective, at_us }) = self.latency {
            let at = at_us.map_or_else(|| "behind the wrong ones".to_owned(), quality::time);
            let within = duration::format(objective.within);
            write!(
                out,
                ", {} {at} (objective {within})",
                objective.quantile.name()
            )?;
        }
        Ok(())
    }
}

/// `detection: `alarm` 2.3s after the impact (2.2s to 2.4s; objective 30s)`
impl Display for Detected {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "detection: `{}` ", self.probe)?;
        let objective = self
            .objective_ms
            .map(|ms| format!("objective {}", time(ms)));
        let in_brackets = objective
            .as_ref()
            .map_or_else(String::new, |said| format!(" ({said})"));
        match &self.came {
            Detection::NoImpact => write!(
                out,
                "had nothing to detect, for no probe was bad{in_brackets}"
            ),
            Detection::Detected {
                after_ms,
                least_ms,
                most_ms,
            } => {
                let objective = objective.map_or_else(String::new, |said| format!("; {said}"));
                let [after, least, most] = [*after_ms, *least_ms, *most_ms].map(time);
                write!(
                    out,
                    "{after} after the impact ({least} to {most}{objective})"
                )
            }
            Detection::NotDetected { at_least_ms } => write!(
                out,
                "not detected, for at least {} after the impact{in_brackets}",
                time(*at_least_ms)
            ),
            Detection::NotMeasurable { why } => write!(out, "not measurable{in_brackets}: {why}"),
        }
    }
}

/// `ledger `orders`: RPA 3 lost, 1 torn, 2 double, age 1.2s (RPO 0 lost, 0 torn, 0 double, age 5s); ...`
impl Display for Reconciliation {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let rpo = self
            .rpo
            .map_or_else(|| "no objective".to_owned(), |rpo| format!("RPO {rpo}"));
        write!(out, "ledger `{}`: RPA ", self.ledger)?;
        let loss = match &self.rpa {
            Rpa::NotMeasurable { why } => return write!(out, "not measurable ({rpo}): {why}"),
            Rpa::Measured(loss) => loss,
        };
        let Loss {
            acknowledged,
            kept,
            lost,
            torn,
            double,
            unacknowledged,
            age,
            ..
        } = loss;
        write!(
            out,
            "{lost} lost, {torn} torn, {double} double, {age} ({rpo}); {acknowledged} acknowledged, {kept} kept"
        )?;
        if *unacknowledged > 0 {
            write!(out, ", {unacknowledged} of them not acknowledged")?;
        }
        let named = [
            ("lost", &loss.lost_ids, lost),
            ("torn", &loss.torn_lines, torn),
            ("double", &loss.double_ids, double),
        ];
        for (what, ids, all) in named {
            if ids.is_empty() {
                continue;
            }
            let told: Vec<String> = ids.iter().map(|id| shortened(id, TOLD)).collect();
            write!(out, "; {what}: {}", told.join(", "))?;
            if u64::try_from(ids.len()).is_ok_and(|told| told < *all) {
                out.write_str(", ...")?;
            }
        }
        Ok(())
    }
}

impl Display for Age {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImpact => out.write_str("no age without an impact"),
            Self::Untimed => out.write_str("no age without times"),
            Self::NothingBefore => out.write_str("nothing acknowledged before the impact"),
            Self::Known { ms } => write!(out, "age {}", time(*ms)),
            Self::AtLeast { ms } => write!(out, "age at least {}", time(*ms)),
        }
    }
}

fn time(ms: u64) -> String {
    duration::measured(Duration::from_millis(ms))
}
