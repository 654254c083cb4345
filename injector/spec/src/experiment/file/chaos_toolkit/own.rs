//! The extension `injector`: what their format has no word for, and what `chaos` does not look at.
//!
//! ```yaml
//! extensions:
//!   - { name: injector, rto: 5s, baseline: 10s, recovery: 15s, probes: { health: { every: 250ms, fails: 2 of 3 } } }
//! ```

use super::{
    items,
    nodes::{entry, map, text},
};
use crate::{
    experiment::{
        file::{
            complaint::Complaint,
            fields::{Fields, unknown},
            node::{Content, Node, Place, Word},
            probe,
            steady_state::BASELINE,
        },
        steady_state::{CALM_TIME, Objectives},
    },
    quantity::duration,
};

/// What the extension is called.
pub(super) const NAME: &str = "injector";

/// The keys of the extension.
const KEYS: [&str; 5] = ["name", "rto", "baseline", "recovery", "probes"];

/// What the extension says.
#[derive(Clone, Copy, Default)]
pub(super) struct Own<'n> {
    pub(super) rto: Option<&'n Node>,
    baseline: Option<&'n Node>,
    recovery: Option<&'n Node>,
    /// When each probe is asked, by its name.
    probes: Option<&'n Node>,
}

impl<'n> Own<'n> {
    /// Finds it among the extensions; those of others are left out.
    pub(super) fn read(fields: &Fields<'n>) -> Result<Self, Complaint> {
        let is_own = |node: &&Node| {
            let name = node.get("name").map(|node| &node.content);
            matches!(name, Some(Content::Scalar(name)) if name == NAME)
        };
        let mut all = items(fields, "extensions")?.iter().filter(is_own);
        let Some(node) = all.next() else {
            return Ok(Self::default());
        };
        if let Some(again) = all.next() {
            let sentence = "the extension `injector` is there twice; leave one";
            return Err(Complaint::at(again.at, sentence));
        }
        let fields = Fields::of(node, "the extension `injector`", &KEYS)?;
        Ok(Self {
            rto: fields.get("rto"),
            baseline: fields.get("baseline"),
            recovery: fields.get("recovery"),
            probes: fields.get("probes"),
        })
    }

    /// What it says of when a probe is asked, over what the probe says itself.
    pub(super) fn pace(&self, probe: &str, asked: &mut Vec<(Word, Node)>) -> Result<(), Complaint> {
        let Some(node) = self.probes.and_then(|probes| probes.get(probe)) else {
            return Ok(());
        };
        let Content::Map(entries) = &node.content else {
            let sentence = "when a probe is asked is a map, as in `{every: 250ms, within: 250ms}`; write it so";
            return Err(Complaint::at(node.at, sentence));
        };
        for (key, value) in entries {
            if !probe::OF_ALL.contains(&key.text.as_str()) {
                return Err(unknown(key, "when a probe is asked", &probe::OF_ALL));
            }
            asked.retain(|(known, _)| known.text != key.text);
            asked.push(entry(key.at, &key.text, value.clone()));
        }
        Ok(())
    }

    /// Refuses what it says of a probe that there is none of.
    pub(super) fn check(&self, names: &[&str]) -> Result<(), Complaint> {
        let Some(node) = self.probes else {
            return Ok(());
        };
        let Content::Map(entries) = &node.content else {
            let sentence = "`probes` of the extension names probes, as in `{health: {every: 250ms}}`; write it so";
            return Err(Complaint::at(node.at, sentence));
        };
        let stray = entries
            .iter()
            .find(|(key, _)| !names.contains(&key.text.as_str()));
        match stray {
            Some((key, _)) => Err(unknown(key, "the steady state", names)),
            None => Ok(()),
        }
    }

    /// How long it is quiet in front of the first action: pauses there are no baseline.
    pub(super) fn baseline(&self, at: Place) -> Node {
        let usual = || text(at, duration::format(BASELINE));
        self.baseline.cloned().unwrap_or_else(usual)
    }

    /// How long it is quiet behind the last action.
    pub(super) fn recovery(&self, at: Place) -> Node {
        let rto = self.rto.and_then(|node| node.text("rto").ok());
        let rto = rto.and_then(|text| duration::parse(text).ok());
        let rto = rto.unwrap_or(Objectives::default().rto);
        let usual = || text(at, duration::format(rto.saturating_add(CALM_TIME)));
        self.recovery.cloned().unwrap_or_else(usual)
    }

    /// The same as a step of its own.
    pub(super) fn recovery_step(&self, at: Place) -> Node {
        let length = self.recovery(at);
        map(
            at,
            vec![
                entry(at, "name", text(at, "recovery")),
                entry(length.at, "pause", length),
            ],
        )
    }
}
