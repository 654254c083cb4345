//! An action that is `injector` with the words of a fault: a fault of the run, and no process beside it.
//!
//! `injector net delay --cgroup agent.slice --latency 500ms --duration 30s` is taken apart by the grammar of the command
//! line: what chooses the target becomes one of the experiment's targets, `--duration` the length of its step, and the
//! rest the fault's parameters.

use clap::{Arg, ArgAction, CommandFactory};

use super::{
    nodes::{entry, list, map, text},
    provider::Process,
};
use crate::{
    experiment::{
        Target,
        file::{
            complaint::Complaint,
            node::{Content, Node, Place, Word},
            words,
        },
    },
    grammar::{FaultInFile, TargetInFile},
    nearest, printable,
};

/// The parameter of a fault in a file that names its target, which no command line has.
const TARGET: &str = "target";
/// A flag that says how long the fault stays on.
const DURATION: &str = "duration";
/// A flag that ends the run.
const HALT_IF: &str = "halt-if";
/// A flag that changes what is printed, which is the run's matter here.
const JSON: &str = "json";

/// What the words say.
pub(super) struct Asked {
    /// The fault's name, as in `net.delay`.
    name: String,
    at: Place,
    parameters: Vec<(Word, Node)>,
    target: Vec<(Word, Node)>,
    duration: Node,
    /// What ends the run before its time.
    pub(super) halt: Vec<Node>,
}

/// The targets of an experiment so far.
#[derive(Default)]
pub(super) struct Targets(pub(super) Vec<(Word, Node)>);

impl Targets {
    /// The name of the target that is chosen so.
    fn named(&mut self, chosen: Vec<(Word, Node)>, at: Place) -> String {
        let known = self.0.iter().find(|(_, node)| match &node.content {
            Content::Map(entries) => is_same(entries, &chosen),
            Content::Null | Content::Scalar(_) | Content::List(_) => false,
        });
        if let Some((name, _)) = known {
            return name.text.clone();
        }
        let name = match self.0.len() {
            0 => Target::ONLY.to_owned(),
            others => format!("{}-{}", Target::ONLY, others + 1),
        };
        self.0.push(entry(at, name.clone(), map(at, chosen)));
        name
    }
}

fn is_same(one: &[(Word, Node)], other: &[(Word, Node)]) -> bool {
    let words = |entries: &[(Word, Node)]| -> Vec<(String, Vec<String>)> {
        let texts = |node: &Node| match &node.content {
            Content::List(items) => items
                .iter()
                .filter_map(|item| item.text("").ok())
                .map(str::to_owned)
                .collect(),
            _ => node
                .text("")
                .map(|text| vec![text.to_owned()])
                .unwrap_or_default(),
        };
        entries
            .iter()
            .map(|(key, node)| (key.text.clone(), texts(node)))
            .collect()
    };
    words(one) == words(other)
}

/// Takes the words of a process apart; it is this program.
pub(super) fn read(process: &Process<'_>) -> Result<Asked, Complaint> {
    if let Some(timeout) = &process.timeout {
        let sentence = "a fault ends with its `--duration`, and `timeout` would cut it short there; leave `timeout` out, or \
                        make `--duration` as short";
        return Err(Complaint::at(timeout.at, sentence));
    }
    let mut faults = FaultInFile::command();
    faults.build();
    let mut targets = TargetInFile::command();
    targets.build();
    let at = process.at;
    let (path, rest) = path(&faults, &process.arguments);
    let command = words::at_path(&faults, &path).filter(|command| !command.has_subcommands());
    let command = command.filter(|_| !path.is_empty());
    let command = command.ok_or_else(|| no_fault(&faults, process))?;
    let mut asked = Asked {
        name: path.join("."),
        at,
        parameters: Vec::new(),
        target: Vec::new(),
        duration: text(at, ""),
        halt: Vec::new(),
    };
    let mut is_timed = false;
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let stray = || stray(word, &asked.name);
        let (flag, value) = flag(word).ok_or_else(stray)?;
        let called = |known: &&Arg| known.get_long() == Some(flag);
        let of_fault = words::flags(command).find(|known| called(known) && flag != TARGET);
        let of_target = words::flags(&targets).find(called);
        let is_of_run = [DURATION, HALT_IF].contains(&flag);
        let takes_value = match of_fault.or(of_target) {
            Some(known) => !matches!(known.get_action(), ArgAction::SetTrue),
            None if is_of_run => true,
            None if flag == JSON => false,
            None => return Err(stray()),
        };
        let value = match (takes_value, value) {
            (false, None) => text(word.at, "true"),
            (false, Some(_)) => return Err(stray()),
            (true, Some(value)) => text(word.at, value),
            (true, None) => {
                let behind = rest.next().ok_or_else(|| {
                    let sentence = format!("`--{flag}` has no value; give it one");
                    Complaint::at(word.at, sentence)
                })?;
                text(behind.at, behind.text("arguments")?)
            }
        };
        match flag {
            DURATION => {
                asked.duration = value;
                is_timed = true;
            }
            HALT_IF => asked.halt.push(value),
            JSON => {}
            _ if of_fault.is_some() => put(&mut asked.parameters, flag, value),
            _ => put(&mut asked.target, flag, value),
        }
    }
    if !is_timed {
        let sentence = "a fault needs `--duration`, as in `--duration=30s`; add it";
        return Err(Complaint::at(at, sentence));
    }
    if asked.target.is_empty() {
        let sentence =
            "a fault needs a target, as in `--cgroup=agent.slice` or `--pid=4711`; add it";
        return Err(Complaint::at(at, sentence));
    }
    Ok(asked)
}

