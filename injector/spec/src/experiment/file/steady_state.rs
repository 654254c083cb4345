//! `probes`, `steady-state`, `controls`, `detect`, `objectives`, `baseline` and `recovery`.
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
    ledgers,
    node::{Content, Node, Place},
    probe,
    steps::{Ground, Walk, gate},
    time_of,
};
use crate::{
    condition::Question,
    experiment::{
        Ledger, Step,
        steady_state::{CALM_TIME, Detect, NamedProbe, Objectives, ProbeRole, SteadyState},
    },
    nearest,
};

/// The keys of `objectives`.
pub(super) const OBJECTIVES: [&str; 3] = ["rto", "rpo", "detect"];

/// How long the baseline is where nothing is said.
const BASELINE: Duration = Duration::from_secs(30);

/// What is measured; none where the file names no probe.
pub(super) fn steady_state(fields: &Fields<'_>) -> Result<Option<SteadyState>, Complaint> {
    let Some(node) = fields.get("probes") else {
        for alone in [
            "steady-state",
            "controls",
            "detect",
            "ledgers",
            "objectives",
        ] {
            if let Some(at) = fields.key_place(alone) {
                let sentence = format!(
                    "`{alone}` needs `probes`, as in `probes: {{health: tcp 127.0.0.1:80}}`; add them"
                );
                return Err(Complaint::at(at, sentence));
            }
        }
        return Ok(None);
    };
    let asked = questions(node)?;
    let detect = detect(fields, &asked)?;
    let mut roles = vec![None; asked.len()];
    for (key, role) in [
        ("steady-state", ProbeRole::SteadyState),
        ("controls", ProbeRole::Control),
    ] {
        for (index, node) in named(fields, key, &asked)? {
            let is_detect = detect.as_ref().is_some_and(|(found, _)| *found == index);
            if roles[index].replace(role).is_some() || is_detect {
                let sentence = format!(
                    "probe `{}` is named twice; a probe is about the steady state, a control or the alarm, once",
                    asked[index].0
                );
                return Err(Complaint::at(node.at, sentence));
            }
        }
    }
    let of_gates = fields.get("steps").map(gate::named).unwrap_or_default();
    let is_of_gate =
        |name: &str, role: Option<ProbeRole>| role.is_none() && of_gates.contains(&name);
    let is_of_detect = |index: usize| detect.as_ref().is_some_and(|(found, _)| *found == index);
    let probes = asked.into_iter().zip(roles).enumerate();
    let probes = probes.filter(|(index, _)| !is_of_detect(*index));
    let probes = probes.map(|(_, named)| named);
    let probes = probes.filter(|((name, ..), role)| !is_of_gate(name, *role));
    let probes: Vec<_> = probes.map(|((name, question, at), role)| {
        let role = role.ok_or_else(|| {
            let sentence = format!(
                "probe `{name}` is used nowhere; name it under `steady-state`, `controls` or `detect`, or in a gate, or leave it out"
            );
            Complaint::at(at, sentence)
        })?;
        Ok(NamedProbe {
            name,
            role,
            question,
        })
    }).collect::<Result<_, _>>()?;
    let mut ledgers = ledgers::ledgers(fields)?;
    let objectives = objectives(fields, &mut ledgers)?;
    let is_judged = !probes.is_empty() || detect.is_some() || !ledgers.is_empty();
    // Gates alone ask them, so there is nothing to judge.
    Ok(is_judged.then_some(SteadyState {
        probes,
        objectives,
        detect: detect.map(|(_, detect)| detect),
        ledgers,
    }))
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

/// The positions of the probes that a list names.
fn named<'n>(
    fields: &Fields<'n>,
    key: &str,
    known: &[(String, Question, Place)],
) -> Result<Vec<(usize, &'n Node)>, Complaint> {
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
        .map(|node| Ok((position(node, node.text(key)?, known)?, node)))
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
        if let Some(node) = fields.get("rpo") {
            ledgers::objectives(node, ledgers)?;
        }
    }
    Ok(objectives)
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
