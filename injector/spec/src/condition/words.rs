//! A condition's line, cut into words.

use super::ConditionError;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A name, a number, a unit.
    Plain(String),
    /// `>`, `>=`, `<` or `<=`.
    Sign(String),
    /// `"..."`, as in JSON.
    Quoted(String),
    /// `["...", ...]`, as in JSON.
    List(Vec<String>),
}

/// Cuts a line. Blanks separate; `>` and `<` do so too.
pub(super) fn cut(line: &str) -> Result<Vec<Word>, ConditionError> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, length) = match first {
            '"' | '[' => json(rest)?,
            '<' | '>' => {
                let length = if rest[1..].starts_with('=') { 2 } else { 1 };
                (Word::Sign(rest[..length].to_owned()), length)
            }
            _ => {
                let ends = |character: char| character.is_whitespace() || "<>".contains(character);
                let length = rest.find(ends).unwrap_or(rest.len());
                (Word::Plain(rest[..length].to_owned()), length)
            }
        };
        words.push(word);
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

/// A text or a list of texts at the beginning, and its length in bytes. An address in brackets, as in
/// `[::1]:80`, is neither.
fn json(rest: &str) -> Result<(Word, usize), ConditionError> {
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde_json::Value>();
    let value = values.next().and_then(Result::ok);
    let length = values.byte_offset();
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    };
    let word = match value {
        Some(serde_json::Value::String(text)) => Some(Word::Quoted(text)),
        Some(serde_json::Value::Array(items)) => items
            .into_iter()
            .map(text)
            .collect::<Option<_>>()
            .map(Word::List),
        _ if rest.starts_with('[') && rest.contains("]:") => {
            let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
            return Ok((Word::Plain(rest[..length].to_owned()), length));
        }
        _ => None,
    };
    word.map(|word| (word, length))
        .ok_or_else(|| ConditionError::Quotes(rest.to_owned()))
}

impl std::fmt::Display for Word {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(text) | Self::Sign(text) => text.fmt(out),
            Self::Quoted(text) => quoted(text).fmt(out),
            Self::List(items) => list(items).fmt(out),
        }
    }
}

/// A text as [`cut`] reads it back.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text as one word, between quotation marks where it would be cut otherwise.
pub(super) fn word(text: &str) -> String {
    match cut(text).as_deref() {
        Ok([Word::Plain(word)]) if word == text => text.to_owned(),
        Ok(_) | Err(_) => quoted(text),
    }
}

/// A list as [`cut`] reads it back.
pub(crate) fn list(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}
