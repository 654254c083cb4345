//! A list of names from among a few, as `notify: [webhook, journald]`.

use super::{complaint::Complaint, fields::Fields};
use crate::{nearest, printable};

/// What may be named, and how it is spoken of.
pub(super) struct Named<'n, T> {
    pub(super) key: &'n str,
    /// What one of them is: `notifier`.
    pub(super) what: &'n str,
    /// A name that stands in an example.
    pub(super) example: &'n str,
    pub(super) all: &'n [T],
    pub(super) name: fn(T) -> &'static str,
}

impl<T: Copy + PartialEq> Named<'_, T> {
    /// Those that the file names, in its order; none where it has no such key.
    pub(super) fn read(&self, fields: &Fields<'_>) -> Result<Vec<T>, Complaint> {
        let Self {
            key, what, example, ..
        } = self;
        let Some(node) = fields.get(key) else {
            return Ok(Vec::new());
        };
        let items = node.list().filter(|items| !items.is_empty());
        let items = items.ok_or_else(|| {
            let sentence = format!(
                "`{key}` is a list of at least one {what}, as in `{key}: [{example}]`; write one, or leave `{key}` out"
            );
            Complaint::at(node.at, sentence)
        })?;
        let mut named = Vec::new();
        for node in items {
            let name = node.text(key)?;
            let found = self.all.iter().find(|one| (self.name)(**one) == name);
            let one = *found.ok_or_else(|| {
                let hint = nearest::hint(name, self.all.iter().map(|one| (self.name)(*one)));
                let name = printable::line(name);
                Complaint::at(node.at, format!("no {what} is called `{name}`; {hint}"))
            })?;
            if named.contains(&one) {
                let sentence = format!("`{key}` names `{name}` twice; leave one of them");
                return Err(Complaint::at(node.at, sentence));
            }
            named.push(one);
        }
        Ok(named)
    }
}
