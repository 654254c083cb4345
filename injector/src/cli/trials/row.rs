//! One run of several on a row.

use injector_engine::page::{Line, Page, Role};
use injector_record::trials::Trial;

/// What came of a run: its name among the others, its id, its verdict, and each probe that was bad.
pub(super) fn row(name: &str, trial: &Trial) -> Page {
    let (id, details) = match trial {
        Trial::Ran(report) => {
            let mut details: Vec<String> = trial.why().into_iter().collect();
            let probes = report
                .judgement
                .iter()
                .flat_map(|judgement| &judgement.probes);
            let bad = probes.filter(|probe| probe.fate.recovery().is_some());
            details.extend(bad.map(ToString::to_string));
            details.extend(
                report
                    .undo_errors
                    .iter()
                    .map(|error| format!("not restored: {error}")),
            );
            (report.run.to_string(), details)
        }
        Trial::Refused(refusal) => ("-".to_owned(), vec![refusal.message.clone()]),
    };
    let first = Line::plain(format!("{name}  {id}  ")).and(trial.tone().into(), trial.word());
    let details = details
        .into_iter()
        .map(|detail| Line::all(Role::Dim, format!("    {detail}")));
    [first].into_iter().chain(details).collect()
}
