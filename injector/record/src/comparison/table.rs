//! A comparison as Markdown, to be pasted into a pull request.

use std::fmt::Write as _;

use super::{Comparison, words::HEAD};
use crate::account::markdown::{code, escaped};

/// The comparison, with a line feed behind each line.
pub fn markdown(comparison: &Comparison) -> String {
    let Comparison { before, after, .. } = comparison;
    let mut text = format!(
        "**{}** `{}`: {}, then {}\n\n",
        comparison.change().name(),
        code(&after.name),
        escaped(&before.in_words()),
        escaped(&after.in_words()),
    );
    for (change, sentences) in [
        ("Worse", &comparison.regressions),
        ("Better", &comparison.improvements),
        ("Note", &comparison.caveats()),
    ] {
        for sentence in sentences {
            let _ = writeln!(text, "- {change}: {}", escaped(sentence));
        }
    }
    for (what, agreement) in [
        ("Experiment", &comparison.experiment),
        ("Kernel", &comparison.kernel),
        ("injector", &comparison.injector),
    ] {
        let _ = writeln!(text, "- {what}: {}", escaped(&agreement.in_words()));
    }
    let rows = comparison.rows();
    if !rows.is_empty() {
        let _ = writeln!(text, "\n| {} |", HEAD.join(" | "));
        text.push_str("| --- | --- | --- | ---: | ---: | ---: |\n");
    }
    for row in rows {
        let cells = row.map(|cell| escaped(&cell));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    if !comparison.beside.is_empty() {
        text.push('\n');
    }
    for measure in &comparison.beside {
        let _ = writeln!(text, "- {}", escaped(&measure.in_words()));
    }
    text
}
