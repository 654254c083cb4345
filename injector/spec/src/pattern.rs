//! Regular expressions, and what is wrong with one in this program's words.
//!
//! The crate `regex` matches in time that grows with the text by a factor that the pattern sets, and both are bounded:
//! patterns come from people, texts from servers and logs that may want to keep a probe busy. Its own sentences are for those who program with
//! it, so each kind of error has one here.

use std::{fmt, str::FromStr};

use regex_syntax::{Error, ast::ErrorKind};

use crate::printable;

/// The longest, in characters.
pub const LONGEST: usize = 512;

/// What it may take when it is compiled, in bytes.
const LARGEST: usize = 1 << 20;

/// A regular expression that compiles, for bytes that need not be UTF-8.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    compiled: regex::bytes::Regex,
}

/// Why a text is no [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing is there, and that is everywhere.
    #[error("an empty regular expression matches everything; write what is looked for")]
    Empty,
    /// More than anybody reads.
    #[error("a regular expression has at most {LONGEST} characters; write a shorter one")]
    Long,
    /// It cannot be read.
    #[error(
        "`{pattern}` is not a regular expression: {why}; correct it, or put a backslash in front of a sign that means \
         itself"
    )]
    Syntax {
        /// The text.
        pattern: String,
        /// What is wrong, and where in it.
        why: String,
    },
}

impl Pattern {
    /// The text that it was read from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches anywhere in these bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.compiled.is_match(bytes)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.chars().count() > LONGEST {
            return Err(PatternError::Long);
        }
        let syntax = |why| PatternError::Syntax {
            pattern: printable::line(text).into_owned(),
            why,
        };
        let compiled = regex::bytes::RegexBuilder::new(text)
            .size_limit(LARGEST)
            .build();
        match compiled {
            Ok(compiled) => Ok(Self {
                text: text.to_owned(),
                compiled,
            }),
            Err(_) => Err(syntax(
                unreadable(text).unwrap_or_else(|| TOO_BIG.to_owned()),
            )),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(out)
    }
}

const TOO_BIG: &str =
    "it needs more memory than a pattern may take, for its repetitions are too large";

/// What is wrong with a regular expression, as half a sentence; `None` where it compiles.
pub(crate) fn why_not(pattern: &str) -> Option<String> {
    regex::Regex::new(pattern).err()?;
    Some(unreadable(pattern).unwrap_or_else(|| TOO_BIG.to_owned()))
}

/// What cannot be read of it; `None` where it can be, and is too large.
fn unreadable(pattern: &str) -> Option<String> {
    let (kind, at) = match regex_syntax::Parser::new().parse(pattern) {
        Ok(_) => return None,
        Err(Error::Parse(error)) => (sentence(error.kind()), error.span().start.column),
        Err(Error::Translate(error)) => (
            "it has a class or a flag that there is not",
            error.span().start.column,
        ),
        // The enum is open: what a later version adds.
        Err(_) => (UNREADABLE, 1),
    };
    Some(format!("{kind} (character {at})"))
}

const UNREADABLE: &str = "it cannot be read";

fn sentence(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::GroupUnclosed => "a group is opened by `(` and not closed",
        ErrorKind::GroupUnopened => "`)` closes a group that is not open",
        ErrorKind::ClassUnclosed => "a class is opened by `[` and not closed",
        ErrorKind::ClassRangeInvalid | ErrorKind::ClassRangeLiteral => {
            "a range in a class goes from a letter to a later one"
        }
        ErrorKind::ClassEscapeInvalid => "this escape has no place in a class",
        ErrorKind::RepetitionMissing => "there is nothing in front of it to be repeated",
        ErrorKind::RepetitionCountInvalid
        | ErrorKind::RepetitionCountDecimalEmpty
        | ErrorKind::RepetitionCountUnclosed
        | ErrorKind::DecimalEmpty
        | ErrorKind::DecimalInvalid => "a repetition is a number, or two in order, as in `{2,5}`",
        ErrorKind::EscapeUnexpectedEof => "it ends with a backslash that escapes nothing",
        ErrorKind::EscapeUnrecognized => "this escape means nothing",
        ErrorKind::EscapeHexEmpty
        | ErrorKind::EscapeHexInvalid
        | ErrorKind::EscapeHexInvalidDigit => "this escape is the number of no character",
        ErrorKind::UnsupportedBackreference => "there are no back references",
        ErrorKind::UnsupportedLookAround => "there is no looking ahead or behind",
        ErrorKind::UnicodeClassInvalid => "there is no such class of characters",
        ErrorKind::NestLimitExceeded(_) | ErrorKind::CaptureLimitExceeded => {
            "its groups are too many, or too deep in each other"
        }
        ErrorKind::FlagDanglingNegation
        | ErrorKind::FlagDuplicate { .. }
        | ErrorKind::FlagRepeatedNegation { .. }
        | ErrorKind::FlagUnexpectedEof
        | ErrorKind::FlagUnrecognized => "its flags cannot be read",
        ErrorKind::GroupNameDuplicate { .. }
        | ErrorKind::GroupNameEmpty
        | ErrorKind::GroupNameInvalid
        | ErrorKind::GroupNameUnexpectedEof => "the name of a group cannot be read",
        // What a later version adds.
        _ => UNREADABLE,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_classes_are_those_of_unicode() {
        for (pattern, text) in [("(?i)straße", "STRAßE"), (r"\p{Greek}+", "δ")] {
            let read: Pattern = pattern.parse().unwrap();
            assert!(read.is_in(text.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn mistakes_have_a_place_and_our_words() {
        for (text, part) in [
            (
                "a(b",
                "a group is opened by `(` and not closed (character 2)",
            ),
            ("ä)", "`)` closes a group that is not open (character 2)"),
            ("[a", "a class is opened by `[`"),
            ("[z-a]", "a range in a class"),
            ("*", "nothing in front of it"),
            ("a{2,1}", "a repetition is a number"),
            ("a\\", "ends with a backslash"),
            ("\\y", "this escape means nothing"),
            ("\\1", "no back references"),
            ("(?=a)", "no looking ahead"),
            ("a{1000}{1000}{1000}", "more memory"),
            ("", "matches everything"),
        ] {
            let said = text.parse::<Pattern>().unwrap_err().to_string();
            assert!(said.contains(part), "{text}: {said}");
        }
        let long = "a".repeat(LONGEST + 1);
        assert_eq!(long.parse::<Pattern>(), Err(PatternError::Long));
    }

    #[test]
    fn it_finds_bytes_that_are_no_text() {
        let pattern: Pattern = "time.?out".parse().unwrap();
        assert!(pattern.is_in(b"\xff a timeout \xff") && !pattern.is_in(b"\xff"));
    }

    proptest! {
        #[test]
        fn reading_is_total(text in "\\PC{0,40}|[a(){}\\[\\]*+?|\\\\^$0-9,-]{0,24}") {
            if let Err(error) = text.parse::<Pattern>() {
                prop_assert!(error.to_string().contains("; "), "{}", error);
            }
        }
    }
}
