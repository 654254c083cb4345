//! `probes`, `steady-state`, `controls`, `detect`, `objectives`, `baseline` and `recovery`; `operations` are in
//! [`operations`].
//!
//! ```yaml
//! probes:
//!   tasks: http http://127.0.0.1:8080/health every 250ms within 250ms
//!   neighbour: tcp 127.0.0.1:5432 every 500ms within 500ms
//!   alarm: { http: "http://127.0.0.1:9093/alerts", body: "AgentDown", every: 1s }
//! steady-state: [tasks]
//! controls: [neighbour]
//! detect: alarm
//! objectives: { rto: 5s }
//! baseline: 10s
//! recovery: 15s
//! ```
//! A probe is the line of a halt condition, or a map ([`probe`]), and fails with one failure where it says no `fails`.

use std::time::Duration;

use super::{
    complaint::Complaint,
    fields::Fields,
    halt, ledgers,
    node::{Content, Node, Place},
    operations::{self, Named, Of},
    probe,
    steps::{Ground, Walk, gate},
    time_of,
};
use crate::{
    condition::Question,
    experiment::{
        Latency, Ledger, NamedOperation, ProbeMode, Quantile, Ratio, Step, Target,
        steady_state::{CALM_TIME, Detect, NamedProbe, Objectives, ProbeRole, SteadyState},
    },
    nearest,
};

/// The keys of `objectives`.
pub(super) const OBJECTIVES: [&str; 5] = ["rto", "rpo", "detect", "success", "latency"];

/// The keys of `latency`, of which one is there.
pub(super) const QUANTILES: [&str; 4] = {
    let [a, b, c, d] = Quantile::ALL;
    [a.name(), b.name(), c.name(), d.name()]
};

/// How long the baseline is where nothing is said.
pub(super) const BASELINE: Duration = Duration::from_secs(30);

/// What is measured; none where the file names no probe and no operations.
pub(super) fn steady_state(
    fields: &Fields<'_>,
    targets: &[Target],
) -> Result<Option<SteadyState>, Complaint> {
    let (asked, watched) = match (fields.get("probes"), fields.get("operations")) {
        (None, None) => {
            for alone in [
                "steady-state",
                "controls",
                "detect",
                "ledgers",
                "objectives",
            ] {
                if let Some(at) = fields.key_place(alone) {
                    let sentence = format!(
                        "`{alone}` needs `probes` or `operations`, as in `probes: {{health: tcp 127.0.0.1:80}}`; add them"
                    );
                    return Err(Complaint::at(at, sentence));
                }
            }
            return Ok(None);
        }
        (probes, _) => {
            let asked = probes.map_or_else(|| Ok(Vec::new()), questions)?;
            (asked, operations::operations(fields, targets)?)
        }
    };
    let detect = detect(fields, &asked)?;
    let is_of_detect = |index: usize| detect.as_ref().is_some_and(|(found, _)| *found == index);
    let known: Vec<&str> = asked
        .iter()
        .map(|(name, ..)| name.as_str())
        .chain(watched.iter().map(|(operation, _)| operation.name.as_str()))
        .collect();
    let mut roles = vec![None; known.len()];
    for (key, role) in [
        ("steady-state", ProbeRole::SteadyState),
        ("controls", ProbeRole::Control),
    ] {
        for (index, item) in named(fields, key, &known, asked.len())? {
            if roles[index].replace((role, item.of)).is_some() || is_of_detect(index) {
                let what = Kind::at(index, asked.len());
                let sentence = format!(
                    "{} named twice; what is measured is about the steady state, a control or the alarm, once",
                    what.called(known[index])
                );
                return Err(Complaint::at(item.at, sentence));
            }
        }
    }
    let of_operations = roles.split_off(asked.len());
    let of_gates = fields.get("steps").map(gate::named).unwrap_or_default();
    let of_halt = halt::named(fields);
    let is_named_elsewhere = |name: &str| of_gates.contains(&name) || of_halt.contains(&name);
    let mut probes = Vec::new();
    for (index, ((name, question, at), role)) in asked.iter().cloned().zip(roles).enumerate() {
        match role {
            Some((role, of)) => probes.push(NamedProbe {
                name,
                role,
                mode: match of {
                    Of::Probe(mode) => mode,
                    Of::Either | Of::Operations(_) => ProbeMode::default(),
                },
                question,
            }),
            None if is_named_elsewhere(&name) || is_of_detect(index) => {}
            None => {
                return Err(Kind::Probe.unused(&name, at));
            }
        }
    }
    let mut operations = Vec::new();
    for ((operation, at), role) in watched.into_iter().zip(of_operations) {
        let Some((role, of)) = role else {
            return Err(Kind::Operations.unused(&operation.name, at));
        };
        let ratio = match of {
            Of::Operations(ratio) => ratio,
            Of::Either | Of::Probe(_) => Ratio::default(),
        };
        operations.push(NamedOperation {
            role,
            ratio,
            ..operation
        });
    }
    let mut ledgers = ledgers::ledgers(fields)?;
    let objectives = objectives(fields, &mut ledgers)?;
    let is_measured = !probes.is_empty() || !operations.is_empty();
    // Gates and halt conditions alone ask them, so there is nothing to judge.
    let is_judged = is_measured || detect.is_some() || !ledgers.is_empty();
    Ok(is_judged.then_some(SteadyState {
        probes,
        operations,
        objectives,
        detect: detect.map(|(_, detect)| detect),
        ledgers,
    }))
}

