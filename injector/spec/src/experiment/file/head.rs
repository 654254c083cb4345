//! `apiVersion`, `labels` and `owner`.
//!
//! A file without `apiVersion` is one from before there was a version: it is read as it always was.

use std::collections::BTreeMap;

use super::{
    complaint::Complaint,
    fields::Fields,
    node::{Content, Node},
};
use crate::{
    experiment::head::{self, HeadError, MOST_LABELS},
    printable,
};

/// The version that this program reads.
pub const API_VERSION: &str = "injector/v1";

/// The key that has it.
pub(super) const KEY: &str = "apiVersion";

/// Refuses a file of another version, before its keys are looked at: they may mean something else there.
pub(super) fn check_version(root: &Node) -> Result<(), Complaint> {
    let Some(node) = root.get(KEY) else {
        return Ok(());
    };
    match node.text(KEY)? {
        API_VERSION => Ok(()),
        other => {
            let sentence = format!(
                "this injector reads `{KEY}: {API_VERSION}`, and not `{}`; write that, or use an injector that \
                 knows the other",
                printable::line(other)
            );
            Err(Complaint::at(node.at, sentence))
        }
    }
}

/// `labels: {team: payments}`
pub(super) fn labels(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, Complaint> {
    let Some(node) = fields.get("labels") else {
        return Ok(BTreeMap::new());
    };
    let Content::Map(entries) = &node.content else {
        let sentence = "`labels` is a map of texts, as in `labels: {team: payments}`; write it so";
        return Err(Complaint::at(node.at, sentence));
    };
    if entries.len() > MOST_LABELS {
        let error = HeadError::TooManyLabels(entries.len());
        return Err(Complaint::at(node.at, error));
    }
    entries
        .iter()
        .map(|(key, node)| {
            let value = node.text(&key.text)?;
            head::check_label(&key.text, value).map_err(|error| {
                let at = match error {
                    HeadError::LabelKey(_) => key.at,
                    _ => node.at,
                };
                Complaint::at(at, error)
            })?;
            Ok((key.text.clone(), value.to_owned()))
        })
        .collect()
}

/// `owner: payments team`
pub(super) fn owner(fields: &Fields<'_>) -> Result<Option<String>, Complaint> {
    let Some(node) = fields.get("owner") else {
        return Ok(None);
    };
    let owner = node.text("owner")?;
    head::check_owner(owner).map_err(|error| Complaint::at(node.at, error))?;
    Ok(Some(owner.to_owned()))
}
