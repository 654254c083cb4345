//! A suite on a terminal.

use injector_engine::page::{Line, Page, Role};
use injector_record::suite::{Suite, compare::Comparison};
use injector_spec::printable;

/// The verdicts, the score with its sum, and what changed.
pub(super) fn card(suite: &Suite, comparison: Option<&Comparison>) -> Page {
    let folder = printable::line(&suite.folder).into_owned();
    let mut page = Page::default();
    page.push(Line::plain(format!("{folder}: ")).and(Role::Strong, suite.verdicts().to_string()));
    if let Some(score) = suite.score() {
        page.push(Line::plain(format!("    score {score}")));
        page.push(Line::all(Role::Dim, format!("    {}", score.sum())));
    }
    for tried in &suite.experiments {
        let tone = tried
            .worst()
            .map_or(Role::Doubtful, |worst| worst.tone().into());
        let first = Line::plain(format!("    {}: ", tried.file)).and(tone, tried.word());
        page.push(match tried.trials.len() {
            0 | 1 => first,
            _ => first.and(
                Role::Plain,
                format!(" at worst; {}", tried.together().verdicts),
            ),
        });
    }
    if let Some(why) = &suite.ended {
        page.push(Line::all(
            Role::Doubtful,
            format!("    no further run was made {why}"),
        ));
    }
    if let Some(comparison) = comparison {
        for (role, word, changes) in [
            (Role::Bad, "worse", &comparison.regressions),
            (Role::Good, "better", &comparison.improvements),
        ] {
            for change in changes {
                page.push(
                    Line::all(role, format!("    {word}: ")).and(Role::Plain, change.to_string()),
                );
            }
        }
        for (file, what) in comparison.incomparable() {
            page.push(Line::plain(format!("    `{file}` {what}")));
        }
        let is_same = comparison.regressions.is_empty() && comparison.improvements.is_empty();
        if is_same {
            page.push(Line::plain("    nothing got worse or better"));
        }
        page.push(Line::plain(format!("    {}", comparison.scores)));
    }
    page
}
