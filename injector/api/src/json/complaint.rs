//! What is wrong with a body, and where in it.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::Tree;

/// The longest part of a body that a complaint repeats, in characters.
const LONGEST: usize = 64;

/// A mistake in a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// From the outside in, as in `experiment.steps[0].name`; empty for the body itself.
    place: String,
    what: What,
}

/// The mistakes there are.
#[derive(Debug, PartialEq, Eq)]
enum What {
    /// One kind of value in the place of another.
    Wanted {
        wanted: &'static str,
        found: &'static str,
    },
    /// A number, or a text, that cannot be.
    OutOfRange(String),
    /// A list of the wrong length.
    Length(usize),
    /// A word that means nothing here.
    Word {
        word: String,
        known: &'static [&'static str],
    },
    /// A field that means nothing here.
    Field {
        field: String,
        known: &'static [&'static str],
    },
    /// A field that has to be there.
    Missing(String),
    /// A field that is there again.
    Twice(String),
    /// What a type has to say itself.
    Own(String),
}

impl Complaint {
    fn new(what: What) -> Self {
        let place = String::new();
        Self { place, what }
    }

    /// `wanted` is wanted, and something else is there.
    pub(super) fn wanted(wanted: &'static str, found: &Tree) -> Self {
        Self::new(What::Wanted {
            wanted,
            found: name(found),
        })
    }

    /// A field that is there again.
    pub(super) fn twice(field: &str) -> Self {
        Self::new(What::Twice(short(field)))
    }

    /// Whether it is about what a text says, which no schema can tell.
    pub(crate) const fn is_of_a_text(&self) -> bool {
        matches!(self.what, What::Own(_))
    }

    /// The same, seen from the object around.
    pub(super) fn in_field(mut self, field: &str) -> Self {
        let field = short(field);
        self.place = match self.place.as_str() {
            "" => field,
            place if place.starts_with('[') => format!("{field}{place}"),
            place => format!("{field}.{place}"),
        };
        self
    }

    /// The same, seen from the list around.
    pub(super) fn in_item(mut self, index: usize) -> Self {
        self.place = match self.place.as_str() {
            place if place.is_empty() || place.starts_with('[') => format!("[{index}]{place}"),
            place => format!("[{index}].{place}"),
        };
        self
    }
}

/// What people call it.
fn name(tree: &Tree) -> &'static str {
    match tree {
        Tree::Null => "null",
        Tree::Bool(_) => "true or false",
        Tree::Unsigned(_) | Tree::Signed(_) | Tree::Float(_) => "a number",
        Tree::Text(_) => "a text",
        Tree::List(_) => "a list",
        Tree::Object(_) => "an object",
    }
}

/// At most so much of what a client sent, without control characters.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.escape_debug().to_string()
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => out.write_str("the body: ")?,
            place => write!(out, "`{place}`: ")?,
        }
        let list = |known: &[&str]| known.join(", ");
        match &self.what {
            What::Wanted { wanted, found } => write!(out, "{wanted} is wanted here, not {found}"),
            What::OutOfRange(value) => write!(out, "{value} is not possible here"),
            What::Length(1) => out.write_str("a list of one item is not possible here"),
            What::Length(count) => write!(out, "a list of {count} items is not possible here"),
            What::Word { word, known } => {
                write!(
                    out,
                    "`{word}` means nothing here; write one of {}",
                    list(known)
                )
            }
            What::Field { field, known: [] } => {
                write!(out, "there is no field `{field}` here; leave it out")
            }
            What::Field { field, known } => {
                write!(
                    out,
                    "there is no field `{field}` here; there are {}",
                    list(known)
                )
            }
            What::Missing(field) => write!(out, "the field `{field}` is missing; add it"),
            What::Twice(field) => write!(out, "the field `{field}` is there twice; leave one"),
            What::Own(text) => out.write_str(text),
        }
    }
}

impl std::error::Error for Complaint {}

impl Error for Complaint {
    fn custom<T: fmt::Display>(said: T) -> Self {
        Self::new(What::Own(said.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::new(What::OutOfRange(value(found)))
    }

    fn invalid_value(found: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::new(What::OutOfRange(value(found)))
    }

    fn invalid_length(count: usize, _: &dyn Expected) -> Self {
        Self::new(What::Length(count))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        let word = short(word);
        Self::new(What::Word { word, known })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let field = short(field);
        Self::new(What::Field { field, known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(What::Missing(field.to_owned()))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::twice(field)
    }
}

fn value(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(text) => format!("`{}`", short(text)),
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map | Unexpected::Enum => "an object".to_owned(),
        _ => "this".to_owned(),
    }
}
