//! A suite as JUnit's XML, which CI systems read: an experiment is a test case.

use std::fmt::Write as _;

use super::{Suite, Tried};
use crate::trials::Trial;
use injector_spec::error::Exit;

/// The document. The names of the elements and their attributes are those that Jenkins' JUnit plug-in and GitLab read.
pub fn junit(suite: &Suite) -> String {
    let count = |wanted: fn(&Outcome<'_>) -> bool| {
        let outcomes = suite.experiments.iter().map(Outcome::of);
        outcomes.filter(wanted).count()
    };
    let failures = count(|it| matches!(it, Outcome::Failure(_)));
    let errors = count(|it| matches!(it, Outcome::Error(_)));
    let skipped = count(|it| matches!(it, Outcome::Skipped(_)));
    let seconds = seconds(suite.experiments.iter().map(|tried| tried.took_ms).sum());
    let tests = suite.experiments.len();
    let name = escaped(&suite.folder);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites>\n  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
         skipped=\"{skipped}\" time=\"{seconds}\">"
    );
    for tried in &suite.experiments {
        case(&mut text, tried);
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// What a test case came to.
enum Outcome<'t> {
    Passed,
    /// The hypothesis did not hold.
    Failure(Option<&'t Trial>),
    /// There was no run.
    Error(&'t Trial),
    /// Nothing was shown; a pipeline that wants to be red then reads the exit code.
    Skipped(Option<&'t Trial>),
}

impl<'t> Outcome<'t> {
    fn of(tried: &'t Tried) -> Self {
        let worst = tried.worst();
        match worst.map(Trial::exit) {
            Some(Exit::Done) => Self::Passed,
            Some(Exit::Failed) => match worst {
                Some(refused @ Trial::Refused(_)) => Self::Error(refused),
                ran => Self::Failure(ran),
            },
            Some(Exit::Usage | Exit::Unsafe) => worst.map_or(Self::Skipped(None), Self::Error),
            Some(Exit::Inconclusive) | None => Self::Skipped(worst),
        }
    }
}

fn case(text: &mut String, tried: &Tried) {
    let name = escaped(&tried.name);
    let file = escaped(&tried.file);
    let seconds = seconds(tried.took_ms);
    let _ = write!(
        text,
        "    <testcase classname=\"{file}\" name=\"{name}\" time=\"{seconds}\""
    );
    let (element, worst) = match Outcome::of(tried) {
        Outcome::Passed => {
            text.push_str("/>\n");
            return;
        }
        Outcome::Failure(worst) => ("failure", worst),
        Outcome::Error(worst) => ("error", Some(worst)),
        Outcome::Skipped(worst) => ("skipped", worst),
    };
    let why = worst.map_or_else(|| "not run".to_owned(), Trial::to_string);
    let _ = writeln!(
        text,
        ">\n      <{element} message=\"{}\"/>\n    </testcase>",
        escaped(&why)
    );
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// What XML would take for its own, and what it cannot have at all (control characters), is written otherwise.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\n' | '\t' => safe.push(' '),
            character if character.is_control() => safe.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            character => safe.push(character),
        }
    }
    safe
}
