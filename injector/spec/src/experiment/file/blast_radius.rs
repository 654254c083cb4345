//! `blast-radius: { processes: 5, share: 50%, hits: 1000 }`.

use super::{complaint::Complaint, fields::Fields, node::Node};
use crate::{experiment::BlastRadius, printable};

/// The key.
pub(super) const KEY: &str = "blast-radius";

/// The keys below it, of which one is there at least.
pub(super) const BLAST_RADIUS: [&str; 3] = ["processes", "share", "hits"];

/// What the experiment reaches at most, where its file says it.
pub(super) fn blast_radius(fields: &Fields<'_>) -> Result<Option<BlastRadius>, Complaint> {
    let Some(node) = fields.get(KEY) else {
        return Ok(None);
    };
    let fields = Fields::of(node, "`blast-radius`", &BLAST_RADIUS)?;
    let share = fields.get("share").map(|node| {
        let share = node.text("share")?.parse();
        share.map_err(|error| Complaint::at(node.at, error))
    });
    let radius = BlastRadius {
        processes: count(&fields, "processes")?,
        share: share.transpose()?,
        hits: count::<u64>(&fields, "hits")?,
    };
    if radius == BlastRadius::default() {
        let sentence = "`blast-radius` says how far the run may reach, as in `{processes: 5, share: 50%, hits: 1000}`; write \
                        one of them, or leave it out";
        return Err(Complaint::at(node.at, sentence));
    }
    Ok(Some(radius))
}

/// A number of things.
fn count<N: std::str::FromStr>(fields: &Fields<'_>, key: &str) -> Result<Option<N>, Complaint> {
    let read = |node: &Node| {
        let text = node.text(key)?;
        text.parse().map_err(|_error| {
            let sentence = format!(
                "`{key}` is a whole number, as in `{key}: 5`, and not `{}`; correct it",
                printable::line(text)
            );
            Complaint::at(node.at, sentence)
        })
    };
    fields.get(key).map(read).transpose()
}
