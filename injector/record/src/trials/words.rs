//! Several runs in words.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use super::{Bad, Proof, Recoveries, Score, Trial, UNSAFE_CAP, Verdicts};
use injector_spec::{
    experiment::ProbeRole,
    quantity::{count, duration},
};

impl Display for Trial {
    /// Its word, and why: `deviated: ...`.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())?;
        match self.why() {
            Some(why) => write!(out, ": {why}"),
            None => Ok(()),
        }
    }
}

impl Display for Verdicts {
    /// `held 5 of 6, deviated 1`.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            held,
            deviated,
            halted,
            harmful,
            inconclusive,
            unjudged,
            refused,
        } = *self;
        let all = self.judged() + inconclusive + unjudged + refused;
        let counts = [
            ("held", held),
            ("deviated", deviated),
            ("halted", halted),
            ("unsafe", harmful),
            ("inconclusive", inconclusive),
            ("without a steady state", unjudged),
            ("refused", refused),
        ];
        let mut rest = counts.into_iter().filter(|(_, count)| *count > 0);
        let Some((word, first)) = rest.next() else {
            return out.write_str("no run");
        };
        write!(out, "{word} {first} of {all}")?;
        rest.try_for_each(|(word, count)| write!(out, ", {word} {count}"))
    }
}

impl Display for Bad {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let time = |ms: u64| duration::measured(Duration::from_millis(ms));
        match self {
            Self::ForMs(ms) => out.write_str(&time(*ms)),
            Self::AtLeastMs(ms) => write!(out, "at least {}", time(*ms)),
        }
    }
}

impl Display for Recoveries {
    /// `api` bad in 4 of 6 runs, RTA 1.2s, from 900ms to 1.4s (the median lies between with 87.5 %).
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            ProbeRole::SteadyState => "",
            ProbeRole::Control => "control ",
        };
        let runs = count(self.told, "run", "runs");
        write!(out, "{role}`{}` ", self.name)?;
        let (Some(median), Some(least), Some(most)) = (self.median, self.least, self.most) else {
            return if self.told == 0 {
                out.write_str("was judged in no run")
            } else {
                write!(out, "stayed good in {runs}")
            };
        };
        write!(out, "was bad in {} of {runs}: RTA {median}", self.bad)?;
        if self.bad > 1 {
            let level = percent(self.level);
            write!(
                out,
                ", from {least} to {most} (the median lies between with {level})"
            )?;
        }
        Ok(())
    }
}

impl Display for Proof {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            held,
            judged,
            least,
            most,
        } = *self;
        let runs = count(judged, "run", "runs");
        match held {
            all if all == judged => write!(
                out,
                "{runs} of {judged} held: at least {} of such runs hold (95 % confidence; for 95 % it takes {} runs \
                 without a failure)",
                percent(least),
                Self::runs_for(0.95)
            ),
            0 => write!(
                out,
                "none of {runs} held: at most {} of such runs hold (95 % confidence)",
                percent(most)
            ),
            held => write!(
                out,
                "{held} of {runs} held: {} to {} of such runs hold (95 % confidence, Wilson)",
                percent(least),
                percent(most)
            ),
        }
    }
}

impl Score {
    /// What the score is made of: `100 x mean(1.0, mean(0.6, 0.8))`.
    pub fn sum(&self) -> String {
        let parts = self.worth.iter().map(|runs| {
            let values: Vec<String> = runs.iter().map(|worth| format!("{worth:.1}")).collect();
            match values.as_slice() {
                [one] => one.clone(),
                several => format!("mean({})", several.join(", ")),
            }
        });
        let parts: Vec<String> = parts.collect();
        let whole = match parts.as_slice() {
            [one] => format!("100 x {one}"),
            several => format!("100 x mean({})", several.join(", ")),
        };
        if self.is_capped {
            format!("{whole}, at most {UNSAFE_CAP:.0} because a run was unsafe")
        } else {
            whole
        }
    }
}

impl Display for Score {
    /// 72 (64 to 79), 12 runs, 9 of 11 faults met.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{:.0}", self.score)?;
        if let Some((least, most)) = self.interval {
            write!(out, " ({least:.0} to {most:.0})")?;
        }
        let runs = count(self.runs, "run", "runs");
        let faults = count(self.planned, "fault", "faults");
        write!(out, ", {runs}, {} of {faults} met", self.met)?;
        if self.is_capped {
            out.write_str(", capped: a run was unsafe")?;
        }
        Ok(())
    }
}

/// A share of one, in percent with one digit. What is less than all is never told as all.
pub fn percent(share: f64) -> String {
    if (0.9995..1.0).contains(&share) {
        return "more than 99.9 %".to_owned();
    }
    let text = format!("{:.1}", share * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}
