//! Parameters of faults that have another value than the file says: found by their [`ParameterPath`], and put into the
//! document before it is read.
//!
//! Invariants: what is put in is one scalar in the place of the old one, so it adds no key but the parameter's own, no
//! list and no fault, and places in complaints stay those of the file. A ramp is never replaced.

use clap::CommandFactory as _;

use super::{
    Reading,
    complaint::{self, Complaint, FileError},
    head,
    node::{self, Content, Node, Word},
    ramps, variables, words,
};
use crate::{
    experiment::{Amount, CannotRamp, Fault, LONGEST, ParameterPath, WhichFault},
    grammar::FaultInFile,
    nearest,
};

/// A parameter that has a numeric value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundParameter {
    /// Where it stands, without anything left to guess.
    pub path: ParameterPath,
    /// Its fault, as in `net.delay`.
    pub fault: &'static str,
    /// Its value in the file.
    pub value: Amount,
}

impl Reading<'_> {
    /// Finds the parameter of a fault at this path, and refuses one that is no time, share or rate.
    pub fn find(self, bytes: &[u8], path: &ParameterPath) -> Result<FoundParameter, FileError> {
        let found = match str::from_utf8(bytes) {
            Ok(text) => self.found(text, path),
            Err(error) => Err(complaint::no_utf8(bytes, error.valid_up_to())),
        };
        found.map_err(|complaint| complaint.of(self.name))
    }

    fn found(&self, text: &str, path: &ParameterPath) -> Result<FoundParameter, Complaint> {
        let mut root = node::parse(text)?;
        head::check_version(&root)?;
        variables::fill_in(&mut root, self.asked())?;
        find(&root, path)
    }
}

/// Gives a parameter another value; the path must lead to one.
pub(super) fn put(root: &mut Node, path: &ParameterPath, value: &str) -> Result<(), Complaint> {
    let place = locate(root, path)?;
    let faults = if root.get("steps").is_some() {
        let steps = root.get_mut("steps").map(|steps| &mut steps.content);
        match steps {
            Some(Content::List(steps)) => steps
                .get_mut(path.step)
                .and_then(|step| step.get_mut("faults")),
            Some(Content::Null | Content::Scalar(_) | Content::Map(_)) | None => None,
        }
    } else {
        root.get_mut("faults")
    };
    // It was found a moment ago.
    if let Some(Content::List(faults)) = faults.map(|faults| &mut faults.content)
        && let Some(fault) = faults.get_mut(place)
    {
        write(fault, &path.parameter, value);
    }
    Ok(())
}

/// Writes a parameter into a fault, whichever of its spellings that has.
fn write(fault: &mut Node, parameter: &str, value: &str) {
    let at = fault.at;
    let scalar = |at| Node {
        at,
        content: Content::Scalar(value.to_owned()),
    };
    let key = |at| Word {
        at,
        text: parameter.to_owned(),
    };
    match &mut fault.content {
        Content::Scalar(name) => {
            let name = Word {
                at,
                text: name.clone(),
            };
            let parameters = Node {
                at,
                content: Content::Map(vec![(key(at), scalar(at))]),
            };
            fault.content = Content::Map(vec![(name, parameters)]);
        }
        Content::Map(entries) => {
            let Some((_, parameters)) = entries.first_mut() else {
                return;
            };
            match &mut parameters.content {
                Content::Map(entries) => {
                    match entries.iter_mut().find(|(word, _)| word.text == parameter) {
                        Some((_, node)) => *node = scalar(node.at),
                        None => entries.push((key(at), scalar(at))),
                    }
                }
                Content::Null => parameters.content = Content::Map(vec![(key(at), scalar(at))]),
                // What is no map of parameters is complained about where faults are read.
                Content::Scalar(_) | Content::List(_) => {}
            }
        }
        Content::Null | Content::List(_) => {}
    }
}

