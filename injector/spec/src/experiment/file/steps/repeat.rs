//! `repeat`: a block of steps, some times.

use super::{Around, Node, Step, numbered, quiet, too_many, written};
use crate::{
    experiment::{
        MOST_STEPS,
        file::{complaint::Complaint, fields::Fields, time_of},
    },
    printable,
};

/// The keys of a block.
pub(in crate::experiment::file) const REPEAT: [&str; 3] = ["repeat", "pause", "steps"];

/// The steps of all rounds, each with the number of its round behind its name.
pub(super) fn block(node: &Node, around: &Around<'_>) -> Result<Vec<Step>, Complaint> {
    let fields = Fields::of(node, "a block that is repeated", &REPEAT)?;
    let missing = |key: &str| {
        let sentence = format!(
            "a block of steps has `repeat`, how often, and `steps`, what, as in `repeat: 3` with `steps: [{{duration: \
             5s}}]`; add `{key}`"
        );
        Complaint::at(node.at, sentence)
    };
    let repeat = fields.get("repeat").ok_or_else(|| missing("repeat"))?;
    let steps = fields.get("steps").ok_or_else(|| missing("steps"))?;
    let rounds = rounds(repeat)?;
    let pause = time_of(&fields, "pause")?;
    let once: Vec<Step> = written(steps, around)?
        .into_iter()
        .flat_map(|(_, steps)| steps)
        .collect();
    let between = usize::from(pause.is_some());
    let count = once.len().saturating_add(between).saturating_mul(rounds) - between;
    if count > MOST_STEPS {
        return Err(too_many(count, repeat.at));
    }
    let mut all = Vec::new();
    for round in 1..=rounds {
        all.extend(once.iter().map(|step| Step {
            name: numbered(&step.name, &format!("{round} of {rounds}")),
            ..step.clone()
        }));
        if let Some(pause) = pause.filter(|_| round < rounds) {
            let name = around
                .unnamed
                .name(format!("pause ({round} of {})", rounds - 1));
            all.push(quiet(name, pause));
        }
    }
    Ok(all)
}

/// How often.
fn rounds(node: &Node) -> Result<usize, Complaint> {
    let text = node.text("repeat")?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<usize>().ok().filter(|_| is_plain) {
        Some(0) => {
            let sentence = "a block that is repeated 0 times does nothing; write how often it is run, as in \
                            `repeat: 3`, or leave it out";
            Err(Complaint::at(node.at, sentence))
        }
        Some(rounds) => Ok(rounds),
        None => {
            let sentence = format!(
                "`{}` does not say how often; write a whole number, as in `repeat: 3`",
                printable::line(text)
            );
            Err(Complaint::at(node.at, sentence))
        }
    }
}
