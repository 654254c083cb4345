//! What has to stand in an answer of JSON: `$.queue < 10`, `$.status == "ok"`, `$.items[?@.late]`.
//!
//! The path is one of RFC 9535, by the crate `serde_json_path`. What follows it is held against every value that the
//! path finds; where it finds none, the answer is wrong. A path alone asks that there is a value.
//!
//! Paths are bounded, for they are asked of what a server sends, several times a second: at most one `..`, no `$`
//! within, one selector in a bracket, and brackets not too deep in each other. So the work grows with the answer and not with its square.

use std::{fmt, str::FromStr};

use serde_json::Value;
use serde_json_path::JsonPath;

use super::number::{Comparator, Number, Wanted};
use crate::printable;

/// The longest, in characters.
const LONGEST: usize = 256;
/// How deep brackets may stand in each other.
const DEEPEST: usize = 4;

/// What has to stand in an answer of JSON.
#[derive(Clone, Debug)]
pub struct JsonTest {
    path: JsonPath,
    text: String,
    holds: Option<Holds>,
}

/// What a value has to be.
#[derive(Clone, Debug, PartialEq)]
enum Holds {
    /// A number in this order to another.
    Order(Wanted<Number>),
    /// The same.
    Same(Value),
    /// Anything else.
    Other(Value),
}

/// Why a text is no [`JsonTest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum JsonTestError {
    #[error(
        "`{path}` cannot be read as a JSON path from its character {at} on; write one as in `$.queue`, `$['a b']`, \
         `$.items[0].state` or `$.items[?@.late]`"
    )]
    Path { path: String, at: usize },
    #[error(
        "a JSON path has at most {LONGEST} characters, and this one has more; write a shorter one"
    )]
    Long,
    #[error(
        "`{0}` would take a server's answer apart again and again; write a path with at most one `..`, no `$` but the \
         first, no comma, and brackets at most {DEEPEST} deep"
    )]
    Costly(String),
    #[error(
        "`{0}` is no value that an answer's can be held against; write a number, as in `$.queue < 10`, or behind `==` \
         and `!=` a text in quotation marks, `true`, `false` or `null`"
    )]
    Value(String),
}

impl JsonTest {
    /// Whether it holds for the bytes of an answer; if not, why, in half a sentence.
    pub fn check(&self, body: &[u8]) -> Result<(), String> {
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return Err("the body is no JSON".to_owned());
        };
        let found = self.path.query(&answer);
        let path = &self.text;
        if found.is_empty() {
            return Err(format!("`{path}` is not there"));
        }
        let Some(holds) = &self.holds else {
            return Ok(());
        };
        match found.iter().find(|value| !holds.by(value)) {
            None => Ok(()),
            Some(wrong) => {
                let wrong = printable::json(&wrong.to_string()).into_owned();
                let of = if found.len() > 1 { "a value of " } else { "" };
                Err(format!("{of}`{path}` is {wrong}"))
            }
        }
    }
}

impl JsonTest {
    /// The path, and the value that has to be there, where one has; `None` for an order, and for a value that must not be.
    pub(crate) fn same(&self) -> Option<(&str, Option<&Value>)> {
        match &self.holds {
            None => Some((&self.text, None)),
            Some(Holds::Same(value)) => Some((&self.text, Some(value))),
            Some(Holds::Order(_) | Holds::Other(_)) => None,
        }
    }
}

impl Holds {
    fn by(&self, value: &Value) -> bool {
        match self {
            Self::Order(wanted) => {
                let number = value.as_f64().and_then(Number::new);
                number.is_some_and(|number| wanted.is_met_by(number))
            }
            Self::Same(other) => is_same(value, other),
            Self::Other(other) => !is_same(value, other),
        }
    }
}

/// `1` and `1.0` are the same number.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq(),
        _ => one == other,
    }
}

impl FromStr for JsonTest {
    type Err = JsonTestError;

    fn from_str(text: &str) -> Result<Self, JsonTestError> {
        let text = text.trim();
        if text.chars().count() > LONGEST {
            return Err(JsonTestError::Long);
        }
        let shown = |text: &str| printable::line(text).into_owned();
        let outline = Outline::of(text);
        let (path, rest) = text.split_at(outline.end);
        let path = path.trim_end();
        if outline.is_costly {
            return Err(JsonTestError::Costly(shown(path)));
        }
        let parsed = JsonPath::parse(path).map_err(|error| JsonTestError::Path {
            path: shown(path),
            at: path
                .char_indices()
                .take_while(|(byte, _)| *byte < error.position())
                .count()
                + 1,
        })?;
        let holds = if rest.is_empty() {
            None
        } else {
            Some(holds(rest).ok_or_else(|| JsonTestError::Value(shown(rest)))?)
        };
        Ok(Self {
            path: parsed,
            text: path.to_owned(),
            holds,
        })
    }
}

/// What follows a path: a sign and a value.
fn holds(rest: &str) -> Option<Holds> {
    let value = |text: &str| {
        let value: Value = serde_json::from_str(text.trim()).ok()?;
        // Of a list or a map people do not mean the order and the blanks.
        (!value.is_array() && !value.is_object()).then_some(value)
    };
    if let Some(text) = rest.strip_prefix("==") {
        return value(text).map(Holds::Same);
    }
    if let Some(text) = rest.strip_prefix("!=") {
        return value(text).map(Holds::Other);
    }
    let (comparator, text) = Comparator::ALL
        .into_iter()
        .filter_map(|comparator| Some((comparator, rest.strip_prefix(comparator.sign())?)))
        .max_by_key(|(comparator, _)| comparator.sign().len())?;
    let number = text.trim().parse().ok()?;
    Some(Holds::Order(Wanted { comparator, number }))
}

