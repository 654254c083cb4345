//! A suite as Markdown, to be posted to a pull request.

use std::fmt::Write as _;

use super::{Suite, Tried, compare::Comparison};
use crate::{
    account::markdown::{code, escaped},
    trials::Trial,
};

/// A heading, a table of the experiments, and what changed.
pub fn markdown(suite: &Suite, comparison: Option<&Comparison>) -> String {
    let mut text = format!("**{}** in `{}`", suite.verdicts(), code(&suite.folder));
    if let Some(score) = suite.score() {
        let _ = write!(text, "; score **{score}**");
    }
    text.push_str("\n\n| experiment | verdict | recovery |\n| --- | --- | --- |\n");
    for tried in &suite.experiments {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            code(&tried.file),
            verdict(tried),
            recovery(tried)
        );
    }
    if let Some(why) = &suite.ended {
        let _ = writeln!(text, "\nNo further run was made: {}", escaped(why));
    }
    if let Some(comparison) = comparison {
        changes(&mut text, comparison);
    }
    text
}

fn changes(text: &mut String, comparison: &Comparison) {
    for (title, changes) in [
        ("Worse", &comparison.regressions),
        ("Better", &comparison.improvements),
    ] {
        if !changes.is_empty() {
            let _ = writeln!(text, "\n{title} than before:\n");
        }
        for change in changes {
            let _ = writeln!(text, "- {}", escaped(&change.to_string()));
        }
    }
    for (file, what) in comparison.incomparable() {
        let _ = writeln!(text, "\n`{}` {what}.", code(file));
    }
    let _ = writeln!(text, "\n{}.", capital(&comparison.scores.to_string()));
}

fn verdict(tried: &Tried) -> String {
    if tried.trials.is_empty() {
        return "not run".to_owned();
    }
    tried.together().verdicts.to_string()
}

/// What became of its probes, or why there was no run.
fn recovery(tried: &Tried) -> String {
    let probes: Vec<String> = tried
        .together()
        .probes
        .iter()
        .map(ToString::to_string)
        .collect();
    if !probes.is_empty() {
        return escaped(&probes.join("; "));
    }
    let why = tried.worst().and_then(Trial::why);
    why.map_or_else(String::new, |why| escaped(&why))
}

fn capital(sentence: &str) -> String {
    let mut characters = sentence.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}
