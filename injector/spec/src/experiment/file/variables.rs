//! `variables` and `profiles`: values that a person chooses when the file is run.
//!
//! ```yaml
//! variables: { latency: 500ms, port: }
//! profiles: { ci: { set: { latency: 100ms } } }
//! ```
//! `${latency}` in any value of the file stands for the variable's; `$${` is `${` itself. A profile
//! (`--profile ci`) sets values over the file's own, a [stage](super::stages) over that, and `--set latency=1s` over all. A variable without a value has
//! to be set.
//!
//! Invariants: values are put into scalars that are parsed already, so none of them adds a key, a list or a fault, and
//! places in complaints stay those of the file. Keys are never filled in. In a file that has neither `apiVersion` nor
//! `variables` nor `profiles`, `${` is what it always was: two characters.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    PROFILE,
    complaint::Complaint,
    fields::Fields,
    head,
    node::{Content, Node, Place, Word},
    stages,
};
use crate::{
    experiment::head::{
        Assignment, HeadError, MOST_VARIABLES, Variables, check_profile, check_variable,
    },
    nearest, printable,
};

const VARIABLES: &str = "variables";
const PROFILES: &str = "profiles";

/// The most characters that variables put into one file: what is more is an attack on the daemon.
const MOST_PUT_IN: usize = 1 << 20;

/// What a person asks for beside the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked<'a> {
    pub(super) sets: &'a [Assignment],
    pub(super) profile: Option<&'a str>,
    pub(super) stage: Option<&'a str>,
}

/// Puts the values in. Returns those in force, where the file has variables.
pub(super) fn fill_in(root: &mut Node, asked: Asked<'_>) -> Result<Option<Variables>, Complaint> {
    let declared = root.get(VARIABLES);
    let profiles = root.get(PROFILES);
    if declared.is_none() && profiles.is_none() && root.get(head::KEY).is_none() {
        return match (asked.profile, asked.sets.first()) {
            (Some(name), _) => Err(no_profile(name, root.at, &[])),
            (None, Some(set)) => Err(no_variable(&set.name, root.at, &[])),
            (None, None) => Ok(None),
        };
    }
    let at = declared.map_or(root.at, |node| node.at);
    let mut values = declared.map(declarations).transpose()?.unwrap_or_default();
    let has_variables = declared.is_some();
    let profile = profile(profiles, asked.profile, &values, root.at)?;
    let stage = stages::sets(root, asked.stage)?.map(|set| set_by(set, &values));
    for (name, value) in profile
        .into_iter()
        .chain(stage.transpose()?.into_iter().flatten())
    {
        values.insert(name, Some(value), at);
    }
    for set in asked.sets {
        if values.get(&set.name).is_none() {
            return Err(no_variable(&set.name, at, &values.names()));
        }
        values.insert(set.name.clone(), Some(set.value.clone()), at);
    }
    let mut filling = Filling {
        values: &values,
        used: BTreeSet::new(),
        room: MOST_PUT_IN,
    };
    let Content::Map(entries) = &mut root.content else {
        return Ok(None);
    };
    for (key, node) in entries {
        if ![VARIABLES, PROFILES, stages::ALL, head::KEY].contains(&key.text.as_str()) {
            filling.key(key)?;
            filling.node(node)?;
        }
    }
    if let Some(set) = asked
        .sets
        .iter()
        .find(|set| !filling.used.contains(&set.name))
    {
        let name = &set.name;
        let sentence = format!(
            "`--set {name}=...` changes nothing, for `${{{name}}}` stands nowhere in the file; leave it out, or \
             write `${{{name}}}` where the value belongs"
        );
        return Err(Complaint::at(values.place(name).unwrap_or(at), sentence));
    }
    Ok(has_variables.then(|| Variables {
        profile: asked.profile.map(str::to_owned),
        values: values.in_force(),
    }))
}

