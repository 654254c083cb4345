//! How the answer of a tool is changed.

use injector_spec::experiment::{Interface, ShapeChange};
use serde_json::{Map, Number, Value, json};

use super::call::{Message, TOOLS_CALL};

/// What is done to an answer that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alter {
    /// Nothing is in it.
    Empty,
    /// Its text is wrong.
    Garble,
    /// Its JSON breaks off in the middle.
    BreakOff,
    /// It has another shape.
    Reshape(ShapeChange),
    /// This is added to it.
    Inject(String),
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// The result of a tool, by MCP.
    Result,
    /// The result of another method.
    OtherResult,
    /// A document of JSON, all of it.
    Document,
}

impl Answers {
    /// By how a fault's tools are called, and what a request says.
    pub(crate) fn of(interface: Interface, message: Option<&Message>) -> Self {
        match (interface, message) {
            (Interface::Json, _) | (Interface::Mcp, None) => Self::Document,
            (Interface::Mcp, Some(message)) if message.method == TOOLS_CALL => Self::Result,
            (Interface::Mcp, Some(_)) => Self::OtherResult,
        }
    }
}

/// The text of an answer, changed; `None` where there is nothing that could be. What it says is not copied: it may be many
/// times as large as its text.
pub(crate) fn altered(
    text: &[u8],
    mut value: Value,
    alter: &Alter,
    answers: Answers,
) -> Option<Vec<u8>> {
    let is_changed = match alter {
        Alter::BreakOff => return (text.len() > 1).then(|| text[..text.len() / 2].to_vec()),
        Alter::Empty => each(&mut value, answers, empty),
        Alter::Garble => each(&mut value, answers, garble),
        Alter::Reshape(change) => {
            let reshape = |value: &mut Value| reshape(value, *change);
            match answers {
                Answers::Result => reshape_result(&mut value, *change),
                Answers::OtherResult | Answers::Document => each(&mut value, answers, reshape),
            }
        }
        Alter::Inject(added) => inject(&mut value, answers, added),
    };
    is_changed.then(|| value.to_string().into_bytes())
}

/// Does this to all of an answer that a tool has said; whether anything is another now.
fn each(value: &mut Value, answers: Answers, mut act: impl FnMut(&mut Value) -> bool) -> bool {
    match answers {
        Answers::Document => act(value),
        Answers::OtherResult => value.get_mut("result").is_some_and(act),
        Answers::Result => {
            let Some(result) = value.get_mut("result") else {
                return false;
            };
            let mut is_changed = false;
            if let Some(structured) = result.get_mut("structuredContent") {
                is_changed |= act(structured);
            }
            let Some(content) = result.get_mut("content") else {
                return is_changed;
            };
            for item in content.as_array_mut().into_iter().flatten() {
                if let Some(text) = item.get_mut("text") {
                    is_changed |= act(text);
                }
            }
            // An empty list, where nothing is left of its texts.
            let is_nothing = |item: &Value| item["text"] == "";
            if let Value::Array(items) = content
                && is_changed
            {
                items.retain(|item| !is_nothing(item));
            }
            is_changed
        }
    }
}

