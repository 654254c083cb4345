//! `steady-state-hypothesis`: what is asked before the method and after it there, and for the whole run here.

use super::{
    HYPOTHESIS, Source,
    activity::{Activity, Kind},
    is_empty, items,
    nodes::{entry, list, map, text},
    own::Own,
    tolerance,
};
use crate::{
    experiment::file::{
        complaint::Complaint,
        fields::Fields,
        node::{Node, Place, Word},
    },
    printable,
};

const KEYS: [&str; 3] = ["title", "probes", "controls"];

/// What is read of it.
pub(super) struct Hypothesis<'n> {
    at: Place,
    pub(super) title: Option<&'n Node>,
    /// The names of its probes there.
    names: Vec<&'n str>,
    /// Those here, with what they ask.
    probes: Vec<(Word, Node)>,
}

pub(super) fn read<'n>(
    fields: &Fields<'n>,
    own: &Own<'n>,
    source: Source<'_>,
) -> Result<Hypothesis<'n>, Complaint> {
    let mut hypothesis = Hypothesis {
        at: fields.at,
        title: None,
        names: Vec::new(),
        probes: Vec::new(),
    };
    let Some(node) = fields.get(HYPOTHESIS).filter(|node| !is_empty(node)) else {
        own.check(&[])?;
        return Ok(hypothesis);
    };
    let fields = Fields::of(node, "a steady-state hypothesis", &KEYS)?;
    super::refuse(
        &fields,
        "controls",
        "`controls` run code of Chaos Toolkit around the hypothesis, which injector does not do; leave them out",
    )?;
    hypothesis.at = node.at;
    hypothesis.title = fields.get("title");
    for node in items(&fields, "probes")? {
        let activity = Activity::read(node, source)?;
        let (name, at) = (activity.name.0, activity.name.1.at);
        if activity.kind == Kind::Action {
            let sentence = "an action is no part of a steady state, which is asked again and again; move it into `method`";
            return Err(Complaint::at(activity.at, sentence));
        }
        if hypothesis.names.contains(&name) {
            let name = printable::line(name);
            let sentence =
                format!("a second probe is called `{name}`; give each a name of its own");
            return Err(Complaint::at(at, sentence));
        }
        let tolerance = activity.tolerance.ok_or_else(|| {
            let sentence = "a probe of the steady state needs `tolerance`, what is right, as in `tolerance: 200`; add it";
            Complaint::at(activity.at, sentence)
        })?;
        for (more, mut asked) in tolerance::probes(&activity.provider, tolerance, source)? {
            own.pace(name, &mut asked)?;
            let probe = entry(at, format!("{name}{more}"), map(activity.at, asked));
            hypothesis.probes.push(probe);
        }
        hypothesis.names.push(name);
    }
    own.check(&hypothesis.names)?;
    Ok(hypothesis)
}

impl Hypothesis<'_> {
    /// Whether there is something to judge by.
    pub(super) const fn is_judged(&self) -> bool {
        !self.probes.is_empty()
    }

    /// Whether it has a probe of this name, which is asked all the time here.
    pub(super) fn asks(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// What a file of ours has for it.
    pub(super) fn entries(self, own: &Own<'_>, source: Source<'_>) -> Vec<(Word, Node)> {
        if !self.is_judged() {
            return Vec::new();
        }
        let at = self.at;
        let names = self.probes.iter();
        let names = names.map(|(name, _)| text(name.at, source.escaped(&name.text)));
        let mut entries = vec![entry(at, "steady-state", list(at, names.collect()))];
        entries.push(entry(at, "probes", map(at, self.probes)));
        if let Some(rto) = own.rto {
            let objectives = map(rto.at, vec![entry(rto.at, "rto", rto.clone())]);
            entries.push(entry(rto.at, "objectives", objectives));
        }
        let baseline = own.baseline(at);
        entries.push(entry(baseline.at, "baseline", baseline));
        entries
    }
}