/// Where a path ends, and what it would cost.
struct Outline {
    /// Where what follows the path begins, in bytes.
    end: usize,
    is_costly: bool,
}

impl Outline {
    fn of(text: &str) -> Self {
        let (mut depth, mut deepest, mut descents, mut roots) = (0_usize, 0, 0, 0);
        let mut has_several = false;
        let mut quote = None;
        let mut is_escaped = false;
        let mut last = ' ';
        let mut end = text.len();
        for (at, character) in text.char_indices() {
            if let Some(mark) = quote {
                if is_escaped {
                    is_escaped = false;
                } else if character == '\\' {
                    is_escaped = true;
                } else if character == mark {
                    quote = None;
                }
                continue;
            }
            match character {
                '\'' | '"' => quote = Some(character),
                '[' | '(' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                ']' | ')' => depth = depth.saturating_sub(1),
                '.' if last == '.' => descents += 1,
                // Several selectors in one bracket find the same value several times, and the next bracket again.
                ',' => has_several = true,
                '$' => roots += 1,
                '<' | '>' | '=' | '!' if depth == 0 => {
                    end = at;
                    break;
                }
                _ => {}
            }
            last = character;
        }
        Self {
            end,
            is_costly: deepest > DEEPEST || descents > 1 || roots > 1 || has_several,
        }
    }
}

impl PartialEq for JsonTest {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.holds == other.holds
    }
}

impl fmt::Display for JsonTest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(out)?;
        match &self.holds {
            None => Ok(()),
            Some(Holds::Order(wanted)) => write!(out, " {wanted}"),
            Some(Holds::Same(value)) => write!(out, " == {value}"),
            Some(Holds::Other(value)) => write!(out, " != {value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    const BODY: &str = r#"{"queue": 7, "status": "ok", "late": false, "none": null,
        "items": [{"n": 1, "late": true}, {"n": 12}], "a b": {"<": 3}}"#;

    fn check(test: &str) -> Result<(), String> {
        test.parse::<JsonTest>().unwrap().check(BODY.as_bytes())
    }

    #[test]
    fn what_holds_holds_for_every_value() {
        for test in [
            "$.queue < 10",
            "$.queue>=7",
            "$.queue == 7.0",
            "$.queue != 8",
            "$.status == \"ok\"",
            "$.late == false",
            "$.none == null",
            "$.queue",
            "$.none",
            "$.items[*].n <= 12",
            "$.items[?@.n < 5].late == true",
            "$..n > 0",
            "$['a b']['<'] == 3",
            " $['a b'][\"<\"]  ",
        ] {
            assert_eq!(check(test), Ok(()), "{test}");
        }
        for (test, why) in [
            ("$.queue > 10", "`$.queue` is 7"),
            ("$.items[*].n < 12", "a value of `$.items[*].n` is 12"),
            ("$.status == \"OK\"", "`$.status` is \"ok\""),
            ("$.status < 3", "`$.status` is \"ok\""),
            ("$.queu", "`$.queu` is not there"),
            ("$.items[?@.n > 50].n < 99", "is not there"),
        ] {
            let said = check(test).unwrap_err();
            assert!(said.contains(why), "{test}: {said}");
        }
        let test: JsonTest = "$.a".parse().unwrap();
        assert_eq!(test.check(b"<html>"), Err("the body is no JSON".into()));
    }

    #[test]
    fn mistakes_are_told_by_what_they_are() {
        for (test, part) in [
            (
                "queue < 10",
                "`queue` cannot be read as a JSON path from its character 1",
            ),
            ("", "cannot be read"),
            ("$.a[", "cannot be read"),
            ("$.a < ten", "`< ten` is no value"),
            ("$.a < \"b\"", "is no value"),
            ("$.a == {}", "is no value"),
            ("$.a == ok", "is no value"),
            ("$.a = 3", "is no value"),
            ("$.a <", "is no value"),
            ("$..a..b", "at most one `..`"),
            ("$[?$.a]", "no `$` but the first"),
            ("$[?(((((@.a)))))]", "at most 4 deep"),
        ] {
            let said = test.parse::<JsonTest>().unwrap_err().to_string();
            assert!(said.contains(part), "{test}: {said}");
        }
        let long = format!("$.{}", "a".repeat(LONGEST));
        assert_eq!(long.parse::<JsonTest>(), Err(JsonTestError::Long));
    }

    /// A path of the costliest kind, of as large an answer as is read.
    #[test]
    fn a_large_answer_takes_no_long_time() {
        let body = format!("[{}1]", "[1,[2]],".repeat(120_000));
        let test: JsonTest = "$..[?@[?@ == 2]][?@ == 3]".parse().unwrap();
        let begun = Instant::now();
        assert!(test.check(body.as_bytes()).is_err());
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    }

    proptest! {
        #[test]
        fn reading_is_total(text in "\\PC{0,40}|\\$[.a\\[\\]()?@*'\"<>=!0-9 ]{0,40}") {
            if let Ok(test) = text.parse::<JsonTest>() {
                let again: JsonTest = test.to_string().parse().unwrap();
                prop_assert_eq!(&again, &test);
                let _ = test.check(BODY.as_bytes());
            }
        }
    }
}