/// What a name stands for.
#[derive(Clone, Copy)]
enum Kind {
    Probe,
    Operations,
}

impl Kind {
    /// That of a position among all names, the first so many of which are probes'.
    const fn at(index: usize, probes: usize) -> Self {
        if index < probes {
            Self::Probe
        } else {
            Self::Operations
        }
    }

    /// The beginning of a sentence about one.
    fn called(self, name: &str) -> String {
        match self {
            Self::Probe => format!("probe `{name}` is"),
            Self::Operations => format!("operations `{name}` are"),
        }
    }

    /// The complaint about one that is defined and not used.
    fn unused(self, name: &str, at: Place) -> Complaint {
        let places = match self {
            Self::Probe => "`steady-state`, `controls` or `detect`, in a gate or under `halt`",
            Self::Operations => "`steady-state` or `controls`",
        };
        let called = self.called(name);
        let sentence = format!("{called} used nowhere; name it under {places}, or leave it out");
        Complaint::at(at, sentence)
    }
}

/// The probe that tells of the target's own alarm, and its position.
fn detect(
    fields: &Fields<'_>,
    known: &[(String, Question, Place)],
) -> Result<Option<(usize, Detect)>, Complaint> {
    let Some(node) = fields.get("detect") else {
        return Ok(None);
    };
    let index = position(node, node.text("detect")?, known)?;
    let (name, question, _) = &known[index];
    let detect = Detect {
        name: name.clone(),
        question: question.clone(),
    };
    Ok(Some((index, detect)))
}

/// The probes with their names and places.
fn questions(node: &Node) -> Result<Vec<(String, Question, Place)>, Complaint> {
    let Content::Map(entries) = &node.content else {
        let sentence = "`probes` names each probe and what it asks, as in `health: tcp 127.0.0.1:80`; write it so";
        return Err(Complaint::at(node.at, sentence));
    };
    entries
        .iter()
        .map(|(name, node)| {
            let question = probe::question(&name.text, node)?;
            Ok((name.text.clone(), question, name.at))
        })
        .collect()
}

