//! `operations`, and what names them.
//!
//! ```yaml
//! operations:
//!   calls: { of: agent, connect-to: "127.0.0.1:8443", good: { within: 2s } }
//!   dials: { of: agent, kind: connect }
//! steady-state: [ { operations: calls, ratio: ">= 99%" }, dials ]
//! ```

use super::{
    complaint::Complaint,
    fields::Fields,
    node::{Content, Node, Place},
    time_of,
};
use crate::{
    condition::Host,
    experiment::{NamedOperation, OperationKind, ProbeMode, ProbeRole, Ratio, Target},
    nearest, printable,
};

/// The keys of a stream of operations.
pub(super) const OPERATIONS: [&str; 4] = ["of", "kind", "connect-to", "good"];

/// The keys of `good`.
pub(super) const GOOD: [&str; 1] = ["within"];

/// The keys of an item of `steady-state` that says a share.
pub(super) const SHARE: [&str; 2] = ["operations", "ratio"];

/// The keys of a probe that is not asked all the time.
const ASKED: [&str; 2] = ["probe", "mode"];

/// The operations that a file watches, each with the place of its name; what they are about is said elsewhere.
pub(super) fn operations(
    fields: &Fields<'_>,
    targets: &[Target],
) -> Result<Vec<(NamedOperation, Place)>, Complaint> {
    let Some(node) = fields.get("operations") else {
        return Ok(Vec::new());
    };
    let Content::Map(entries) = &node.content else {
        let sentence = "`operations` names what of a target is watched, as in `calls: {of: agent}`; write it so";
        return Err(Complaint::at(node.at, sentence));
    };
    entries
        .iter()
        .map(|(name, node)| Ok((operation(&name.text, node, targets)?, name.at)))
        .collect()
}

fn operation(name: &str, node: &Node, targets: &[Target]) -> Result<NamedOperation, Complaint> {
    let empty = Node {
        at: node.at,
        content: Content::Map(Vec::new()),
    };
    let node = match node.content {
        Content::Null => &empty,
        Content::Scalar(_) | Content::List(_) | Content::Map(_) => node,
    };
    let fields = Fields::of(node, "a stream of operations", &OPERATIONS)?;
    let within = match fields.get("good") {
        Some(good) => time_of(&Fields::of(good, "`good`", &GOOD)?, "within")?,
        None => None,
    };
    Ok(NamedOperation {
        name: name.to_owned(),
        role: ProbeRole::SteadyState,
        of: of(&fields, targets)?,
        kind: kind(&fields)?,
        connect_to: connect_to(&fields)?,
        within,
        ratio: Ratio::WHOLE,
    })
}

/// The target's name; of the only one where none is said.
fn of(fields: &Fields<'_>, targets: &[Target]) -> Result<String, Complaint> {
    let names = || targets.iter().map(|target| target.name.as_str());
    let Some(node) = fields.get("of") else {
        if let [only] = targets {
            return Ok(only.name.clone());
        }
        let known = names().collect::<Vec<_>>().join(", ");
        let sentence =
            format!("the operations need `of`, since there are several targets: {known}; add it");
        return Err(Complaint::at(fields.at, sentence));
    };
    let name = node.text("of")?;
    if names().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let hint = nearest::hint(name, names());
    let name = printable::line(name);
    Err(Complaint::at(
        node.at,
        format!("no target is called `{name}`; {hint}"),
    ))
}

fn kind(fields: &Fields<'_>) -> Result<OperationKind, Complaint> {
    let Some(node) = fields.get("kind") else {
        return Ok(OperationKind::default());
    };
    let text = node.text("kind")?;
    let mut kinds = OperationKind::ALL.into_iter();
    kinds.find(|kind| kind.name() == text).ok_or_else(|| {
        let hint = nearest::hint(text, OperationKind::ALL.map(OperationKind::name));
        let text = printable::line(text);
        Complaint::at(node.at, format!("no kind of operation is `{text}`; {hint}"))
    })
}

pub(super) fn connect_to(fields: &Fields<'_>) -> Result<Vec<Host>, Complaint> {
    let Some(node) = fields.get("connect-to") else {
        return Ok(Vec::new());
    };
    let items = node.list().unwrap_or(std::slice::from_ref(node));
    if items.is_empty() {
        let sentence = "`connect-to` is empty; name a host and a port, or leave it out";
        return Err(Complaint::at(node.at, sentence));
    }
    let host = |node: &Node| {
        let text = node.text("connect-to")?;
        text.parse().map_err(|error| Complaint::at(node.at, error))
    };
    items.iter().map(host).collect()
}

/// What an item of `steady-state` or `controls` names.
#[derive(Clone, Copy)]
pub(super) struct Named<'n> {
    pub(super) name: &'n str,
    pub(super) of: Of,
    /// Where it stands.
    pub(super) at: Place,
}

/// What an item says besides a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Nothing: a probe, or all operations.
    Either,
    /// Operations, and the share that has to be good.
    Operations(Ratio),
    /// A probe, and when it is asked.
    Probe(ProbeMode),
}

/// Reads an item: a name, `{operations: calls, ratio: ">= 99%"}`, or `{probe: orders, mode: on-fault}`.
pub(super) fn named<'n>(node: &'n Node, key: &str) -> Result<Named<'n>, Complaint> {
    let Content::Map(_) = node.content else {
        return Ok(Named {
            name: node.text(key)?,
            of: Of::Either,
            at: node.at,
        });
    };
    if let Some(probe) = node.get("probe") {
        let fields = Fields::of(node, "a probe of the steady state", &ASKED)?;
        return Ok(Named {
            name: probe.text("probe")?,
            of: Of::Probe(fields.get("mode").map_or(Ok(ProbeMode::default()), mode)?),
            at: probe.at,
        });
    }
    let fields = Fields::of(node, "a share of operations", &SHARE)?;
    let Some(name) = fields.get("operations") else {
        let sentence = "`ratio` says which share of operations has to be good, and names none; add `operations`, as in \
             `{operations: calls, ratio: \">= 99%\"}`";
        let at = fields.key_place("ratio").unwrap_or(node.at);
        return Err(Complaint::at(at, sentence));
    };
    let share = match fields.get("ratio") {
        Some(node) => {
            let share = node.text("ratio")?.parse();
            Some(share.map_err(|error| Complaint::at(node.at, error))?)
        }
        None => None,
    };
    Ok(Named {
        name: name.text("operations")?,
        of: Of::Operations(share.unwrap_or(Ratio::WHOLE)),
        at: name.at,
    })
}

fn mode(node: &Node) -> Result<ProbeMode, Complaint> {
    let text = node.text("mode")?;
    let found = ProbeMode::ALL.into_iter().find(|mode| mode.name() == text);
    found.ok_or_else(|| {
        let names = ProbeMode::ALL.map(ProbeMode::name);
        let sentence = format!(
            "`{}` is no mode of a probe; write one of {}",
            printable::line(text),
            names.join(", ")
        );
        Complaint::at(node.at, sentence)
    })
}
