//! A suite as JUnit's XML: an experiment is a case, and came to what the worst of its runs came to.

use super::{Suite, Tried};
use crate::{
    junit::{self, Came, Case},
    trials::Trial,
};

/// The document.
pub fn junit(suite: &Suite) -> String {
    let took = suite.experiments.iter().map(|tried| tried.took_ms);
    let conditions = &suite.conditions;
    let mut properties = vec![
        ("kernel", conditions.platform.kernel.clone()),
        ("injector", conditions.platform.injector.clone()),
    ];
    properties.extend(conditions.build.clone().map(|build| ("build", build)));
    junit::Suite {
        name: suite.folder.clone(),
        took_ms: took.sum(),
        timestamp: None,
        properties,
        cases: suite.experiments.iter().map(case).collect(),
        said: suite.verdicts().to_string(),
    }
    .document()
}

fn case(tried: &Tried) -> Case {
    let came = match tried.worst() {
        None => Came::Skipped("not run".to_owned()),
        Some(Trial::Refused(refusal)) => Came::Error(refusal.message.clone()),
        Some(trial @ Trial::Ran(report)) => {
            Came::of(&report.outcome, trial.verdict(), &report.undo_errors)
        }
    };
    Case {
        class: tried.file.clone(),
        name: tried.name.clone(),
        took_ms: tried.took_ms,
        came,
    }
}
