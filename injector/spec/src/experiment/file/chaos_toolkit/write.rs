//! Experiments as documents of Chaos Toolkit. A test reads each back as the same steps, faults and probes.
//!
//! What their format has no word for is refused by name. What `chaos` needs no word for, as the length of a baseline, is in
//! the [extension](super::own), which it does not look at.

mod probe;
mod step;

use super::{own, tags};
use crate::{
    experiment::{
        Document, Experiment, OnTargetExit, ProbeRole, RollbackCommand, SteadyState, Step, Target,
    },
    printable,
    quantity::duration,
};

/// Why an experiment cannot be said in the format of Chaos Toolkit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Chaos Toolkit has no word for {what}; {remedy}, or run the experiment with injector")]
pub struct ChaosToolkitError {
    /// What it is.
    what: String,
    /// What a person can do.
    remedy: &'static str,
}

impl ChaosToolkitError {
    fn new(what: impl Into<String>, remedy: &'static str) -> Self {
        let what = what.into();
        Self { what, remedy }
    }
}

/// Fields of an object in the making.
type Fields = Vec<(String, Document)>;

fn put(fields: &mut Fields, key: &str, value: Document) {
    fields.push((key.to_owned(), value));
}

fn text(text: impl Into<String>) -> Document {
    Document::Text(text.into())
}

/// Seconds, whole ones as such.
fn seconds(time: std::time::Duration) -> Document {
    if time.subsec_nanos() == 0 {
        Document::Unsigned(time.as_secs())
    } else {
        Document::Float(time.as_secs_f64())
    }
}

impl Experiment {
    /// The document of Chaos Toolkit that says the same.
    pub fn chaos_toolkit(&self) -> Result<Document, ChaosToolkitError> {
        self.refuse()?;
        let mut fields = Fields::new();
        put(&mut fields, "version", text("1.0.0"));
        put(&mut fields, "title", text(&self.name));
        let about = self.hypothesis.as_ref().unwrap_or(&self.name);
        put(&mut fields, "description", text(about));
        let tags = self.tags();
        if !tags.is_empty() {
            put(&mut fields, "tags", Document::List(tags));
        }
        let steady = self.steady_state.as_deref();
        let always = self.run_always()?;
        let (mut steps, mut own) = (
            &self.steps[..self.steps.len() - always.len()],
            Fields::new(),
        );
        if let Some(steady) = steady {
            put(&mut fields, super::HYPOTHESIS, hypothesis(steady, about)?);
            steps = quiet_ends(steps, steady, &mut own)?;
            put(&mut own, "probes", probe::paces(steady));
        }
        if !own.is_empty() {
            own.insert(0, ("name".to_owned(), text(own::NAME)));
            let extension = Document::Object(own);
            put(&mut fields, "extensions", Document::List(vec![extension]));
        }
        put(
            &mut fields,
            super::METHOD,
            step::method(steps, &self.targets)?,
        );
        if !always.is_empty() {
            let rollbacks = always.iter().map(step::rollback);
            let rollbacks = rollbacks.collect::<Result<_, _>>()?;
            put(&mut fields, "rollbacks", Document::List(rollbacks));
        } else if !self.rollback.is_empty() {
            let what = "commands that are run after a breach alone";
            return Err(ChaosToolkitError::new(what, "leave `rollback` out"));
        }
        Ok(Document::Object(fields))
    }

    /// The commands behind the recovery, which there are rollbacks that are run always; they are those of `rollback`, too.
    fn run_always(&self) -> Result<&[Step], ChaosToolkitError> {
        let is_judged = self.steady_state.is_some();
        let is_same = |(step, command): (&Step, &RollbackCommand)| step.is(command);
        let at = |count| self.steps.split_at(self.steps.len().saturating_sub(count));
        let (front, behind) = at(self.rollback.len());
        let is_behind_recovery = front.last().is_some_and(step::is_quiet);
        if behind.len() == self.rollback.len()
            && behind.iter().zip(&self.rollback).all(is_same)
            && (is_behind_recovery || !is_judged)
        {
            return Ok(behind);
        }
        let commands = self.steps.iter().rev().take_while(|step| step.runs());
        let (front, behind) = at(commands.count());
        if behind.is_empty() || !is_judged || !front.last().is_some_and(step::is_quiet) {
            return Ok(&[]);
        }
        let what = "commands behind the recovery that are not those of `rollback`";
        Err(ChaosToolkitError::new(
            what,
            "put the same commands under `rollback`",
        ))
    }

