//! Documents as text: YAML for people, and JSON line by line for the reader of files.

use std::fmt::Write as _;

use super::Document;
use crate::printable;

/// Columns that a list or an object may take; a longer one has a line for each of its values.
const WIDEST: usize = 100;

/// Words that YAML takes for something else than a text.
const NO_TEXTS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// A document as text, and what stands in each line.
pub(in crate::experiment) struct Lines {
    /// JSON, each value in a line of its own.
    pub(in crate::experiment) text: String,
    /// By line, the path of its value, as in `steps[0].name`; empty for the document itself.
    pub(in crate::experiment) paths: Vec<String>,
}

impl Document {
    /// As a file of YAML that a person reads.
    pub fn yaml(&self) -> String {
        let mut text = String::new();
        match self {
            Self::Object(fields) => block(fields, 0, &mut text),
            _ => {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{}", flow(self));
            }
        }
        text
    }

    pub(in crate::experiment) fn lines(&self) -> Lines {
        let mut lines = Lines {
            text: String::new(),
            paths: Vec::new(),
        };
        lines.value("", self, "", "");
        lines
    }

    const fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Object(_))
    }

    /// Whether it is best read in one line: a value, or a list or an object of values.
    fn is_flat(&self) -> bool {
        match self {
            Self::List(items) => !items.iter().any(Self::is_container),
            Self::Object(fields) => fields.iter().all(|(_, value)| match value {
                Self::List(items) => !items.iter().any(Self::is_container),
                Self::Object(fields) => !fields.iter().any(|(_, value)| value.is_container()),
                _ => true,
            }),
            _ => true,
        }
    }
}

fn block(fields: &[(String, Document)], indent: usize, text: &mut String) {
    for (key, value) in fields {
        let key = word(key);
        let _ = write!(text, "{:indent$}{key}:", "");
        if let Some(line) = line(value, indent + key.len() + 2) {
            let _ = writeln!(text, " {line}");
            continue;
        }
        text.push('\n');
        match value {
            Document::Object(fields) => block(fields, indent + 2, text),
            Document::List(items) => {
                for item in items {
                    entry(item, indent + 2, text);
                }
            }
            // One value is a line, however long.
            _ => {}
        }
    }
}

/// An item of a list: the first field of an object stands beside the dash.
fn entry(item: &Document, indent: usize, text: &mut String) {
    match (item, line(item, indent + 2)) {
        (Document::Object(fields), None) => {
            let from = text.len();
            block(fields, indent + 2, text);
            text.replace_range(from + indent..=from + indent, "-");
        }
        (_, line) => {
            let line = line.unwrap_or_else(|| flow(item));
            let _ = writeln!(text, "{:indent$}- {line}", "");
        }
    }
}

/// The value in one line, behind so many columns, where it is best read so.
fn line(value: &Document, behind: usize) -> Option<String> {
    if !value.is_flat() {
        return None;
    }
    let line = flow(value);
    let is_short = behind + line.chars().count() <= WIDEST;
    let is_empty = matches!(value, Document::Object(fields) if fields.is_empty());
    (is_short || is_empty || !value.is_container()).then_some(line)
}

fn flow(value: &Document) -> String {
    match value {
        Document::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Document::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Document::Object(fields) => {
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(key, value)| format!("{}: {}", word(key), flow(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Document::Text(text) => word(text),
        other => scalar(other),
    }
}

/// A text without quotation marks where it is read as the same text.
fn word(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/%-".contains(c))
        && !NO_TEXTS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn scalar(value: &Document) -> String {
    match value {
        Document::Text(text) => quoted(text),
        // Numbers, truth values and null always serialise.
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// As JSON has it, with each character that is not seen written as its number.
fn quoted(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap_or_default();
    printable::json(&text).into_owned()
}

impl Lines {
    /// Writes a value that is at `path`, behind `before` and with `after` at its end.
    fn value(&mut self, before: &str, value: &Document, after: &str, path: &str) {
        match value {
            Document::Object(fields) if !fields.is_empty() => {
                self.line(&format!("{before}{{"), path);
                for (place, (key, value)) in (1..).zip(fields) {
                    let inner = match path {
                        "" => key.clone(),
                        path => format!("{path}.{key}"),
                    };
                    let comma = if place == fields.len() { "" } else { "," };
                    self.value(&format!("{}: ", quoted(key)), value, comma, &inner);
                }
                self.line(&format!("}}{after}"), path);
            }
            Document::List(items) if !items.is_empty() => {
                self.line(&format!("{before}["), path);
                for (place, item) in items.iter().enumerate() {
                    let comma = if place + 1 == items.len() { "" } else { "," };
                    self.value("", item, comma, &format!("{path}[{place}]"));
                }
                self.line(&format!("]{after}"), path);
            }
            Document::Object(_) => self.line(&format!("{before}{{}}{after}"), path),
            Document::List(_) => self.line(&format!("{before}[]{after}"), path),
            other => self.line(&format!("{before}{}{after}", scalar(other)), path),
        }
    }

    fn line(&mut self, text: &str, path: &str) {
        self.text.push_str(text);
        self.text.push('\n');
        self.paths.push(path.to_owned());
    }
}