/// The position of the fault that the path leads to, in its step.
fn locate(root: &Node, path: &ParameterPath) -> Result<usize, Complaint> {
    let (step, faults) = faults(root, path.step)?;
    let name = &path.parameter;
    let places: Vec<usize> = match &path.fault {
        WhichFault::At(place) if *place < faults.len() => vec![*place],
        WhichFault::At(place) => {
            let sentence = format!(
                "`{path}` leads nowhere: step {} has no fault {place}, for it has {} and they count from 0; correct \
                 the path",
                path.step,
                faults.len()
            );
            return Err(Complaint::at(step.at, sentence));
        }
        WhichFault::Named(wanted) => positions(faults, |fault| name_of(fault) == Some(wanted)),
        WhichFault::Only => {
            let written = positions(faults, |fault| value_of(fault, name).is_some());
            if written.is_empty() {
                positions(faults, |fault| known(fault).contains(name))
            } else {
                written
            }
        }
    };
    match places[..] {
        [place] => {
            let value = value_of(&faults[place], name);
            match value.filter(|value| matches!(value.content, Content::Map(_))) {
                None => Ok(place),
                Some(ramp) => {
                    let sentence = format!(
                        "`{name}` ramps here, so no single value of it can be another; write one in place of the ramp"
                    );
                    Err(Complaint::at(ramp.at, sentence))
                }
            }
        }
        [] => Err(Complaint::at(step.at, nowhere(faults, path))),
        _ => {
            let one = |place: &usize| {
                let fault = name_of(&faults[*place]).unwrap_or_default();
                format!("`{}` ({fault})", at_place(path, *place))
            };
            let each: Vec<String> = places.iter().map(one).collect();
            let sentence = format!(
                "`{path}` may mean several faults; write one of {}",
                each.join(", ")
            );
            Err(Complaint::at(step.at, sentence))
        }
    }
}

/// The step with this number and its faults.
fn faults(root: &Node, number: usize) -> Result<(&Node, &[Node]), Complaint> {
    let (step, count) = match root.get("steps") {
        Some(steps) => {
            let list = steps.list().unwrap_or_default();
            (list.get(number), list.len())
        }
        // The shorthand: an experiment of one step.
        None => (Some(root).filter(|_| number == 0), 1),
    };
    let step = step.ok_or_else(|| {
        let at = root.get("steps").map_or(root.at, |steps| steps.at);
        let sentence = format!(
            "there is no step {number}: the file has {count}, counted from 0, and `baseline` and `recovery` are none; \
             correct the path"
        );
        Complaint::at(at, sentence)
    })?;
    if step.get("parallel").is_some() || step.get("repeat").is_some() {
        let sentence = format!(
            "step {number} is a block, whose faults have no path; give the value a name under `variables`, use it there \
             as in `${{latency}}`, and name that as in `$latency`"
        );
        return Err(Complaint::at(step.at, sentence));
    }
    let faults = step.get("faults").and_then(Node::list).unwrap_or_default();
    if faults.is_empty() {
        let sentence = format!(
            "step {number} has no fault, so no parameter of one; name a step that has, counted from 0"
        );
        return Err(Complaint::at(step.at, sentence));
    }
    Ok((step, faults))
}

/// The sentence for a path that fits no fault of its step.
fn nowhere(faults: &[Node], path: &ParameterPath) -> String {
    let names = faults.iter().filter_map(name_of);
    match &path.fault {
        WhichFault::Named(wanted) => {
            let hint = nearest::hint(wanted, names);
            format!("step {} has no fault `{wanted}`; {hint}", path.step)
        }
        WhichFault::Only | WhichFault::At(_) => {
            let known: Vec<String> = faults.iter().flat_map(known).collect();
            let hint = nearest::hint(&path.parameter, known.iter().map(String::as_str));
            format!(
                "no fault of step {} has a parameter `{}`; {hint}",
                path.step, path.parameter
            )
        }
    }
}

