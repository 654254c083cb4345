//! What is wrong with a command line, in this program's words.
//!
//! clap finds the mistake; what it says about it is for people who know clap. Here each kind of mistake becomes
//! one sentence: which word, what is wrong with it, what to write. A value's own sentence comes from its parser.

use std::{error::Error, ffi::OsString};

use clap::{
    Command, CommandFactory,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Cli;
use injector_spec::{error::Refusal, printable};

/// Flags of which one does in place of the other, where a command has both; clap names the first alone.
const EITHER: [(&str, &str); 4] = [
    ("--percent", "--gemodel"),
    ("--syscall", "--syscall-class"),
    ("--delay-enter", "--delay-exit"),
    ("RUN", "--all"),
];

/// The refusal for a command line that clap did not take; `words` is that line.
pub(super) fn refusal(error: &clap::Error, words: &[OsString]) -> Refusal {
    let mut root = Cli::command();
    root.build();
    let at = Place::of(&root, words);
    Refusal::usage(sentence(error, &at, words))
}

/// Whether a command line asks for the front page: no command, or help of the whole program.
pub(super) fn asks_for_the_front_page(error: &clap::Error, words: &[OsString]) -> bool {
    let mut root = Cli::command();
    root.build();
    let at = Place::of(&root, words).command.get_name();
    let is_of_the_whole = at == root.get_name() || at == "help";
    is_of_the_whole
        && match error.kind() {
            ErrorKind::DisplayHelp => true,
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                words.len() <= 1
            }
            _ => false,
        }
}

/// The command, here or one below, that has the word in its name, as a person writes it.
fn command_with(word: &str, at: &Place<'_>) -> Option<String> {
    if word.len() < 3 {
        return None;
    }
    let word = word.to_lowercase();
    let is_like = |command: &&Command| {
        !command.is_hide_set() && command.get_name() != "help" && {
            let name = command.get_name();
            name.contains(&word) || word.contains(name)
        }
    };
    let here = at.command.get_subcommands().find(is_like);
    let here = here.map(|command| format!("{} {}", at.path, command.get_name()));
    here.or_else(|| {
        at.command.get_subcommands().find_map(|family| {
            let below = family.get_subcommands().find(is_like)?;
            Some(format!(
                "{} {} {}",
                at.path,
                family.get_name(),
                below.get_name()
            ))
        })
    })
}

/// The command that the words lead to.
struct Place<'c> {
    command: &'c Command,
    /// As a person writes it, `injector net delay`.
    path: String,
}

impl<'c> Place<'c> {
    fn of(root: &'c Command, words: &[OsString]) -> Self {
        let mut place = Self {
            command: root,
            path: root.get_name().to_owned(),
        };
        for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
            match place.command.find_subcommand(word) {
                Some(below) => {
                    place.path = format!("{} {}", place.path, below.get_name());
                    place.command = below;
                }
                // A flag of the whole program may stand before the command.
                None if word.starts_with('-') => {}
                None => break,
            }
        }
        place
    }

    fn has(&self, flag: &str) -> bool {
        let name = flag.trim_start_matches("--");
        let mut flags = self.command.get_arguments();
        flags.any(|known| known.get_long() == Some(name))
    }
}