    fn tags(&self) -> Vec<Document> {
        let labels = self.labels.iter().map(|(key, value)| match value.as_str() {
            tags::WORD => text(key),
            _ => text(format!("{key}{}{value}", tags::BETWEEN)),
        });
        let owner = self.owner.iter();
        let owner = owner.map(|owner| text(format!("owner{}{owner}", tags::BETWEEN)));
        labels.chain(owner).collect()
    }

    /// Refuses what is about the whole of it.
    fn refuse(&self) -> Result<(), ChaosToolkitError> {
        for (is_there, what, remedy) in [
            (self.stage.is_some(), "stages", "leave `stages` out"),
            (!self.halt.is_empty(), "halt conditions", "leave `halt` out"),
            (
                self.on_target_exit == OnTargetExit::End,
                "the end of a run with its target",
                "leave `on-target-exit` out",
            ),
            (
                !self.notify.is_empty(),
                "a choice of notifiers",
                "leave `notify` out",
            ),
            (
                !self.fail_on.is_empty(),
                "flaws on which a run fails",
                "leave `fail-on` out",
            ),
            (
                self.signs().next().is_some(),
                "signs of a handoff or of success",
                "leave `handoff` and `success` out",
            ),
            (
                !self.escalate.is_empty(),
                "an escalation",
                "leave `escalate` out",
            ),
        ] {
            if is_there {
                return Err(ChaosToolkitError::new(what, remedy));
            }
        }
        let is_used = |index: usize| self.faults().any(|(_, fault)| fault.target == index);
        match self
            .targets
            .iter()
            .enumerate()
            .find(|(index, _)| !is_used(*index))
        {
            Some((_, Target { name, .. })) => {
                let what = format!("target `{}`, which no fault has", printable::line(name));
                Err(ChaosToolkitError::new(what, "leave the target out"))
            }
            None => Ok(()),
        }
    }
}

/// Takes the quiet times at both ends out of the steps: they are in the extension.
fn quiet_ends<'s>(
    steps: &'s [Step],
    steady: &SteadyState,
    own: &mut Fields,
) -> Result<&'s [Step], ChaosToolkitError> {
    let rto = duration::format(steady.objectives.rto);
    put(own, "rto", text(rto));
    let [first, rest @ ..] = steps else {
        return Ok(steps);
    };
    if !step::is_quiet(first) {
        let what = "a steady state without a quiet time in front of the first step";
        return Err(ChaosToolkitError::new(what, "begin with a `pause`"));
    }
    put(own, "baseline", text(duration::format(first.duration)));
    let [rest @ .., last] = rest else {
        return Ok(rest);
    };
    if !step::is_quiet(last) {
        let what = "a steady state without a quiet time behind the last step";
        return Err(ChaosToolkitError::new(what, "end with a `pause`"));
    }
    put(own, "recovery", text(duration::format(last.duration)));
    Ok(rest)
}

fn hypothesis(steady: &SteadyState, about: &str) -> Result<Document, ChaosToolkitError> {
    for (is_there, what, remedy) in [
        (
            !steady.operations.is_empty(),
            "operations of a target",
            "leave `operations` out",
        ),
        (!steady.ledgers.is_empty(), "ledgers", "leave `ledgers` out"),
        (
            steady.detect.is_some(),
            "the target's own alarm",
            "leave `detect` out",
        ),
        (
            steady
                .probes
                .iter()
                .any(|probe| probe.role == ProbeRole::Control),
            "controls that are about bystanders",
            "leave `controls` out",
        ),
    ] {
        if is_there {
            return Err(ChaosToolkitError::new(what, remedy));
        }
    }
    let probes = steady.probes.iter().map(probe::activity);
    let probes = probes.collect::<Result<_, _>>()?;
    Ok(Document::Object(vec![
        ("title".to_owned(), text(about)),
        ("probes".to_owned(), Document::List(probes)),
    ]))
}