/// The positions of what a list names; the first `probes` of the known are probes.
fn named<'n>(
    fields: &Fields<'n>,
    key: &str,
    known: &[&str],
    probes: usize,
) -> Result<Vec<(usize, Named<'n>)>, Complaint> {
    let Some(node) = fields.get(key) else {
        return Ok(Vec::new());
    };
    let items = node
        .list()
        .filter(|items| !items.is_empty())
        .ok_or_else(|| {
            let sentence = format!(
                "`{key}` is a list of at least one probe's name, as in `[health]`; write one"
            );
            Complaint::at(node.at, sentence)
        })?;
    items
        .iter()
        .map(|node| {
            let item = operations::named(node, key)?;
            let (meant, what) = match item.of {
                Of::Operations(_) => (probes..known.len(), "no operations are"),
                Of::Probe(_) => (0..probes, "no probe is"),
                Of::Either if probes == known.len() => (0..probes, "no probe is"),
                Of::Either => (0..known.len(), "no probe and no operations are"),
            };
            let first = meant.start;
            let candidates = &known[meant];
            let position = candidates.iter().position(|known| *known == item.name);
            position
                .map(|position| (first + position, item))
                .ok_or_else(|| {
                    let hint = nearest::hint(item.name, candidates.iter().copied());
                    let name = crate::printable::line(item.name);
                    Complaint::at(item.at, format!("{what} called `{name}`; {hint}"))
                })
        })
        .collect()
}

/// The position of the probe that has this name.
fn position(
    node: &Node,
    name: &str,
    known: &[(String, Question, Place)],
) -> Result<usize, Complaint> {
    let names = || known.iter().map(|(name, ..)| name.as_str());
    names().position(|known| known == name).ok_or_else(|| {
        let hint = nearest::hint(name, names());
        let name = crate::printable::line(name);
        Complaint::at(node.at, format!("no probe is called `{name}`; {hint}"))
    })
}

fn objectives(fields: &Fields<'_>, ledgers: &mut [Ledger]) -> Result<Objectives, Complaint> {
    let mut objectives = Objectives::default();
    if let Some(node) = fields.get("objectives") {
        let fields = Fields::of(node, "`objectives`", &OBJECTIVES)?;
        if let Some(rto) = time_of(&fields, "rto")? {
            objectives.rto = rto;
        }
        objectives.detect = time_of(&fields, "detect")?;
        if let Some(node) = fields.get("success") {
            let share = node.text("success")?.parse();
            objectives.success = Some(share.map_err(|error| Complaint::at(node.at, error))?);
        }
        objectives.latency = fields.get("latency").map(latency).transpose()?;
        if let Some(node) = fields.get("rpo") {
            ledgers::objectives(node, ledgers)?;
        }
    }
    Ok(objectives)
}

/// `latency: {p99: 500ms}`
fn latency(node: &Node) -> Result<Latency, Complaint> {
    let fields = Fields::of(node, "`latency`", &QUANTILES)?;
    let named = Quantile::ALL.map(|quantile| {
        let within = time_of(&fields, quantile.name())?;
        Ok(within.map(|within| Latency { quantile, within }))
    });
    let named: Vec<Latency> = named
        .into_iter()
        .filter_map(Result::transpose)
        .collect::<Result<_, Complaint>>()?;
    let [latency] = named[..] else {
        let sentence =
            "`latency` says what one quantile may be, as in `{p99: 500ms}`; write one of them";
        return Err(Complaint::at(node.at, sentence));
    };
    Ok(latency)
}

/// Puts the quiet times around the steps: those that the file asks for, and those without which a steady state
/// could not be judged.
pub(super) fn with_quiet_times(
    fields: &Fields<'_>,
    steady: Option<&SteadyState>,
    walk: Walk,
) -> Result<Vec<Step>, Complaint> {
    let Walk {
        mut steps,
        first,
        last,
    } = walk;
    let usual = |end: Ground, time: Duration| match end {
        Ground::Quiet => None,
        Ground::Faults => steady.map(|_| time),
    };
    let before = time_of(fields, "baseline")?.or(usual(first, BASELINE));
    let rto = steady.map_or(Duration::ZERO, |steady| steady.objectives.rto);
    let after = time_of(fields, "recovery")?.or(usual(last, rto + CALM_TIME));
    let quiet = |name: &str, duration| Step {
        name: name.to_owned(),
        duration,
        faults: Vec::new(),
        gate: None,
    };
    if let Some(duration) = before {
        steps.insert(0, quiet("baseline", duration));
    }
    if let Some(duration) = after {
        steps.push(quiet("recovery", duration));
    }
    Ok(steps)
}
