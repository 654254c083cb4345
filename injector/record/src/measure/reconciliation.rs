//! A ledger of an experiment, and how its two lists stand to the recovery point objective (RPO).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Standing,
    loss::{Age, Loss},
};
use injector_spec::{
    experiment::Rpo,
    quantity::duration::{self, millis},
};

/// What became of a ledger: the recovery point actual (RPA).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// The ledger's name.
    pub ledger: String,
    /// What it is held against; absent where it is told alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Rpo>,
    /// What its lists said.
    #[serde(flatten)]
    pub rpa: Rpa,
}

/// The recovery point actual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rpa", rename_all = "kebab-case")]
pub enum Rpa {
    /// What the lists differ in.
    Measured(Loss),
    /// They could not be read, or were not.
    NotMeasurable {
        /// Why not.
        why: String,
    },
}

impl Reconciliation {
    /// How it stands to the objective. A ledger that cannot be read says nothing, and never that nothing is missing.
    pub fn standing(&self) -> Standing {
        let ledger = &self.ledger;
        let loss = match &self.rpa {
            Rpa::Measured(loss) => loss,
            Rpa::NotMeasurable { why } => {
                return Standing::Unseen(format!("the ledger `{ledger}` is not measurable: {why}"));
            }
        };
        let Some(rpo) = self.rpo else {
            return Standing::Within;
        };
        let beyond = |found: u64, most: u64, what: &str| {
            (found > most).then(|| format!("{found} {what}, where {most} may be"))
        };
        let said =
            |parts: Vec<String>| format!("the ledger `{ledger}` has {}", parts.join(", and "));
        let harm: Vec<String> = [
            beyond(loss.torn, rpo.torn, "torn"),
            beyond(loss.double, rpo.double, "double"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !harm.is_empty() {
            return Standing::Unsafe(said(harm));
        }
        let age = rpo.age.map_or(Ok(None), |most| old(loss.age, most));
        let (age, unseen) = match age {
            Ok(age) => (age, None),
            Err(why) => (None, Some(why)),
        };
        let missing = beyond(loss.lost, rpo.lost, "lost");
        let late: Vec<String> = missing.into_iter().chain(age).collect();
        if !late.is_empty() {
            return Standing::Deviated(said(late));
        }
        unseen.map_or(Standing::Within, |why| {
            Standing::Unseen(format!(
                "the age of the ledger `{ledger}` is not measurable: {why}"
            ))
        })
    }
}

/// What is too old, if it is; the error says why that cannot be told.
fn old(age: Age, most: Duration) -> Result<Option<String>, String> {
    let time = |ms: u64| duration::measured(Duration::from_millis(ms));
    let most_ms = millis(most);
    let within = duration::format(most);
    match age {
        Age::NoImpact | Age::NothingBefore => Ok(None),
        Age::Known { ms } if ms <= most_ms => Ok(None),
        Age::Known { ms } => Ok(Some(format!(
            "an age of {}, where {within} may be",
            time(ms)
        ))),
        Age::AtLeast { ms } if ms > most_ms => Ok(Some(format!(
            "an age of at least {}, where {within} may be",
            time(ms)
        ))),
        Age::AtLeast { ms } => Err(format!(
            "nothing is kept of what was acknowledged in the {} before the impact; let the baseline be longer",
            time(ms)
        )),
        Age::Untimed => {
            Err("a line of the acknowledged list has no time; write `ID TIME` there".to_owned())
        }
    }
}
