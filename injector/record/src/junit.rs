//! JUnit's XML, which the servers of continuous integration read: a suite with properties, cases and a text.
//!
//! The form is that of Jenkins' schema (`junit-10.xsd`), which others take, too: properties, cases and a text, in this
//! order. A case fails where a hypothesis deviated or a run was halted, is an error where a bystander was hurt or a run
//! broke off or was refused, and is skipped where nothing can be said; so a pipeline is never green on nothing.
//!
//! Rejected: a crate that writes XML, for a form of six elements; the escaping is below, with its own test.

#[cfg(test)]
pub(crate) mod form;

use std::fmt::Write as _;

use crate::{measure::Verdict, report::Outcome};
use injector_spec::printable;

/// What a case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Passed,
    /// It did not hold.
    Failed(String),
    /// Something is wrong beyond that.
    Error(String),
    /// There is nothing to say.
    Skipped(String),
}

/// One case.
pub(crate) struct Case {
    /// What it belongs to.
    pub(crate) class: String,
    pub(crate) name: String,
    /// In milliseconds.
    pub(crate) took_ms: u64,
    pub(crate) came: Came,
}

/// A suite.
pub(crate) struct Suite {
    pub(crate) name: String,
    /// In milliseconds.
    pub(crate) took_ms: u64,
    /// When it began, as RFC 3339 says it.
    pub(crate) timestamp: Option<String>,
    pub(crate) properties: Vec<(&'static str, String)>,
    pub(crate) cases: Vec<Case>,
    /// What is said of it as a whole.
    pub(crate) said: String,
}

impl Came {
    /// What a run came to that is over, and that could not put `undo_errors` back.
    pub(crate) fn of(outcome: &Outcome, verdict: Option<&Verdict>, undo_errors: &[String]) -> Self {
        if !undo_errors.is_empty() {
            return Self::Error(format!("not restored: {}", undo_errors.join("; ")));
        }
        match (verdict, outcome) {
            (Some(Verdict::Held), _) => Self::Passed,
            (Some(Verdict::Deviated(why)), _) => Self::Failed(why.clone()),
            (Some(Verdict::Halted(why)), _) | (None, Outcome::Halted { why }) => {
                Self::Failed(format!("halted: {why}"))
            }
            (Some(Verdict::Unsafe(why)), _) => Self::Error(why.clone()),
            (None, Outcome::Failed { why }) => Self::Error(format!("failed: {why}")),
            (Some(Verdict::Inconclusive(why)), _)
            | (None, Outcome::Unsteady { why } | Outcome::GateShut { why }) => {
                Self::Skipped(why.clone())
            }
            (None, Outcome::Completed | Outcome::Stopped | Outcome::TargetEnded { .. }) => {
                let why = "the run was not judged: its experiment has neither a steady state nor `fail-on`";
                Self::Skipped(why.to_owned())
            }
        }
    }
}

impl Suite {
    /// The document, with a line feed behind each line.
    pub(crate) fn document(&self) -> String {
        let count = |is: fn(&Came) -> bool| self.cases.iter().filter(|case| is(&case.came)).count();
        let failures = count(|came| matches!(came, Came::Failed(_)));
        let errors = count(|came| matches!(came, Came::Error(_)));
        let skipped = count(|came| matches!(came, Came::Skipped(_)));
        let tests = self.cases.len();
        let counts = format!(r#"tests="{tests}" failures="{failures}" errors="{errors}""#);
        let (name, time) = (escaped(&self.name), seconds(self.took_ms));
        let began = self.timestamp.as_ref();
        let began = began.map_or_else(String::new, |began| {
            format!(r#" timestamp="{}""#, escaped(began))
        });
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"injector\" {counts} time=\"{time}\">\n  \
             <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\" time=\"{time}\"{began}>\n    <properties>\n"
        );
        for (term, value) in &self.properties {
            let value = escaped(value);
            let _ = writeln!(text, r#"      <property name="{term}" value="{value}"/>"#);
        }
        text.push_str("    </properties>\n");
        for case in &self.cases {
            case.push(&mut text);
        }
        let said = escaped(&self.said);
        let _ = writeln!(text, "    <system-out>{said}</system-out>");
        text.push_str("  </testsuite>\n</testsuites>\n");
        text
    }
}

impl Case {
    fn push(&self, text: &mut String) {
        let head = format!(
            r#"    <testcase name="{}" classname="{}" time="{}""#,
            escaped(&self.name),
            escaped(&self.class),
            seconds(self.took_ms)
        );
        let (element, why) = match &self.came {
            Came::Passed => {
                let _ = writeln!(text, "{head}/>");
                return;
            }
            Came::Failed(why) => ("failure", why),
            Came::Error(why) => ("error", why),
            Came::Skipped(why) => ("skipped", why),
        };
        let why = escaped(why);
        let _ = writeln!(
            text,
            "{head}>\n      <{element} message=\"{why}\"/>\n    </testcase>"
        );
    }
}

/// Seconds with three digits behind the point, as the schema wants them.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// A text on one line, as an attribute or between tags. What XML 1.0 has no way to say is escaped by
/// [`printable::line`] or replaced.
fn escaped(text: &str) -> String {
    let line = printable::line(text);
    let mut escaped = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn came() -> impl Strategy<Value = Came> {
        let why = "\\PC{0,20}|[\\x00-\\x1f<>&\"']{0,8}";
        prop_oneof![
            Just(Came::Passed),
            why.prop_map(Came::Failed),
            why.prop_map(Came::Error),
            why.prop_map(Came::Skipped),
        ]
    }

    proptest! {
        /// Whatever a suite is called and came to, a server reads it.
        #[test]
        fn every_document_has_the_form(
            cases in prop::collection::vec(("\\PC{0,20}|[<>&\"']{0,8}", any::<u64>(), came()), 0..6),
            name in "\\PC{0,20}", value in "[\\x00-\\x1f<>&\"']{0,8}", took_ms: u64,
        ) {
            let suite = Suite {
                name: name.clone(),
                took_ms,
                timestamp: (took_ms % 2 == 0).then(|| value.clone()),
                properties: vec![("kernel", value)],
                cases: cases.into_iter().map(|(case, took_ms, came)| Case {
                    class: name.clone(),
                    name: case,
                    took_ms,
                    came,
                }).collect(),
                said: name.clone(),
            };
            prop_assert_eq!(form::check(&suite.document()), Ok(()));
        }

        /// Whatever a text has, it stays a text, and every character of it is one that XML 1.0 has.
        #[test]
        fn texts_are_escaped(text in "\\PC*|[\\x00-\\x1f<>&\"'\u{fffe}\u{ffff}\u{202e}]*") {
            let escaped = escaped(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let is_allowed = |c: char| matches!(c, ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
            prop_assert!(escaped.chars().all(is_allowed), "{:?}", escaped);
            let mut back = escaped;
            for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")] {
                back = back.replace(entity, character);
            }
            let line = printable::line(&text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
            prop_assert_eq!(back, line);
        }
    }
}