fn sentence(error: &clap::Error, at: &Place<'_>, words: &[OsString]) -> String {
    let path = &at.path;
    let named = names_in(error, ContextKind::InvalidArg);
    let first = named.first().map_or("a flag", String::as_str);
    let value = text_in(error, ContextKind::InvalidValue).unwrap_or_default();
    let value = printable::line(&value);
    match error.kind() {
        ErrorKind::ValueValidation => {
            let why = error.source().map(ToString::to_string);
            let why = why.unwrap_or_else(|| format!("`{value}` is no value of it; correct it"));
            format!("{first}: {why}")
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("{first} has no value; write one behind it, or see `{path} --help`")
        }
        ErrorKind::InvalidValue => {
            let known = text_in(error, ContextKind::ValidValue).unwrap_or_default();
            let hint = match text_in(error, ContextKind::SuggestedValue) {
                Some(like) => format!("did you mean `{like}`? The others are: {known}"),
                None => format!("write one of: {known}"),
            };
            format!("{first}: `{value}` is none of its values; {hint}")
        }
        ErrorKind::UnknownArgument => unknown(error, at, words),
        ErrorKind::InvalidSubcommand => {
            let word = text_in(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            let word = printable::line(&word);
            let like = nearest_command(error)
                .map(|like| format!("{path} {like}"))
                .or_else(|| command_with(&word, at));
            let hint = match like {
                Some(like) => format!("did you mean `{like}`?"),
                None => format!("see `{path} --help`"),
            };
            format!("`{word}` is no command of `{path}`; {hint}")
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("`{path}` alone does nothing; write a command behind it, see `{path} --help`")
        }
        ErrorKind::MissingRequiredArgument => {
            let named: Vec<_> = named.iter().map(|name| or_other(name, at)).collect();
            let them = if named.len() == 1 { "it" } else { "them" };
            format!("`{path}` needs {}; add {them}, or see `{path} --help`", listed(&named))
        }
        ErrorKind::ArgumentConflict => {
            let others = names_in(error, ContextKind::PriorArg);
            if others.is_empty() || others.iter().all(|other| other == first) {
                format!("{first} is given twice; leave one of them out")
            } else {
                format!("{first} contradicts {}; leave one of them out", listed(&others))
            }
        }
        ErrorKind::InvalidUtf8 => {
            "a word of the command line is not UTF-8, and nothing here can be named so; write it in UTF-8"
                .to_owned()
        }
        // More kinds may come with a later clap; its words stay away from people all the same.
        _ => format!("the words behind `{path}` cannot be read; see `{path} --help`"),
    }
}

/// A flag that a command has not, or a value that looks like one.
fn unknown(error: &clap::Error, at: &Place<'_>, words: &[OsString]) -> String {
    let path = &at.path;
    let word = text_in(error, ContextKind::InvalidArg).unwrap_or_default();
    if let Some((flag, value)) = negative(&word, at, words) {
        return format!(
            "{flag}: `{}` is below zero, and no value of it is; write one that is not",
            printable::line(&value)
        );
    }
    let shown = printable::line(&word);
    if !word.starts_with('-') {
        return format!(
            "`{shown}` is a word too many for `{path}`; leave it out, or see `{path} --help`"
        );
    }
    let name = word.trim_start_matches('-');
    let known = at
        .command
        .get_arguments()
        .filter(|flag| !flag.is_hide_set());
    let near = injector_spec::nearest::nearest(name, known.filter_map(clap::Arg::get_long));
    match near {
        Some(like) => format!("`{path}` has no flag {shown}; did you mean `--{like}`?"),
        None => format!("`{path}` has no flag {shown}; see `{path} --help`"),
    }
}

/// The flag and its value where that begins like a flag, as in `--duration -1s`.
fn negative(word: &str, at: &Place<'_>, words: &[OsString]) -> Option<(String, String)> {
    let is_number = |word: &str| {
        let digits = word.strip_prefix('-');
        digits.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    if !is_number(word) {
        return None;
    }
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let pair = words
        .windows(2)
        .find(|pair| at.has(pair[0]) && is_number(pair[1]))?;
    Some((pair[0].to_owned(), pair[1].to_owned()))
}

/// A flag, and the one that does in its place.
fn or_other(name: &str, at: &Place<'_>) -> String {
    let bare = name.split(' ').next().unwrap_or(name);
    let other = EITHER
        .iter()
        .find(|(one, other)| *one == bare && at.has(other));
    match other {
        Some((_, other)) => format!("{name} or {other}"),
        None => name.to_owned(),
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "something".to_owned(),
        [one] => one.clone(),
        [names @ .., last] => format!("{} and {last}", names.join(", ")),
    }
}

/// The names in a context such as `--latency <TIME>`: `--latency`, and `RUN` of `<RUN>`.
fn names_in(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    let texts: Vec<&str> = match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let bare = |text: &str| {
        let word = text.split([' ', '=']).next().unwrap_or(text);
        let word = if word.starts_with('-') { word } else { text };
        printable::line(word.trim_matches(['<', '>', '[', ']', '.'])).into_owned()
    };
    texts.into_iter().map(bare).collect()
}

/// The command that clap takes for the one that was meant: the last of those that it names, for they are in the order
/// of their likeness.
fn nearest_command(error: &clap::Error) -> Option<String> {
    match error.get(ContextKind::SuggestedSubcommand)? {
        ContextValue::String(like) => Some(like.clone()),
        ContextValue::Strings(likes) => likes.last().cloned(),
        _ => None,
    }
}

fn text_in(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    }
}
