//! Ramps: where a parameter of a fault has a map for its value.
//!
//! ```yaml
//! - net.delay: { latency: { from: 10ms, to: 2s, over: 2m }, percent: 50% }
//! - net.bandwidth: { rate: { from: 10mbit, to: 100kbit, over: 1m, shape: exponential } }
//! ```
//! The fault is read twice, with one end of each ramp and with the other, so both ends are parsed by the definitions of
//! the command line like any other value.

use std::time::Duration;

use clap::ValueEnum;

use super::{
    complaint::Complaint,
    fields::Fields,
    node::{Content, Node, Place},
};
use crate::{
    experiment::{Fault, Ramp, RampError, Shape},
    nearest, printable,
    quantity::duration,
};

/// A ramp as it stands in the file.
pub(super) struct Asked<'n> {
    /// Of which parameter, and where that stands.
    name: &'n str,
    name_at: Place,
    /// Where the map stands.
    at: Place,
    from: &'n Node,
    to: &'n Node,
    over: Duration,
    over_at: Place,
    shape: Shape,
    /// How long the step is.
    step: Duration,
}

/// The ramps among the parameters of a fault, in a step of this length.
pub(super) fn asked(parameters: &Node, step: Duration) -> Result<Vec<Asked<'_>>, Complaint> {
    let Content::Map(entries) = &parameters.content else {
        return Ok(Vec::new());
    };
    let maps = entries
        .iter()
        .filter(|(_, value)| matches!(value.content, Content::Map(_)));
    maps.map(|(key, value)| {
        let fields = Fields::of(value, "a ramp", &["from", "to", "over", "shape"])?;
        let end = |field| {
            fields.get(field).ok_or_else(|| {
                let sentence = format!(
                    "the ramp of `{}` has no `{field}`; write it, as in `{{from: 10ms, to: 2s, over: 2m}}`",
                    key.text
                );
                Complaint::at(value.at, sentence)
            })
        };
        let (from, to, over) = (end("from")?, end("to")?, end("over")?);
        // What clap takes apart at commas would be several values.
        for (name, end) in [("from", from), ("to", to), ("over", over)] {
            end.text(name)?;
        }
        let shape = fields.get("shape").map(shape).transpose()?;
        Ok(Asked {
            name: &key.text,
            name_at: key.at,
            at: value.at,
            from,
            to,
            over: duration::parse(over.text("over")?)
                .map_err(|error| Complaint::at(over.at, error))?,
            over_at: over.at,
            shape: shape.unwrap_or_default(),
            step,
        })
    })
    .collect()
}

fn shape(node: &Node) -> Result<Shape, Complaint> {
    let text = node.text("shape")?;
    Shape::from_str(text, false).map_err(|_| {
        let known = Shape::value_variants().iter().filter_map(|shape| {
            let value = shape.to_possible_value()?;
            Some(value.get_name().to_owned())
        });
        let known: Vec<String> = known.collect();
        let hint = nearest::hint(text, known.iter().map(String::as_str));
        let text = printable::line(text);
        Complaint::at(node.at, format!("no shape is called `{text}`; {hint}"))
    })
}

/// The fault with these ramps, and what surrounds it; `parse` reads parameters without any.
pub(super) fn between<C>(
    parameters: &Node,
    asked: &[Asked<'_>],
    parse: impl Fn(&Node) -> Result<(Fault, C), Complaint>,
) -> Result<(Fault, C), Complaint> {
    if asked.is_empty() {
        return parse(parameters);
    }
    let (mut fault, context) = parse(&with(parameters, asked, |ramp| ramp.to))?;
    let (begin, _) = parse(&with(parameters, asked, |ramp| ramp.from))?;
    let end = fault.clone();
    for asked in asked {
        let no_ramp = |error| Complaint::at(asked.name_at, error);
        let (parameter, to) = end.named(asked.name).map_err(no_ramp)?;
        let (_, from) = begin.named(asked.name).map_err(no_ramp)?;
        let ramp = Ramp {
            parameter,
            from,
            to,
            over: asked.over,
            shape: asked.shape,
        };
        ramp.check_in(asked.step).map_err(|error| {
            let at = match &error {
                RampError::NoTime(_) | RampError::TooLong { .. } => asked.over_at,
                RampError::Zero { zero, .. } if *zero == from => asked.from.at,
                RampError::Zero { .. } => asked.to.at,
                RampError::Parameter(_)
                | RampError::Level { .. }
                | RampError::Twice(_)
                | RampError::Unlike { .. }
                | RampError::NotHarshest { .. } => asked.at,
            };
            Complaint::at(at, error)
        })?;
        fault.ramp(ramp);
    }
    Ok((fault, context))
}

/// The parameters with one end of each ramp in its place.
fn with<'n>(parameters: &Node, asked: &[Asked<'n>], end: impl Fn(&Asked<'n>) -> &'n Node) -> Node {
    let mut parameters = parameters.clone();
    if let Content::Map(entries) = &mut parameters.content {
        for (key, value) in entries {
            if let Some(asked) = asked.iter().find(|asked| asked.name == key.text) {
                *value = end(asked).clone();
            }
        }
    }
    parameters
}
