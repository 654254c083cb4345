//! The detection and the ledgers of two runs beside each other.
//!
//! A change is one of kind: what was within its objective and is beyond it, or what was detected and is not. Of two
//! detections one is later where it cannot be sooner, by its bounds. Counts of items are told and not ranked: how many
//! are lost hangs on how many were under way when the fault came.

use serde::Serialize;

use super::Change;
use crate::measure::{Detected, Detection, Judgement, Reconciliation, Standing};
use injector_spec::printable;

/// A measure in both runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// What it is: `ledger orders`, `detection`.
    pub name: String,
    /// What became of it in the first run; absent where that has no such measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// In the second run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What that comes to.
    pub change: Change,
}

/// All of them: the detection, then the ledgers of the second run, and those of the first alone.
pub(super) fn beside(before: Option<&Judgement>, after: Option<&Judgement>) -> Vec<Beside> {
    let detection = |judgement: Option<&Judgement>| judgement?.detection.clone();
    let detections = (detection(before), detection(after));
    let mut all = Vec::new();
    if detections.0.is_some() || detections.1.is_some() {
        let change = match &detections {
            (Some(before), Some(after)) => of_detections(before, after),
            (None, _) | (_, None) => Change::NotComparable,
        };
        all.push(Beside {
            name: "detection".to_owned(),
            before: detections.0.map(|detected| detected.to_string()),
            after: detections.1.map(|detected| detected.to_string()),
            change,
        });
    }
    let ledgers = |judgement: Option<&Judgement>| -> Vec<Reconciliation> {
        judgement.map_or_else(Vec::new, |judgement| judgement.ledgers.clone())
    };
    let (before, after) = (ledgers(before), ledgers(after));
    let mut names: Vec<&str> = Vec::new();
    for ledger in after.iter().chain(&before) {
        if !names.contains(&ledger.ledger.as_str()) {
            names.push(&ledger.ledger);
        }
    }
    for name in names {
        let find = |all: &[Reconciliation]| all.iter().find(|one| one.ledger == name).cloned();
        let sides = (find(&before), find(&after));
        let change = match &sides {
            (Some(before), Some(after)) => of_standings(&before.standing(), &after.standing()),
            (None, _) | (_, None) => Change::NotComparable,
        };
        all.push(Beside {
            name: format!("ledger {name}"),
            before: sides.0.map(|ledger| ledger.to_string()),
            after: sides.1.map(|ledger| ledger.to_string()),
            change,
        });
    }
    all
}

fn of_standings(before: &Standing, after: &Standing) -> Change {
    match before.rank().zip(after.rank()) {
        Some((before, after)) => super::by(before.cmp(&after)),
        None => Change::NotComparable,
    }
}

fn of_detections(before: &Detected, after: &Detected) -> Change {
    // How bad it is, and the bounds where there are any.
    let measured = |detected: &Detected| match detected.came {
        Detection::Detected {
            least_ms, most_ms, ..
        } => Some((0, least_ms, most_ms)),
        Detection::NotDetected { at_least_ms } => Some((1, at_least_ms, u64::MAX)),
        Detection::NoImpact | Detection::NotMeasurable { .. } => None,
    };
    let Some((before, after)) = measured(before).zip(measured(after)) else {
        return Change::NotComparable;
    };
    match before.0.cmp(&after.0) {
        std::cmp::Ordering::Equal if after.1 > before.2 => Change::Worse,
        std::cmp::Ordering::Equal if after.2 < before.1 => Change::Better,
        other => super::by(other),
    }
}

impl Beside {
    /// What stands better or worse, in a sentence.
    pub(super) fn told(&self) -> Option<(Change, String)> {
        match self.change {
            Change::Better | Change::Worse => {
                let (before, after) = (self.before.as_ref()?, self.after.as_ref()?);
                let said = format!("{before}, and then {after}");
                Some((self.change, printable::line(&said).into_owned()))
            }
            Change::Same | Change::NotComparable => None,
        }
    }

    /// `ledger orders: no difference: before ...; after ...`, on one line.
    pub fn in_words(&self) -> String {
        let side =
            |side: &Option<String>| side.clone().unwrap_or_else(|| "not measured".to_owned());
        let said = format!(
            "{}: {}. Before: {}. After: {}",
            self.name,
            self.change.name(),
            side(&self.before),
            side(&self.after)
        );
        printable::line(&said).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(came: Detection) -> Detected {
        Detected {
            probe: "alarm".into(),
            asks: String::new(),
            objective_ms: None,
            came,
        }
    }

    fn after(least_ms: u64, most_ms: u64) -> Detected {
        detected(Detection::Detected {
            after_ms: least_ms,
            least_ms,
            most_ms,
        })
    }

    #[test]
    fn a_detection_is_later_where_it_cannot_be_sooner() {
        let never = || detected(Detection::NotDetected { at_least_ms: 9 });
        let change = |before, after| of_detections(&before, &after);
        assert_eq!(change(after(1, 3), after(4, 6)), Change::Worse);
        assert_eq!(change(after(1, 4), after(4, 6)), Change::Same);
        assert_eq!(change(after(4, 6), after(1, 3)), Change::Better);
        assert_eq!(change(after(1, 3), never()), Change::Worse);
        assert_eq!(change(never(), after(1, 3)), Change::Better);
        assert_eq!(change(never(), never()), Change::Same);
        let none = || detected(Detection::NoImpact);
        assert_eq!(change(none(), after(1, 3)), Change::NotComparable);
    }

    #[test]
    fn a_ledger_is_ranked_by_how_it_stands_to_its_objective() {
        let [within, late, harm, unseen] = [
            Standing::Within,
            Standing::Deviated("x".into()),
            Standing::Unsafe("y".into()),
            Standing::Unseen("z".into()),
        ];
        assert_eq!(of_standings(&within, &late), Change::Worse);
        assert_eq!(of_standings(&harm, &late), Change::Better);
        assert_eq!(of_standings(&late, &late), Change::Same);
        assert_eq!(of_standings(&unseen, &late), Change::NotComparable);
    }
}
