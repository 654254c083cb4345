//! A judgement in words.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use super::{Fate, Judged, Recovery, Tally, Verdict};
use crate::report::Tone;
use injector_spec::{experiment::ProbeRole, quantity::duration};

impl Verdict {
    /// Its name, as in a report.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Deviated(_) => "deviated",
            Self::Halted(_) => "halted",
            Self::Inconclusive(_) => "inconclusive",
            Self::Unsafe(_) => "unsafe",
        }
    }

    /// How it is to be taken.
    pub const fn tone(&self) -> Tone {
        match self {
            Self::Held => Tone::Good,
            Self::Inconclusive(_) => Tone::Doubtful,
            Self::Deviated(_) | Self::Halted(_) | Self::Unsafe(_) => Tone::Bad,
        }
    }

    /// Why; a hypothesis that held needs no reason.
    pub const fn why(&self) -> Option<&String> {
        match self {
            Self::Held => None,
            Self::Deviated(why)
            | Self::Halted(why)
            | Self::Inconclusive(why)
            | Self::Unsafe(why) => Some(why),
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())?;
        match self.why() {
            Some(why) => write!(out, ": {why}"),
            None => Ok(()),
        }
    }
}

impl Fate {
    /// For how long it was bad, where that was longer than the objective.
    pub(super) fn overdue(&self) -> Option<String> {
        match self {
            Self::Late(recovery) => Some(time(recovery.rta_ms)),
            Self::Never { at_least_ms } => Some(format!("at least {}", time(*at_least_ms))),
            Self::NotMet
            | Self::Absorbed
            | Self::Adapted(_)
            | Self::Recovered(_)
            | Self::NotMeasurable { .. } => None,
        }
    }
}

impl Display for Fate {
    /// What follows the name of a probe: `was bad for 1.2 s ...`.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMet => out.write_str("was met by no fault"),
            Self::Absorbed => out.write_str("stayed good"),
            Self::Adapted(recovery) | Self::Recovered(recovery) | Self::Late(recovery) => {
                recovery.fmt(out)
            }
            Self::Never { at_least_ms } => {
                write!(out, "was bad for at least {}", time(*at_least_ms))
            }
            Self::NotMeasurable { why } => write!(out, "cannot be judged: {why}"),
        }
    }
}

impl Display for Judged {
    /// `tasks` stayed good: 40 answers under the faults, median 103 ms (34x baseline).
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            ProbeRole::SteadyState => "",
            ProbeRole::Control => "control ",
        };
        write!(out, "{role}`{}` {}", self.name, self.fate)?;
        let Tally {
            answers,
            bad,
            p50_us,
            ..
        } = self.under_fault;
        if answers == 0 {
            return Ok(());
        }
        let what = match self.operations {
            None => "answers",
            Some(_) => "operations",
        };
        write!(out, "; {bad} of {answers} {what} bad under the faults")?;
        if let Some(quotient) = self.under_fault.by(self.baseline) {
            let median = duration::measured(Duration::from_micros(p50_us));
            write!(out, ", median {median} ({quotient} x baseline)")?;
        }
        let more = self.operations.as_ref().map(ToString::to_string);
        match more.filter(|more| !more.is_empty()) {
            Some(more) => write!(out, "; {more}"),
            None => Ok(()),
        }
    }
}

impl Tally {
    /// This median by that of another period; `None` where one of them has none.
    pub fn by(self, other: Self) -> Option<String> {
        // In tenths, for the fractions of a number need no rounding of their own.
        let tenths = self.p50_us.saturating_mul(10).checked_div(other.p50_us)?;
        (self.p50_us > 0).then(|| format!("{}.{}", tenths / 10, tenths % 10))
    }
}

impl Display for Recovery {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let [rta, least, most] = [self.rta_ms, self.least_ms, self.most_ms].map(time);
        write!(out, "was bad for {rta}")?;
        // Of operations each one is seen, and there is nothing between the two.
        if self.least_ms != self.most_ms {
            write!(out, " ({least} to {most})")?;
        }
        out.write_str(", and good again ")?;
        match self.after_lift_ms {
            None => out.write_str("while the faults were on"),
            Some(after) => write!(out, "{} after the faults were off", time(after)),
        }
    }
}

fn time(ms: u64) -> String {
    duration::measured(Duration::from_millis(ms))
}
