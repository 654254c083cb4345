//! `tags`: what an experiment is found by. A tag is a word there, and a key with a value here.

use std::collections::BTreeMap;

use super::{
    Source, items,
    nodes::{entry, map, text},
};
use crate::experiment::file::{
    complaint::Complaint,
    fields::Fields,
    node::{Node, Word},
};

/// The value of a label that was a word.
pub(super) const WORD: &str = "true";

/// What stands between the key and the value of a label that is written as a tag.
pub(super) const BETWEEN: char = '=';

/// The labels. What may not stand in a key becomes `-`: labels change nothing in a run.
pub(super) fn labels(
    fields: &Fields<'_>,
    source: Source<'_>,
) -> Result<Option<(Word, Node)>, Complaint> {
    let Some(node) = fields.get("tags") else {
        return Ok(None);
    };
    let mut labels = BTreeMap::new();
    for tag in items(fields, "tags")? {
        let word = tag.text("tags")?;
        let (key, value) = word.split_once(BETWEEN).unwrap_or((word, WORD));
        let key = key.trim().replace(|c| !is_of_a_key(c), "-");
        let key = key.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        if !key.is_empty() && !value.trim().is_empty() {
            let value = text(tag.at, source.escaped(value));
            labels.insert(key.to_owned(), (tag.at, value));
        }
    }
    let labels: Vec<_> = labels
        .into_iter()
        .map(|(key, (at, value))| entry(at, key, value))
        .collect();
    Ok((!labels.is_empty()).then(|| entry(node.at, "labels", map(node.at, labels))))
}

fn is_of_a_key(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_./".contains(character)
}
