//! A search on a card: Markdown, at most 12 lines of at most 80 columns where no word of the command is longer.

use super::{
    replay,
    told::{Outcome, Told},
};
use injector_engine::page::{Line, Page, Role};
use injector_record::search::{Confidence, Over, Tried};
use injector_spec::{printable, quantity::count};

/// Columns of the card.
const COLUMNS: usize = 80;

/// Lines of the card.
const ROWS: usize = 12;

/// Lines of one item: why a search broke off may be a sentence of any length.
const MOST_LINES: usize = 2;

/// The card of a search that did not end by ends that agree.
pub(super) fn card(told: &Told<'_>) -> Page {
    let (role, headline) = headline(told);
    let headline = wrapped("## ", &headline, 1).into_iter();
    let mut lines: Vec<Line> = headline.map(|line| Line::all(role, line)).collect();
    let mut items = Vec::new();
    if let (Some(breaks), Some(holds), Some(confidence)) =
        (told.breaks, told.holds, &told.confidence)
    {
        items.extend(statements(&breaks, &holds, confidence));
    }
    items.push(made(told));
    items.extend(
        told.ended
            .map(|why| format!("no further run was made: {why}")),
    );
    for item in items {
        lines.extend(
            wrapped("- ", &item, MOST_LINES)
                .into_iter()
                .map(Line::plain),
        );
    }
    if !told.replay_words.is_empty() {
        lines.extend(command(&told.replay_words, ROWS - lines.len()));
    }
    lines.into_iter().collect()
}

/// The command between fences, in at most so many lines: where it takes more, it is one long one.
fn command(words: &[String], rows: usize) -> impl Iterator<Item = Line> {
    let several = replay::lines(words, COLUMNS);
    let between = if several.len() + 2 > rows {
        vec![words.join(" ")]
    } else {
        several
    };
    ["```sh".to_owned()]
        .into_iter()
        .chain(between)
        .chain(["```".to_owned()])
        .map(Line::plain)
}

fn headline(told: &Told<'_>) -> (Role, String) {
    let what = told.what;
    match (told.result, told.breaks, told.holds) {
        (Outcome::Over(Over::Found), Some(breaks), Some(holds)) => (
            Role::Strong,
            format!(
                "{what} breaks it at {}, and not at {}",
                breaks.value, holds.value
            ),
        ),
        (Outcome::Over(Over::OutOfRuns), ..) => (
            Role::Doubtful,
            format!("{what}: not found within {}", runs(told.max_runs)),
        ),
        (Outcome::Over(Over::Inconclusive), ..) => (
            Role::Doubtful,
            format!("{what}: the runs do not tell (inconclusive)"),
        ),
        (
            Outcome::BrokenOff(_)
            | Outcome::Over(Over::Found | Over::NothingBreaks | Over::EverythingBreaks),
            ..,
        ) => (Role::Bad, format!("{what}: the search broke off")),
    }
}

/// What the two values of the bracket came to, and what that proves.
fn statements(breaks: &Tried, holds: &Tried, confidence: &Confidence) -> [String; 3] {
    let Confidence {
        level,
        values: _,
        breaks_least,
        holds_least,
    } = confidence;
    let percent = injector_record::trials::percent;
    [
        format!(
            "{} broke {} of {}: at least {} of such runs break",
            breaks.value,
            breaks.broke,
            runs(breaks.judged()),
            percent(*breaks_least)
        ),
        format!(
            "{} held {} of {}: at least {} of such runs hold",
            holds.value,
            holds.held,
            runs(holds.judged()),
            percent(*holds_least)
        ),
        format!(
            "both with {} confidence; more runs at each value (`--repeat`) prove more",
            percent(*level)
        ),
    ]
}

/// How it was made.
fn made(told: &Told<'_>) -> String {
    let values = count(told.values.len(), "value", "values");
    let mut text = format!("{} at {values}", runs(told.runs));
    if let Some(width) = told.width {
        let apart = format!("{:.1}", width * 100.0);
        text = format!("{text}; what held and what broke are {apart} % apart");
    }
    let again: usize = told.values.iter().map(|tried| tried.inconclusive).sum();
    if again > 0 {
        text = format!("{text}; {} inconclusive", runs(again));
    }
    text
}

fn runs(number: usize) -> String {
    count(number, "run", "runs")
}

/// A text in lines, the first behind this mark; what is more than so many lines is cut.
fn wrapped(mark: &str, text: &str, most: usize) -> Vec<String> {
    let text = printable::line(text);
    let indent = " ".repeat(mark.chars().count());
    let mut lines = vec![mark.to_owned()];
    let mut is_first = true;
    for word in text.split(' ') {
        let line = lines.last_mut().map(|line| {
            let width = line.chars().count() + usize::from(!is_first) + word.chars().count();
            (width <= COLUMNS || is_first, line)
        });
        match line {
            Some((true, line)) => {
                if !is_first {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
        is_first = false;
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            let kept: String = last.chars().take(COLUMNS - 4).collect();
            *last = format!("{kept} ...");
        }
    }
    lines
}
