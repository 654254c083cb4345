//! An account as a card of Markdown, to be pasted where people talk: at most twelve lines of eighty columns, unless
//! names are long.
//!
//! What Markdown would take for its own is escaped, so that a name is a name, and no line is broken in front of what
//! would begin a list there.

use super::{Account, Series, words};
use crate::rollback;
use injector_spec::{experiment::Experiment, printable};

/// Lines that a card has at most.
const LINES: usize = 12;

/// Columns of a line of text.
const COLUMNS: usize = 80;

/// Probes that a card has however long its texts are.
const FEWEST_ROWS: usize = 2;

/// The card, with a line feed behind each line.
pub fn markdown(account: &Account) -> String {
    let headline = account.headline();
    let why = headline
        .why
        .map_or_else(String::new, |why| format!(": {}", escaped(&why)));
    let first = format!(
        "**{}** `{}`{} ({}; run `{}`)",
        headline.word,
        code(&account.name),
        why,
        headline.course,
        account.run
    );
    let mut lines = wrapped(&first);
    if let Some(hypothesis) = &account.hypothesis {
        let said = escaped(hypothesis);
        lines.push(String::new());
        lines.extend(wrapped(&format!("Hypothesis: {said}")));
    }
    let met = [
        met(account),
        operations(account),
        gates(account),
        rollback(account),
        head(account),
        took_place(account),
    ]
    .into_iter()
    .filter(|sentence| !sentence.is_empty())
    .collect::<Vec<_>>()
    .join(" ");
    let last = wrapped(&met);
    if !account.probes.is_empty() {
        // Two of the table's head, and empty ones before and behind it.
        let taken = lines.len() + 2 + 1 + usize::from(!met.is_empty()) + last.len();
        let rows = LINES.saturating_sub(taken).max(FEWEST_ROWS);
        lines.push(String::new());
        lines.extend(table(account, rows));
    }
    // Not counted, for no probe should go for them.
    let beside = beside(account);
    if !beside.is_empty() {
        lines.push(String::new());
        lines.extend(wrapped(&beside));
    }
    if !met.is_empty() {
        lines.push(String::new());
        lines.extend(last);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The probes: those that were hurt first where not all have a row.
fn table(account: &Account, rows: usize) -> Vec<String> {
    let recovery = words::recovery_head(account);
    let mut lines = vec![
        format!("| probe | baseline | under faults | × baseline | {recovery} |"),
        "| --- | ---: | ---: | ---: | --- |".to_owned(),
    ];
    let mut probes: Vec<&Series> = account.probes.iter().collect();
    let hidden = probes.len().saturating_sub(rows);
    if hidden > 0 {
        probes.sort_by_key(|series| series.impact_us.is_none());
        // The row that says so takes one, too.
        probes.truncate(rows.saturating_sub(1));
    }
    for series in &probes {
        let cells = [
            words::probe(series),
            words::tally(series.baseline),
            words::tally(series.under_fault),
            words::by_baseline(series),
            words::fate(series),
        ];
        lines.push(format!(
            "| {} |",
            cells.map(|cell| escaped(&cell)).join(" | ")
        ));
    }
    if hidden > 0 {
        let more = account.probes.len() - probes.len();
        lines.push(format!("| and {more} more | | | | |"));
    }
    lines
}

/// The spread, the detection and the ledgers.
fn beside(account: &Account) -> String {
    let said = account.beside();
    let said: Vec<String> = said
        .iter()
        .map(|said| format!("{}.", capital(&escaped(said))))
        .collect();
    said.join(" ")
}

/// What operations came to beside the table.
fn operations(account: &Account) -> String {
    let said: Vec<String> = words::operations(account)
        .map(|said| format!("{}.", capital(&escaped(&said))))
        .collect();
    said.join(" ")
}

/// At which gates the run has waited.
fn gates(account: &Account) -> String {
    let gates = account.report.iter().flat_map(|report| &report.gates);
    let said: Vec<String> = gates
        .map(|gate| format!("{}.", capital(&escaped(&gate.to_string()))))
        .collect();
    said.join(" ")
}

/// What was run after a breach, and what of it failed.
fn rollback(account: &Account) -> String {
    let report = account.report.as_ref();
    let said = report.and_then(|report| rollback::summary(&report.rollback));
    said.map_or_else(String::new, |said| format!("{}.", capital(&escaped(&said))))
}

/// On what, and by which experiment: with them, two cards can be held against each other.
fn took_place(account: &Account) -> String {
    let platform = account.platform.as_ref().map(ToString::to_string);
    let asked = account
        .fingerprint
        .map(|fingerprint| format!("experiment {fingerprint}"));
    let said: Vec<String> = platform.into_iter().chain(asked).collect();
    if said.is_empty() {
        return String::new();
    }
    format!("{}.", escaped(&said.join(", ")))
}

/// Whom to ask, what it is found by, and which values were in force.
fn head(account: &Account) -> String {
    let head = account.experiment.as_ref().map(Experiment::head_in_words);
    let parts: Vec<String> = head
        .into_iter()
        .flatten()
        .map(|(term, value)| format!("{}: {}", capital(term), escaped(&value)))
        .collect();
    if parts.is_empty() {
        return String::new();
    }
    format!("{}.", parts.join(". "))
}

/// The same with a capital in front.
pub(crate) fn capital(term: &str) -> String {
    let mut letters = term.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}

/// What the faults met, in a line.
fn met(account: &Account) -> String {
    if let Some(report) = &account.report {
        let hits: Vec<String> = report.faults.iter().map(words::hits).collect();
        if hits.is_empty() {
            return String::new();
        }
        return format!("Faults: {}.", escaped(&hits.join(", ")));
    }
    let planned: Vec<String> = account
        .faults
        .iter()
        .map(|fault| printable::line(&fault.fault).into_owned())
        .collect();
    if planned.is_empty() {
        return String::new();
    }
    let planned = escaped(&planned.join(", "));
    format!("Faults: {planned}; how often they hit is not on record.")
}

/// A text on one line that Markdown takes for nothing but text.
pub(crate) fn escaped(text: &str) -> String {
    let line = printable::line(text);
    let mut escaped = String::with_capacity(line.len());
    for character in line.chars() {
        if r"\`*_[]<>|&~$#".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A text between the ticks of code, which knows no escape.
pub(crate) fn code(text: &str) -> String {
    let line = printable::line(text).replace('`', "'").replace('|', "/");
    if line.trim().is_empty() {
        "unnamed".to_owned()
    } else {
        line
    }
}

/// A text in lines, none of which begins as a list or a heading would.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut columns = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let width = word.chars().count();
        match lines.last_mut() {
            Some(line) if columns + 1 + width <= COLUMNS || is_marker(word) => {
                line.push(' ');
                line.push_str(word);
                columns += 1 + width;
            }
            _ => {
                lines.push(word.to_owned());
                columns = width;
            }
        }
    }
    lines
}

/// Whether a word at the beginning of a line is more than a word: `-`, `+`, `=`, `1.`, `1)`.
fn is_marker(word: &str) -> bool {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_number = rest.len() < word.len() && rest.starts_with(['.', ')']);
    is_number || word.starts_with(['-', '+', '='])
}