/// The complaint about words that lead to no fault.
fn no_fault(faults: &clap::Command, process: &Process<'_>) -> Complaint {
    let words = process
        .arguments
        .iter()
        .filter_map(|word| word.text("arguments").ok());
    let words: Vec<&str> = words.take(2).collect();
    let known = words::leaves(faults, "");
    let hint = nearest::hint(&words.join("."), known.iter().map(String::as_str));
    let sentence = format!(
        "an action that is `injector` says a fault, as in `[net, delay, \"--latency=1s\"]`; {hint}"
    );
    Complaint::at(process.at, sentence)
}

/// The name of a flag, with the value that stands behind its `=`.
fn flag(word: &Node) -> Option<(&str, Option<&str>)> {
    let written = word.text("arguments").ok()?.strip_prefix("--")?;
    let (flag, value) = written
        .split_once('=')
        .map_or((written, None), |(flag, value)| (flag, Some(value)));
    (!flag.is_empty()).then_some((flag, value))
}

/// The words that lead to a fault, and those behind them.
fn path<'w>(faults: &clap::Command, arguments: &'w [Node]) -> (Vec<&'w str>, &'w [Node]) {
    let mut path = Vec::new();
    let mut rest = arguments;
    while let Some((word, behind)) = rest.split_first() {
        let Ok(word) = word.text("arguments") else {
            break;
        };
        path.push(word);
        if words::at_path(faults, &path).is_none() {
            path.pop();
            break;
        }
        rest = behind;
    }
    (path, rest)
}

/// A flag that is there again makes a list.
fn put(entries: &mut Vec<(Word, Node)>, flag: &str, value: Node) {
    let Some((_, known)) = entries.iter_mut().find(|(key, _)| key.text == flag) else {
        entries.push(entry(value.at, flag, value));
        return;
    };
    match &mut known.content {
        Content::List(items) => items.push(value),
        Content::Null | Content::Scalar(_) | Content::Map(_) => {
            let first = known.clone();
            *known = list(first.at, vec![first, value]);
        }
    }
}

fn stray(word: &Node, fault: &str) -> Complaint {
    let written = printable::line(word.text("arguments").unwrap_or_default());
    let sentence = format!(
        "`{written}` is no flag of {fault}, of a target or `--duration`; leave it out, and give what is about the whole run \
         to `injector run`"
    );
    Complaint::at(word.at, sentence)
}

impl Asked {
    /// The entries of a step, behind its name.
    pub(super) fn step(self, targets: &mut Targets) -> Vec<(Word, Node)> {
        let at = self.at;
        let target = targets.named(self.target, at);
        let mut parameters = vec![entry(at, TARGET, text(at, target))];
        parameters.extend(self.parameters);
        let fault = map(at, vec![entry(at, self.name, map(at, parameters))]);
        vec![
            entry(self.duration.at, "duration", self.duration),
            entry(at, "faults", list(at, vec![fault])),
        ]
    }
}