/// Texts and lists become empty; what else a value is stays.
fn empty(value: &mut Value) -> bool {
    match value {
        Value::String(text) => !std::mem::take(text).is_empty(),
        Value::Array(all) => !std::mem::take(all).is_empty(),
        Value::Object(all) => of_members(all, empty),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Keys of the protocol, whose values are no text of a tool's.
const PROTOCOL: [&str; 4] = ["_meta", "resultType", "type", "nextCursor"];

fn of_members(all: &mut Map<String, Value>, mut act: impl FnMut(&mut Value) -> bool) -> bool {
    let mut is_changed = false;
    for (key, value) in all {
        if !PROTOCOL.contains(&key.as_str()) {
            is_changed |= act(value);
        }
    }
    is_changed
}

/// Texts and numbers become others of the same length.
fn garble(value: &mut Value) -> bool {
    let other = match value {
        Value::String(text) => match nested(text) {
            Some(mut said) => {
                garble(&mut said);
                Value::from(said.to_string())
            }
            None => Value::from(garbled(text)),
        },
        Value::Number(number) => {
            let digits = garbled_digits(&number.to_string());
            let whole = digits.parse::<i64>().ok().map(Number::from);
            let fraction = || digits.parse().ok().and_then(Number::from_f64);
            let Some(other) = whole.or_else(fraction) else {
                return false;
            };
            Value::from(other)
        }
        Value::Array(all) => {
            let mut is_changed = false;
            for value in all {
                is_changed |= garble(value);
            }
            return is_changed;
        }
        Value::Object(all) => return of_members(all, garble),
        Value::Null | Value::Bool(_) => return false,
    };
    let is_changed = *value != other;
    *value = other;
    is_changed
}

/// What a text says that is an object or a list in JSON, as tools say what they also have in `structuredContent`.
fn nested(text: &str) -> Option<Value> {
    let is_one = text.trim_start().starts_with(['{', '[']);
    is_one.then(|| serde_json::from_str(text).ok())?
}

/// One letter or digit in so many becomes another.
const EVERY: usize = 4;

fn garbled(text: &str) -> String {
    let mut met = 0;
    let other = |sign: char| {
        if !sign.is_alphanumeric() {
            return sign;
        }
        met += 1;
        if (met - 1) % EVERY != 0 {
            return sign;
        }
        match sign {
            '0'..='9' => other_digit(sign),
            'a'..='m' | 'A'..='M' => char::from(sign as u8 + 13),
            'n'..='z' | 'N'..='Z' => char::from(sign as u8 - 13),
            _ => '?',
        }
    };
    text.chars().map(other).collect()
}

fn garbled_digits(number: &str) -> String {
    let is_first = |at: usize| number[..at].bytes().all(|byte| !byte.is_ascii_digit());
    let other = |(at, sign): (usize, char)| match sign {
        '0'..='9' if is_first(at) => other_digit(sign),
        _ => sign,
    };
    number.char_indices().map(other).collect()
}

/// A digit that is five more or less.
fn other_digit(digit: char) -> char {
    let digit = digit as u8 - b'0';
    char::from(b'0' + (digit + 5) % 10)
}

/// What a tool has said in `structuredContent`, and in texts that are JSON.
fn reshape_result(value: &mut Value, change: ShapeChange) -> bool {
    let Some(result) = value.get_mut("result") else {
        return false;
    };
    let mut is_changed = false;
    if let Some(structured) = result.get_mut("structuredContent") {
        is_changed |= reshape(structured, change);
    }
    let content = result.get_mut("content").and_then(Value::as_array_mut);
    for item in content.into_iter().flatten() {
        let Some(Value::String(text)) = item.get_mut("text") else {
            continue;
        };
        if let Some(mut said) = nested(text)
            && reshape(&mut said, change)
        {
            *text = said.to_string();
            is_changed = true;
        }
    }
    is_changed
}

fn reshape(value: &mut Value, change: ShapeChange) -> bool {
    match change {
        ShapeChange::Types => other_types(value),
        ShapeChange::Keys => other_keys(value),
    }
}

/// Texts become numbers, and what else is no list and no object becomes text.
fn other_types(value: &mut Value) -> bool {
    let other = match value {
        Value::String(text) => json!(text.chars().count()),
        Value::Number(_) | Value::Bool(_) | Value::Null => json!(value.to_string()),
        Value::Array(all) => {
            let mut is_changed = false;
            for value in all {
                is_changed |= other_types(value);
            }
            return is_changed;
        }
        Value::Object(all) => return of_members(all, other_types),
    };
    *value = other;
    true
}

/// The keys of the outermost objects have an underscore more.
fn other_keys(value: &mut Value) -> bool {
    match value {
        Value::Object(all) => {
            let is_changed = !all.is_empty();
            let members = std::mem::take(all).into_iter();
            *all = members
                .map(|(key, value)| (format!("{key}_"), value))
                .collect();
            is_changed
        }
        Value::Array(all) => {
            let mut is_changed = false;
            for value in all {
                is_changed |= other_keys(value);
            }
            is_changed
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Puts a text where an agent will read it: behind the last text of a result, and behind the longest text of what is
/// structured, since hosts hand a model the one or the other.
fn inject(value: &mut Value, answers: Answers, added: &str) -> bool {
    match answers {
        Answers::Document => append_to_longest(value, added),
        Answers::OtherResult => value
            .get_mut("result")
            .is_some_and(|result| append_to_longest(result, added)),
        Answers::Result => {
            let Some(Value::Object(result)) = value.get_mut("result") else {
                return false;
            };
            if let Some(structured) = result.get_mut("structuredContent") {
                append_to_longest(structured, added);
            }
            let content = result.entry("content").or_insert_with(|| json!([]));
            let Some(items) = content.as_array_mut() else {
                return false;
            };
            match items.iter_mut().rev().find_map(|item| item.get_mut("text")) {
                Some(Value::String(text)) => append(text, added),
                Some(_) | None => items.push(json!({"type": "text", "text": added})),
            }
            true
        }
    }
}

fn append(text: &mut String, added: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(added);
}

fn append_to_longest(value: &mut Value, added: &str) -> bool {
    match longest(value) {
        Some(text) => {
            append(text, added);
            true
        }
        None => false,
    }
}

fn longest(value: &mut Value) -> Option<&mut String> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(all) => all
            .iter_mut()
            .filter_map(longest)
            .max_by_key(|text| text.len()),
        Value::Object(all) => {
            let members = all
                .iter_mut()
                .filter(|(key, _)| !PROTOCOL.contains(&key.as_str()));
            let texts = members.filter_map(|(_, value)| longest(value));
            texts.max_by_key(|text| text.len())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests;