/// The variables by name: the value, where there is one, and the place of the declaration.
#[derive(Default)]
struct Values(BTreeMap<String, (Option<String>, Place)>);

impl Values {
    fn get(&self, name: &str) -> Option<&Option<String>> {
        self.0.get(name).map(|(value, _)| value)
    }

    fn place(&self, name: &str) -> Option<Place> {
        self.0.get(name).map(|(_, at)| *at)
    }

    /// Sets a value; the place stays that of the declaration.
    fn insert(&mut self, name: String, value: Option<String>, at: Place) {
        let entry = self.0.entry(name).or_insert((None, at));
        entry.0 = value;
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    fn in_force(self) -> BTreeMap<String, String> {
        let values = self.0.into_iter();
        values
            .filter_map(|(name, (value, _))| Some((name, value?)))
            .collect()
    }
}

/// `variables: {latency: 500ms, port: }`
fn declarations(node: &Node) -> Result<Values, Complaint> {
    let mut values = Values::default();
    let entries = assignments(node, "`variables`")?;
    if entries.len() > MOST_VARIABLES {
        let error = HeadError::TooManyVariables(entries.len());
        return Err(Complaint::at(node.at, error));
    }
    for (key, node) in entries {
        let value = match &node.content {
            Content::Null => None,
            _ => Some(value(key, node)?),
        };
        if value.is_none() {
            check_variable(&key.text, "").map_err(|error| Complaint::at(key.at, error))?;
        }
        values.insert(key.text.clone(), value, key.at);
    }
    Ok(values)
}

/// The values of the profile that is asked for. All profiles are checked.
fn profile(
    node: Option<&Node>,
    wanted: Option<&str>,
    declared: &Values,
    at: Place,
) -> Result<Vec<(String, String)>, Complaint> {
    let Some(node) = node else {
        return match wanted {
            Some(name) => Err(no_profile(name, at, &[])),
            None => Ok(Vec::new()),
        };
    };
    let Content::Map(entries) = &node.content else {
        let sentence = "`profiles` names each profile and what it sets, as in `ci: {set: {latency: 100ms}}`; write it so";
        return Err(Complaint::at(node.at, sentence));
    };
    let mut chosen = None;
    for (name, node) in entries {
        check_profile(&name.text).map_err(|error| Complaint::at(name.at, error))?;
        let fields = Fields::of(node, "a profile", &PROFILE)?;
        let set = fields.get("set").ok_or_else(|| {
            let sentence = "a profile needs `set`, as in `ci: {set: {latency: 100ms}}`; add it";
            Complaint::at(node.at, sentence)
        })?;
        let values = set_by(set, declared)?;
        if wanted == Some(name.text.as_str()) {
            chosen = Some(values);
        }
    }
    match (wanted, chosen) {
        (None, _) => Ok(Vec::new()),
        (Some(_), Some(values)) => Ok(values),
        (Some(name), None) => {
            let known: Vec<&str> = entries.iter().map(|(name, _)| name.text.as_str()).collect();
            Err(no_profile(name, node.at, &known))
        }
    }
}

/// `set: {latency: 100ms}`, of variables that the file declares.
fn set_by(set: &Node, declared: &Values) -> Result<Vec<(String, String)>, Complaint> {
    let mut values = Vec::new();
    for (key, node) in assignments(set, "`set`")? {
        if declared.get(&key.text).is_none() {
            return Err(no_variable(&key.text, key.at, &declared.names()));
        }
        values.push((key.text.clone(), value(key, node)?));
    }
    Ok(values)
}

fn assignments<'n>(node: &'n Node, what: &str) -> Result<&'n [(Word, Node)], Complaint> {
    match &node.content {
        Content::Map(entries) => Ok(entries),
        Content::Null | Content::Scalar(_) | Content::List(_) => {
            let sentence = format!(
                "{what} is a map of names and values, as in `{{latency: 500ms}}`; write it so"
            );
            Err(Complaint::at(node.at, sentence))
        }
    }
}

