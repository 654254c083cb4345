//! What the parser of TOML complains about, in words of our own.
//!
//! The crate gives a text and no kind. So its sentences are known here by their beginnings, and one that
//! is not known is replaced by a sentence that is always true. What our own types complain about passes as
//! it is: they use none of these beginnings.

use crate::nearest::nearest;

/// What is wrong, and what to do.
pub(super) fn sentence(message: &str) -> String {
    let message = message.trim();
    let (first, _) = message.split_once('\n').unwrap_or((message, ""));
    let unknown_name = ["unknown field ", "unknown variant "]
        .iter()
        .find_map(|beginning| first.strip_prefix(beginning));
    if let Some(rest) = unknown_name {
        return unknown(rest);
    }
    if let Some(rest) = first.strip_prefix("missing field ") {
        let key = rest.trim_matches('`');
        return format!("the key `{key}` is missing here; add it");
    }
    if let Some(rest) = first.strip_prefix("invalid type: ") {
        return wrong_type(rest);
    }
    let known = SYNTAX
        .iter()
        .find(|(beginning, _)| first.starts_with(beginning));
    match known {
        Some((_, sentence)) => (*sentence).to_owned(),
        None if is_ours(first) => first.to_owned(),
        None => NO_TOML.to_owned(),
    }
}

/// Beginnings of the crate's sentences.
const SYNTAX: &[(&str, &str)] = &[
    (
        "duplicate key",
        "this key or section stands here for the second time; leave one of them",
    ),
    ("unclosed", "a bracket is opened and not closed; close it"),
    (
        "missing comma",
        "a comma is missing; put one between the values",
    ),
    (
        "extra comma",
        "a comma stands where none belongs; remove it",
    ),
    (
        "key with no value",
        "the key has no value; write `key = value`, or leave it out",
    ),
    (
        "missing value",
        "the key has no value; write `key = value`, or leave it out",
    ),
    ("extra `=`", "one `=` too many; write `key = value`"),
    (
        "string values must be quoted",
        "a text stands in quotation marks; write it so",
    ),
    (
        "invalid basic string",
        "the text is not closed, or has an escape that means nothing; close it, or use single quotation marks",
    ),
    (
        "invalid literal string",
        "the text is not closed; close it with a quotation mark",
    ),
    (
        "invalid multi-line",
        "the text is not closed; close it with three quotation marks",
    ),
    (
        "integer number overflowed",
        "the number is out of range; write a smaller one",
    ),
    (
        "floating-point number overflowed",
        "the number is out of range; write a smaller one",
    ),
];

const NO_TOML: &str = "this is no TOML that injector reads; write `[section]` and `key = value`, each on a \
                       line of its own, and texts in quotation marks";

/// The crate never writes a semicolon; our complaints say what to do behind one.
fn is_ours(message: &str) -> bool {
    message.contains("; ")
}

/// From "`max_hitz`, expected one of `a`, `b`".
fn unknown(rest: &str) -> String {
    let mut names = rest.split('`').skip(1).step_by(2);
    let given = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let hint = match nearest(given, known.iter().copied()) {
        Some(like) => format!("did you mean `{like}`?"),
        None => format!("known are: {}", known.join(", ")),
    };
    format!("nothing is called `{given}` here; {hint}")
}

/// From "string \"many\", expected u32". What is expected is a word of ours, where our types say it.
fn wrong_type(rest: &str) -> String {
    let (found, wanted) = rest.rsplit_once(", expected ").unwrap_or((rest, ""));
    let (kind, value) = found.split_once([' ', '`']).unwrap_or((found, ""));
    let value = value.trim_start_matches("point ").trim_matches(['`', '"']);
    let found = match kind {
        "string" => format!("`{value}` is a text"),
        "integer" => format!("`{value}` is a whole number"),
        "floating" => format!("`{value}` is a number with a fraction"),
        "boolean" => "this is true or false".to_owned(),
        "sequence" => "this is a list".to_owned(),
        "map" => "this is a section".to_owned(),
        _ => "this is a value of another kind".to_owned(),
    };
    let wanted = match wanted {
        "a boolean" => "true or false",
        "a string" | "a borrowed string" => "a text in quotation marks",
        "a sequence" => "a list, as in `[\"a\", \"b\"]`",
        "a map" => "keys with values",
        "i64" | "u64" | "u32" | "usize" => "a whole number",
        other if other.starts_with("struct ") => "a section, as in `[limits]`",
        other if !other.is_empty() => other,
        _ => "something else",
    };
    format!("{found}, and {wanted} belongs here; write it so")
}