fn positions(faults: &[Node], is_it: impl Fn(&Node) -> bool) -> Vec<usize> {
    let all = faults.iter().enumerate();
    all.filter(|(_, fault)| is_it(fault))
        .map(|(place, _)| place)
        .collect()
}

fn at_place(path: &ParameterPath, place: usize) -> ParameterPath {
    ParameterPath {
        fault: WhichFault::At(place),
        ..path.clone()
    }
}

/// The name of a fault, where it has one.
fn name_of(fault: &Node) -> Option<&str> {
    match &fault.content {
        Content::Scalar(name) => Some(name),
        Content::Map(entries) => entries.first().map(|(word, _)| word.text.as_str()),
        Content::Null | Content::List(_) => None,
    }
}

/// The parameters of a fault, where it has a map of them.
fn parameters_of(fault: &Node) -> Option<&Node> {
    match &fault.content {
        Content::Map(entries) => entries.first().map(|(_, parameters)| parameters),
        Content::Null | Content::Scalar(_) | Content::List(_) => None,
    }
}

/// The value of a parameter, where the file has one.
fn value_of<'n>(fault: &'n Node, parameter: &str) -> Option<&'n Node> {
    parameters_of(fault)?.get(parameter)
}

/// Every parameter that the grammar has for a fault.
fn known(fault: &Node) -> Vec<String> {
    let mut grammar = FaultInFile::command();
    grammar.build();
    let path: Vec<&str> = name_of(fault).unwrap_or_default().split('.').collect();
    let Some(command) = words::at_path(&grammar, &path) else {
        return Vec::new();
    };
    let names = words::flags(command).filter_map(clap::Arg::get_long);
    names.map(str::to_owned).collect()
}

/// The parameter at this path, which has to be a time, a share or a rate.
fn find(root: &Node, path: &ParameterPath) -> Result<FoundParameter, Complaint> {
    let place = locate(root, path)?;
    let (_, faults) = faults(root, path.step)?;
    let node = &faults[place];
    let fault = read(node)?;
    let at = value_of(node, &path.parameter).map_or(node.at, |value| value.at);
    let value = fault.named(&path.parameter);
    let (_, value) = value.map_err(|error| Complaint::at(at, no_quantity(&fault, &error)))?;
    Ok(FoundParameter {
        path: at_place(path, place),
        fault: fault.kind.name(),
        value,
    })
}

fn no_quantity(fault: &Fault, error: &CannotRamp) -> String {
    let can = fault.quantities().into_iter();
    let can: Vec<String> = can.map(|parameter| format!("`{parameter}`")).collect();
    let (CannotRamp::Stays { name, .. } | CannotRamp::NoQuantity { name, .. }) = error;
    let remedy = if can.is_empty() {
        "take another fault, or write the values into files of their own and run them by `injector suite`".to_owned()
    } else {
        format!("of this fault there are {}", can.join(", "))
    };
    format!(
        "`{name}` of `{}` is no time, share or rate with values between two others; {remedy}",
        fault.kind.name()
    )
}

/// The fault as it stands, on target 0.
fn read(node: &Node) -> Result<Fault, Complaint> {
    let name = name_of(node).unwrap_or_default();
    let path: Vec<&str> = name.split('.').collect();
    let what = format!("`{name}`");
    let empty = Node {
        at: node.at,
        content: Content::Map(Vec::new()),
    };
    let parameters = parameters_of(node).filter(|node| !matches!(node.content, Content::Null));
    let parameters = parameters.unwrap_or(&empty);
    let parse = |parameters: &Node| {
        let parsed: FaultInFile = words::parse(&path, parameters, node.at, &what)?;
        Ok(parsed.split())
    };
    let ramps = ramps::asked(parameters, LONGEST)?;
    let (fault, _) = ramps::between(parameters, &ramps, parse)?;
    Ok(fault)
}

#[cfg(test)]
mod tests;
