//! How to do it again: a command, and the file that it needs where the run was more than one fault.
//!
//! The journal keeps what was asked, and not the file that asked it. So a file is written anew from it, as the experiment's
//! document with the seeds that the run drew.

use super::Account;
use injector_spec::{
    experiment::{Experiment, Follow, Many, OnTargetExit, Placed, Selector, Target},
    printable,
    quantity::duration,
};

/// The file's name, where there is one.
const FILE: &str = "experiment.yaml";

/// How to do it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// The command.
    pub command: String,
    /// What `experiment.yaml` has; absent where the command is all.
    pub file: Option<String>,
}

impl Account {
    /// How to do it again; `None` where the journal does not say what was asked.
    pub fn again(&self) -> Option<Again> {
        let mut experiment = self.experiment.clone()?;
        experiment.leave_out_unseen_halts();
        let experiment = &experiment;
        // A journal may be a file of a stranger's making: what cannot be run is not written as if it could.
        experiment.check().ok()?;
        let overrides = self.overrides.iter().flat_map(|limit| {
            let limit = limit.to_string();
            let (flag, value) = limit.split_once(' ').unwrap_or((&limit, ""));
            let value = (!value.is_empty()).then(|| value.to_owned());
            [flag.to_owned()].into_iter().chain(value)
        });
        let (words, file) = match only_fault(experiment, &self.faults) {
            Some((target, fault)) => (one_fault(experiment, target, fault), None),
            None => (
                run(experiment),
                Some(experiment.document(&self.faults).yaml()),
            ),
        };
        let words = words.into_iter().chain(overrides);
        let command = words.fold("sudo injector".to_owned(), |command, word| {
            format!("{command} {}", quoted(&word))
        });
        Some(Again { command, file })
    }
}

/// The command for the file: the profile is named again, so that the new run has it on record, too.
fn run(experiment: &Experiment) -> Vec<String> {
    let variables = experiment.variables.as_ref();
    let profile = variables.and_then(|variables| variables.profile.as_ref());
    let profile = profile.map(|name| format!("--profile={name}"));
    ["run".to_owned(), FILE.to_owned()]
        .into_iter()
        .chain(profile)
        .collect()
}

/// The fault of an experiment that one command can ask for.
fn only_fault<'a>(
    experiment: &'a Experiment,
    faults: &'a [Placed],
) -> Option<(&'a Target, &'a Placed)> {
    let ([target], [step], [fault]) = (&experiment.targets[..], &experiment.steps[..], faults)
    else {
        return None;
    };
    let ramps = step.faults.iter().any(|fault| !fault.ramps.is_empty());
    let is_plain = experiment.hypothesis.is_none()
        && experiment.steady_state.is_none()
        && experiment.rollback.is_empty()
        && experiment.notify.is_empty()
        && experiment.fail_on.is_empty()
        && experiment.signs().next().is_none()
        && experiment.escalate.is_empty()
        && experiment.head_in_words().is_empty()
        && !ramps;
    (is_plain && target.name == Target::ONLY && experiment.name == fault.fault)
        .then_some((target, fault))
}

fn one_fault(experiment: &Experiment, target: &Target, fault: &Placed) -> Vec<String> {
    let mut words = fault.described.words(&fault.fault);
    for (name, value) in selector(&target.selector) {
        words.push(match value {
            Value::On => format!("--{name}"),
            Value::One(value) => format!("--{name}={value}"),
        });
    }
    let length = experiment.duration();
    words.push(format!("--duration={}", duration::format(length)));
    let conditions = experiment.halt.iter();
    words.extend(conditions.map(|condition| format!("--halt-if={condition}")));
    match experiment.on_target_exit {
        OnTargetExit::Wait => {}
        OnTargetExit::End => words.push("--on-target-exit=end".to_owned()),
    }
    words
}

/// What a name of a selector has.
enum Value {
    /// Nothing but that it is there.
    On,
    One(String),
}

/// The names that flags and files have for a selector.
fn selector(selector: &Selector) -> Vec<(&'static str, Value)> {
    let tree = |follow: &Follow| match follow {
        Follow::Process => None,
        Follow::Tree => Some(("tree", Value::On)),
    };
    let pick = selector.pick().into_iter().flat_map(|pick| {
        let portion = ("pick", Value::One(pick.portion.to_string()));
        let seed = pick.seed;
        let seed = seed.map(|seed| ("pick-seed", Value::One(seed.to_string())));
        [portion].into_iter().chain(seed)
    });
    match selector {
        Selector::Pids { pids, follow, .. } => {
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            let pids = ("pid", Value::One(pids.join(",")));
            [pids].into_iter().chain(tree(follow)).chain(pick).collect()
        }
        Selector::Cgroup(path) => vec![("cgroup", Value::One(path.display().to_string()))],
        Selector::Unit(name) => vec![("unit", Value::One(name.clone()))],
        Selector::Container(id) => vec![("container", Value::One(id.clone()))],
        Selector::Process {
            pattern,
            many,
            follow,
            ..
        } => {
            let all = match many {
                Many::ExactlyOne => None,
                Many::All => Some(("all", Value::On)),
            };
            let process = ("process", Value::One(pattern.clone()));
            let more = all.into_iter().chain(tree(follow)).chain(pick);
            [process].into_iter().chain(more).collect()
        }
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,%+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", printable::line(word).replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use injector_spec::experiment::Pick;

    use super::*;

    #[test]
    fn a_pick_is_asked_for_with_the_seed_that_it_had() {
        let picked = Selector::Process {
            pattern: "worker".into(),
            many: Many::All,
            follow: Follow::Tree,
            pick: Some(Pick {
                portion: "25%".parse().unwrap(),
                seed: Some(7),
            }),
        };
        let words: Vec<String> = selector(&picked)
            .into_iter()
            .map(|(name, value)| match value {
                Value::On => name.to_owned(),
                Value::One(value) => format!("{name}={value}"),
            })
            .collect();
        let expected = ["process=worker", "all", "tree", "pick=25%", "pick-seed=7"];
        assert_eq!(words, expected);
    }
}
