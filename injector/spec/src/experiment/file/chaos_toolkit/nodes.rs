//! Nodes of a file of ours that come from places in a document of theirs.

use super::Source;
use crate::experiment::file::{
    complaint::Complaint,
    node::{Content, Node, Place, Word},
};

pub(super) fn text(at: Place, text: impl Into<String>) -> Node {
    Node {
        at,
        content: Content::Scalar(text.into()),
    }
}

pub(super) fn list(at: Place, items: Vec<Node>) -> Node {
    Node {
        at,
        content: Content::List(items),
    }
}

pub(super) fn map(at: Place, entries: Vec<(Word, Node)>) -> Node {
    Node {
        at,
        content: Content::Map(entries),
    }
}

pub(super) fn entry(at: Place, key: impl Into<String>, node: Node) -> (Word, Node) {
    let text = key.into();
    (Word { at, text }, node)
}

/// Seconds, which they write as a bare number; `None` where there are none.
pub(super) fn seconds(node: &Node, key: &str) -> Result<Option<Node>, Complaint> {
    let written = node.text(key)?.trim();
    let is_zero = written.parse::<f64>().is_ok_and(|number| number == 0.0);
    Ok((!is_zero).then(|| text(node.at, format!("{written}s"))))
}

/// Whether there is nothing in it.
pub(super) fn is_empty(node: &Node) -> bool {
    match &node.content {
        Content::Null => true,
        Content::Scalar(text) => text.is_empty(),
        Content::List(items) => items.is_empty(),
        Content::Map(entries) => entries.is_empty(),
    }
}

impl Source<'_> {
    /// A text that their variables are not put into.
    pub(super) fn literal(&self, node: &Node, key: &str) -> Result<Node, Complaint> {
        Ok(text(node.at, self.escaped(node.text(key)?)))
    }

    /// The same, of a text. Without a configuration `${` means nothing, there as here.
    pub(super) fn escaped(&self, text: &str) -> String {
        if self.has_variables {
            text.replace("${", "$${")
        } else {
            text.to_owned()
        }
    }

    /// Whether a scalar stands in quotation marks: `"200"` is a text there, and `200` a number.
    pub(super) fn is_quoted(&self, at: Place) -> bool {
        let number = |number: u64| usize::try_from(number.saturating_sub(1)).ok();
        let line = number(at.line).and_then(|line| self.text.lines().nth(line));
        let column = number(at.column);
        let begins = line
            .zip(column)
            .and_then(|(line, column)| line.chars().nth(column));
        matches!(begins, Some('"' | '\''))
    }

    /// A scalar as JSON: what stands in quotation marks, and what is nothing else, is a text.
    pub(super) fn json(&self, node: &Node, written: &str) -> serde_json::Value {
        let bare = (!self.is_quoted(node.at))
            .then(|| serde_json::from_str(written).ok())
            .flatten();
        bare.unwrap_or_else(|| written.into())
    }
}
