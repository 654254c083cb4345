//! `ledgers`, and `rpo` under `objectives`.
//!
//! ```yaml
//! ledgers:
//!   orders:
//!     acknowledged: { file: /var/lib/client/acknowledged }
//!     kept: { command: ["/usr/local/bin/orders", "--ids"] }
//!     within: 10s
//! objectives: { rpo: { ledger: orders, lost: 0, torn: 0, double: 0, age: 5s } }
//! ```
//! `rpo` is a map, or a list of them where several ledgers have an objective.

use super::{
    command,
    complaint::Complaint,
    fields::Fields,
    node::{Content, Node, Word},
    time_of,
};
use crate::{
    experiment::ledger::{Ledger, LedgerError, MOST_LEDGERS, Rpo, Source, USUAL_READING},
    nearest,
};

/// The keys of a ledger.
pub(super) const LEDGER: [&str; 3] = ["acknowledged", "kept", "within"];

/// Where a list is read from: one of these.
pub(super) const SOURCES: [&str; 3] = [
    SourceKey::File.word(),
    SourceKey::Command.word(),
    SourceKey::Http.word(),
];

/// The key of a [`Source`].
#[derive(Clone, Copy)]
enum SourceKey {
    File,
    Command,
    Http,
}

impl SourceKey {
    const ALL: [Self; 3] = [Self::File, Self::Command, Self::Http];

    const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Command => "command",
            Self::Http => "http",
        }
    }
}

/// The keys of a recovery point objective.
pub(super) const RPO: [&str; 5] = ["ledger", "lost", "torn", "double", "age"];

/// The ledgers without their objectives; none where the file has none.
pub(super) fn ledgers(fields: &Fields<'_>) -> Result<Vec<Ledger>, Complaint> {
    let Some(node) = fields.get("ledgers") else {
        return Ok(Vec::new());
    };
    let entries = match &node.content {
        Content::Map(entries) if !entries.is_empty() => entries,
        Content::Null | Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
            let sentence = "`ledgers` names each ledger and its two lists, as in `orders: {acknowledged: {file: /a}, \
                            kept: {file: /b}}`; write it so, or leave `ledgers` out";
            return Err(Complaint::at(node.at, sentence));
        }
    };
    if entries.len() > MOST_LEDGERS {
        let too_many = LedgerError::TooMany(entries.len());
        return Err(Complaint::at(node.at, too_many));
    }
    entries
        .iter()
        .map(|(name, node)| ledger(name, node))
        .collect()
}

fn ledger(name: &Word, node: &Node) -> Result<Ledger, Complaint> {
    let fields = Fields::of(node, "a ledger", &LEDGER)?;
    let ledger = Ledger {
        name: name.text.clone(),
        acknowledged: source(&fields, "acknowledged")?,
        kept: source(&fields, "kept")?,
        within: time_of(&fields, "within")?.unwrap_or(USUAL_READING),
        rpo: None,
    };
    let at = fields.get("within").map_or(node.at, |within| within.at);
    ledger
        .check_within()
        .map_err(|error| Complaint::at(at, error))?;
    Ok(ledger)
}

fn source(fields: &Fields<'_>, key: &'static str) -> Result<Source, Complaint> {
    let Some(node) = fields.get(key) else {
        let sentence = format!(
            "a ledger needs `{key}`, the list of ids that the service has {key}, as in `{key}: {{file: /var/lib/ids}}`; \
             add it"
        );
        return Err(Complaint::at(fields.at, sentence));
    };
    let list = Fields::of(node, "a list of a ledger", &SOURCES)?;
    let named: Vec<(SourceKey, &Node)> = SourceKey::ALL
        .into_iter()
        .filter_map(|key| Some((key, list.get(key.word())?)))
        .collect();
    let [(key, value)] = named[..] else {
        let kinds = SOURCES.join(", ");
        let sentence = format!("a list of a ledger is read from one of {kinds}; write one of them");
        return Err(Complaint::at(node.at, sentence));
    };
    let source = match key {
        SourceKey::File => Source::File(value.text(key.word())?.into()),
        SourceKey::Command => Source::Command(command::words(value)?),
        SourceKey::Http => {
            let url = value.text(key.word())?.parse();
            Source::Http(url.map_err(|error| Complaint::at(value.at, error))?)
        }
    };
    source
        .check()
        .map_err(|error| Complaint::at(value.at, error))?;
    Ok(source)
}

/// Gives the ledgers the objectives that the file has for them.
pub(super) fn objectives(node: &Node, ledgers: &mut [Ledger]) -> Result<(), Complaint> {
    let one = [node.clone()];
    let all = match &node.content {
        Content::List(items) if !items.is_empty() => &items[..],
        Content::Map(_) => &one[..],
        Content::Null | Content::Scalar(_) | Content::List(_) => {
            let sentence = "`rpo` is a map, or a list of at least one, as in `{ledger: orders, lost: 0}`; write it so";
            return Err(Complaint::at(node.at, sentence));
        }
    };
    all.iter().try_for_each(|node| objective(node, ledgers))
}

fn objective(node: &Node, ledgers: &mut [Ledger]) -> Result<(), Complaint> {
    let fields = Fields::of(node, "`rpo`", &RPO)?;
    let Some(wanted) = fields.get("ledger") else {
        let sentence = "`rpo` needs `ledger`, the name of one under `ledgers`; add it";
        return Err(Complaint::at(node.at, sentence));
    };
    let name = wanted.text("ledger")?;
    let Some(index) = ledgers.iter().position(|ledger| ledger.name == name) else {
        let names = ledgers.iter().map(|ledger| ledger.name.as_str());
        let hint = if ledgers.is_empty() {
            "the file has none, so add it under `ledgers`".to_owned()
        } else {
            nearest::hint(name, names)
        };
        let name = crate::printable::line(name);
        let sentence = format!("no ledger is called `{name}`; {hint}");
        return Err(Complaint::at(wanted.at, sentence));
    };
    let rpo = Rpo {
        lost: number(&fields, "lost")?,
        torn: number(&fields, "torn")?,
        double: number(&fields, "double")?,
        age: time_of(&fields, "age")?,
    };
    let at = fields.get("age").map_or(node.at, |age| age.at);
    rpo.check().map_err(|error| Complaint::at(at, error))?;
    if ledgers[index].rpo.replace(rpo).is_some() {
        let sentence = format!("ledger `{name}` has two objectives; leave one of them");
        return Err(Complaint::at(wanted.at, sentence));
    }
    Ok(())
}

/// How many are allowed: none where nothing is said.
fn number(fields: &Fields<'_>, name: &str) -> Result<u64, Complaint> {
    let Some(node) = fields.get(name) else {
        return Ok(0);
    };
    let text = node.text(name)?;
    text.parse().map_err(|_| {
        let text = crate::printable::line(text);
        let sentence =
            format!("`{name}` is a number of items, and not `{text}`; write one, as in `0`");
        Complaint::at(node.at, sentence)
    })
}
