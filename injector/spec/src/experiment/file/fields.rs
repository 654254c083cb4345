//! A map whose keys are known.

use super::{
    complaint::Complaint,
    node::{Content, Node, Place, Word},
};
use crate::nearest;

/// The fields of a map, all of them known.
pub(super) struct Fields<'a> {
    /// Where the map begins.
    pub(super) at: Place,
    /// What it is, with its article.
    pub(super) what: &'static str,
    entries: &'a [(Word, Node)],
}

impl<'a> Fields<'a> {
    /// Checks that the node is a map and knows all its keys.
    pub(super) fn of(
        node: &'a Node,
        what: &'static str,
        known: &[&'static str],
    ) -> Result<Self, Complaint> {
        let Content::Map(entries) = &node.content else {
            let names = known.join(", ");
            return Err(Complaint::at(
                node.at,
                format!("{what} is a map of {names}; write it so"),
            ));
        };
        for (word, _) in entries {
            if !known.contains(&word.text.as_str()) {
                return Err(unknown(word, what, known));
            }
        }
        Ok(Self {
            at: node.at,
            what,
            entries,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(word, _)| word.text == name)
            .map(|(_, node)| node)
    }

    pub(super) fn key_place(&self, name: &str) -> Option<Place> {
        self.entries
            .iter()
            .find(|(word, _)| word.text == name)
            .map(|(word, _)| word.at)
    }

    /// The text of a field, where it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Complaint> {
        self.get(name)
            .map(|node| node.text(name).map(str::to_owned))
            .transpose()
    }
}

/// The complaint about a key that this program does not know.
pub(super) fn unknown(word: &Word, what: &str, known: &[&str]) -> Complaint {
    let hint = nearest::hint(&word.text, known.iter().copied());
    Complaint::at(
        word.at,
        format!("{what} has no field `{}`; {hint}", word.text),
    )
}
