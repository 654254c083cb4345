//! From a map to words of the command line, and from what clap says about the words back to the map.

use std::error::Error;

use clap::{
    Arg, ArgAction, Command, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    complaint::Complaint,
    fields::unknown,
    node::{Content, Node, Place, Word},
};
use crate::nearest::nearest;

/// Parses a map as the flags of a command. `at` is where the thing stands that has the map, `what` its
/// name.
pub(super) fn parse<P: Parser>(
    path: &[&str],
    map: &Node,
    at: Place,
    what: &str,
) -> Result<P, Complaint> {
    let mut command = P::command();
    command.build();
    let command = descend(&command, path, at, what)?;
    let Content::Map(entries) = &map.content else {
        let sentence =
            format!("the parameters of {what} are a map, as in `{{name: value}}`; write them so");
        return Err(Complaint::at(map.at, sentence));
    };
    let mut words: Vec<String> = path.iter().map(|&word| word.to_owned()).collect();
    for (key, value) in entries {
        let flag = flags(command)
            .find(|flag| flag.get_long() == Some(key.text.as_str()))
            .ok_or_else(|| {
                let known: Vec<&str> = flags(command).filter_map(Arg::get_long).collect();
                unknown(key, what, &known)
            })?;
        push(&mut words, flag, key, value)?;
    }
    P::try_parse_from(words).map_err(|error| explain(&error, entries, at, what))
}

/// The command that the path leads to; the file's own word for a fault is the path with dots.
fn descend<'c>(
    root: &'c Command,
    path: &[&str],
    at: Place,
    what: &str,
) -> Result<&'c Command, Complaint> {
    at_path(root, path)
        .filter(|command| !command.has_subcommands())
        .ok_or_else(|| {
            let names = leaves(root, "");
            let hint = match nearest(&path.join("."), names.iter().map(String::as_str)) {
                Some(like) => format!("did you mean `{like}`?"),
                None => format!("known are: {}", names.join(", ")),
            };
            Complaint::at(at, format!("no fault is called {what}; {hint}"))
        })
}

/// The command that a path leads to.
pub(super) fn at_path<'c>(root: &'c Command, path: &[&str]) -> Option<&'c Command> {
    path.iter()
        .try_fold(root, |command, word| command.find_subcommand(word))
}

/// The names of all commands without subcommands that are shown to people, with dots.
pub(super) fn leaves(command: &Command, prefix: &str) -> Vec<String> {
    let shown = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set());
    shown
        .flat_map(|subcommand| {
            let name = format!("{prefix}{}", subcommand.get_name());
            if subcommand.has_subcommands() {
                leaves(subcommand, &format!("{name}."))
            } else {
                vec![name]
            }
        })
        .collect()
}

pub(super) fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|flag| flag.get_long().is_some() && !flag.is_hide_set())
}

/// A scalar is one word, a list one word for each item, `true` the flag alone and `false` nothing.
fn push(words: &mut Vec<String>, flag: &Arg, key: &Word, value: &Node) -> Result<(), Complaint> {
    let name = &key.text;
    match (&value.content, flag.get_action()) {
        (Content::Scalar(text), ArgAction::SetTrue) => match text.as_str() {
            "true" => words.push(format!("--{name}")),
            "false" => {}
            other => {
                let sentence =
                    format!("`{name}` is true or false, not `{other}`; write one of them");
                return Err(Complaint::at(value.at, sentence));
            }
        },
        (Content::List(items), ArgAction::Append) => {
            if items.is_empty() {
                let sentence =
                    format!("`{name}` is an empty list; give it a value, or leave it out");
                return Err(Complaint::at(value.at, sentence));
            }
            for item in items {
                words.push(format!("--{name}={}", item.text(name)?));
            }
        }
        _ => words.push(format!("--{name}={}", value.text(name)?)),
    }
    Ok(())
}

/// Says in the file's terms, and at the file's place, what clap says about the words.
fn explain(error: &clap::Error, entries: &[(Word, Node)], at: Place, what: &str) -> Complaint {
    let named = flags_in(error, ContextKind::InvalidArg);
    let entry = named
        .first()
        .and_then(|name| entries.iter().find(|(key, _)| key.text == *name));
    let value = text_in(error, ContextKind::InvalidValue).unwrap_or_default();
    let backticked = |names: &[String]| {
        names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (error.kind(), entry) {
        (ErrorKind::ValueValidation, Some((key, node))) => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            Complaint::at(place_of(node, &value), format!("`{}`: {why}", key.text))
        }
        (ErrorKind::InvalidValue, Some((key, node))) => {
            let known = text_in(error, ContextKind::ValidValue).unwrap_or_default();
            let sentence = format!(
                "`{value}` is no value of `{}`; write one of: {known}",
                key.text
            );
            Complaint::at(place_of(node, &value), sentence)
        }
        (ErrorKind::ArgumentConflict, Some((key, _))) => {
            let others = flags_in(error, ContextKind::PriorArg);
            let others = backticked(&others);
            let sentence = format!("`{}` contradicts {others}; leave one of them out", key.text);
            Complaint::at(key.at, sentence)
        }
        (ErrorKind::MissingRequiredArgument, _) => {
            Complaint::at(at, format!("{what} needs {}; add it", backticked(&named)))
        }
        // Nothing else can be said in words that were made from known flags; if it is, say it whole.
        _ => {
            let text = error.render().to_string();
            let text = text.lines().next().unwrap_or_default();
            Complaint::at(
                at,
                format!("{what}: {}", text.trim_start_matches("error: ")),
            )
        }
    }
}

/// The place of the item of a list that has this text, or of the whole.
fn place_of(node: &Node, value: &str) -> Place {
    let is_it = |item: &&Node| matches!(&item.content, Content::Scalar(text) if text == value);
    node.list()
        .and_then(|items| items.iter().find(is_it))
        .unwrap_or(node)
        .at
}

/// The names in a context such as `--latency <TIME>`.
pub(super) fn flags_in(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    let names: Vec<&str> = match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let bare = |text: &str| {
        let text = text.trim_start_matches("--");
        text.split([' ', '=', '<'])
            .next()
            .unwrap_or(text)
            .to_owned()
    };
    names.into_iter().map(bare).collect()
}

fn text_in(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    }
}
