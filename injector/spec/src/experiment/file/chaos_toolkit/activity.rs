//! One activity: a probe or an action, with its provider.

use super::{
    Source, is_empty,
    nodes::{self, entry, map},
    provider::Provider,
};
use crate::{
    experiment::file::{
        complaint::Complaint,
        fields::Fields,
        node::{Node, Place},
    },
    printable,
};

const KEYS: [&str; 9] = [
    "type",
    "name",
    "provider",
    "tolerance",
    "pauses",
    "background",
    "controls",
    "secrets",
    "configuration",
];

/// What an activity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It looks.
    Probe,
    /// It does something.
    Action,
}

pub(super) struct Activity<'n> {
    pub(super) at: Place,
    pub(super) kind: Kind,
    /// As it stands there, and as a file of ours has it.
    pub(super) name: (&'n str, Node),
    pub(super) provider: Provider<'n>,
    pub(super) tolerance: Option<&'n Node>,
    /// Pauses before and behind it, each a step.
    pub(super) before: Option<Node>,
    pub(super) after: Option<Node>,
}

impl<'n> Activity<'n> {
    pub(super) fn read(node: &'n Node, source: Source<'_>) -> Result<Self, Complaint> {
        let fields = Fields::of(node, "an activity", &KEYS)?;
        let missing = |key: &str, as_in: &str| {
            let sentence = format!("an activity needs `{key}`, as in `{as_in}`; add it");
            Complaint::at(node.at, sentence)
        };
        super::refuse(
            &fields,
            "controls",
            "`controls` run code of Chaos Toolkit around this activity, which injector does not do; leave them out",
        )?;
        super::refuse(
            &fields,
            "secrets",
            "`secrets` come from a store that injector does not ask; leave them out, and let the program get what it needs",
        )?;
        if let Some(background) = fields.get("background")
            && background.text("background")? != "false"
        {
            let sentence = "an activity in the `background` goes on beside those that follow, and steps come one after \
                            the other here; leave it out, or write an experiment of injector, whose steps have several \
                            faults at once";
            return Err(Complaint::at(background.at, sentence));
        }
        let kind = fields
            .get("type")
            .ok_or_else(|| missing("type", "type: action"))?;
        let kind = match kind.text("type")? {
            "probe" => Kind::Probe,
            "action" => Kind::Action,
            other => {
                let other = printable::line(other);
                let sentence = format!(
                    "an activity is a `probe` or an `action`, and not `{other}`; write one of them"
                );
                return Err(Complaint::at(kind.at, sentence));
            }
        };
        let name = fields
            .get("name")
            .ok_or_else(|| missing("name", "name: slow down"))?;
        let provider = fields
            .get("provider")
            .ok_or_else(|| missing("provider", "provider: {type: process, path: /bin/true}"))?;
        let (before, after) = match fields.get("pauses") {
            Some(pauses) if !is_empty(pauses) => pauses_of(pauses)?,
            Some(_) | None => (None, None),
        };
        Ok(Self {
            at: node.at,
            kind,
            name: (name.text("name")?, source.literal(name, "name")?),
            provider: Provider::read(provider)?,
            tolerance: fields.get("tolerance"),
            before,
            after,
        })
    }

    /// A step with its name, and this in it.
    pub(super) fn step(&self, key: &str, content: Node) -> Node {
        let name = entry(self.name.1.at, "name", self.name.1.clone());
        map(self.at, vec![name, entry(content.at, key, content)])
    }
}

fn pauses_of(node: &Node) -> Result<(Option<Node>, Option<Node>), Complaint> {
    let fields = Fields::of(node, "`pauses`", &["before", "after"])?;
    let pause = |key: &str| {
        let Some(node) = fields.get(key) else {
            return Ok(None);
        };
        let time = nodes::seconds(node, key)?;
        Ok(time.map(|time| map(time.at, vec![entry(time.at, "pause", time)])))
    };
    Ok((pause("before")?, pause("after")?))
}