/// The value of a variable: a plain one, which no other variable is put into.
fn value(key: &Word, node: &Node) -> Result<String, Complaint> {
    let text = node.text(&key.text)?;
    check_variable(&key.text, text).map_err(|error| {
        let at = match error {
            HeadError::LongValue(_) => node.at,
            _ => key.at,
        };
        Complaint::at(at, error)
    })?;
    let literal = text.replace("$${", "");
    if literal.contains("${") {
        let sentence = format!(
            "the value of `{}` names another variable, and values are plain; write it out, or `$${{` for the two \
             characters",
            key.text
        );
        return Err(Complaint::at(node.at, sentence));
    }
    Ok(text.replace("$${", "${"))
}

fn no_variable(name: &str, at: Place, known: &[&str]) -> Complaint {
    let hint = if known.is_empty() {
        "the file has none, so declare it, as in `variables: {latency: 500ms}`".to_owned()
    } else {
        nearest::hint(name, known.iter().copied())
    };
    let name = printable::line(name);
    Complaint::at(at, format!("no variable is called `{name}`; {hint}"))
}

fn no_profile(name: &str, at: Place, known: &[&str]) -> Complaint {
    let hint = if known.is_empty() {
        "the file has none, so leave `--profile` out, or write `profiles: {ci: {set: {...}}}`"
            .to_owned()
    } else {
        nearest::hint(name, known.iter().copied())
    };
    let name = printable::line(name);
    Complaint::at(at, format!("no profile is called `{name}`; {hint}"))
}

/// A file while values are put in.
struct Filling<'v> {
    values: &'v Values,
    used: BTreeSet<String>,
    /// How many characters may still be put in.
    room: usize,
}

impl Filling<'_> {
    fn node(&mut self, node: &mut Node) -> Result<(), Complaint> {
        match &mut node.content {
            Content::Null => Ok(()),
            Content::Scalar(text) => {
                if text.contains("${") {
                    *text = self.text(text, node.at)?;
                }
                Ok(())
            }
            Content::List(items) => items.iter_mut().try_for_each(|item| self.node(item)),
            Content::Map(entries) => entries.iter_mut().try_for_each(|(key, node)| {
                self.key(key)?;
                self.node(node)
            }),
        }
    }

    #[expect(clippy::unused_self, reason = "it belongs to the walk")]
    fn key(&self, key: &Word) -> Result<(), Complaint> {
        if key.text.contains("${") {
            let sentence = "variables stand in values, and this is a key; write the key out";
            return Err(Complaint::at(key.at, sentence));
        }
        Ok(())
    }

    fn text(&mut self, text: &str, at: Place) -> Result<String, Complaint> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, from) = rest.split_at(start);
            let after = &from[2..];
            if let Some(literal) = before.strip_suffix('$') {
                filled.push_str(literal);
                filled.push_str("${");
                rest = after;
                continue;
            }
            filled.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                let sentence = "`${` begins a variable and no `}` ends it; write `${name}`, or `$${` for the \
                                two characters";
                return Err(Complaint::at(at, sentence));
            };
            filled.push_str(self.value(name, at)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&mut self, name: &str, at: Place) -> Result<&str, Complaint> {
        let values = self.values;
        let Some(value) = values.get(name) else {
            let known = values.names();
            return Err(no_variable(name, at, &known));
        };
        let Some(value) = value else {
            let sentence = format!(
                "the variable `{name}` has no value; run with `--set {name}=...`, or write one here"
            );
            return Err(Complaint::at(values.place(name).unwrap_or(at), sentence));
        };
        self.used.insert(name.to_owned());
        let Some(room) = self.room.checked_sub(value.len()) else {
            let sentence = format!(
                "variables put more than {MOST_PUT_IN} characters into this file; make their values shorter"
            );
            return Err(Complaint::at(at, sentence));
        };
        self.room = room;
        Ok(value)
    }
}
