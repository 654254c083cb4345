//! `injector report`: all that a journal says of one run, as a card, as Markdown, as a page, or as data.
//!
//! The journal is all that is read, so a run that was killed is reported, too, and a user who can read a journal needs
//! no privileges. What a verdict says is no failure of this command: it exits with 0 where it has told it.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use injector_engine::{
    page::{Line, Look, Page, Role},
    tell::{self, Stream},
};
use injector_record::{
    account::{Account, html, markdown},
    journal::{self, Reports, RunId},
    replace::{self, ReplaceError},
};
use injector_spec::{
    error::{Exit, Refusal},
    printable,
};

/// `injector report`.
#[derive(Args, Debug)]
pub(crate) struct ReportFlags {
    /// The run, as `injector list` shows it, or `last` for the newest
    #[arg(value_name = "RUN")]
    run: String,
    /// What it is written as
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Where it is written to, in place of standard output; a file that is there is replaced
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The card that a run ends with
    Text,
    /// A card of Markdown, to be pasted
    Md,
    /// One page that needs no network and no script, with a picture of each probe
    Html,
    /// The account as data, with every answer of each probe
    Json,
}

/// The run that is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest one.
    Last,
    /// This one.
    Run(RunId),
}

/// What is to be reported, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporting {
    /// Which run.
    pub which: Which,
    /// As what.
    pub format: Format,
    /// Where to; standard output where nothing is said.
    pub to: Option<PathBuf>,
}

impl TryFrom<ReportFlags> for Reporting {
    type Error = Refusal;

    fn try_from(flags: ReportFlags) -> Result<Self, Refusal> {
        let which = if flags.run == "last" {
            Which::Last
        } else {
            Which::Run(super::action::run_id(&flags.run)?)
        };
        Ok(Self {
            which,
            format: flags.format,
            to: flags.output,
        })
    }
}

/// Reads the journal, and writes the report.
pub fn report(reporting: &Reporting) -> Result<Exit, Refusal> {
    let account = account(&reporting.which)?;
    let Some(path) = &reporting.to else {
        match reporting.format {
            Format::Text => tell::page(card(&account)),
            Format::Md | Format::Html | Format::Json => {
                let text = text(&account, reporting.format)?;
                tell::pass_on(Stream::Result, text.as_bytes());
            }
        }
        return Ok(Exit::Done);
    };
    let text = text(&account, reporting.format)?;
    replace::replace(path, text.as_bytes()).map_err(|error| unwritable(path, &error))?;
    let shown = printable::path(path);
    tell::aside(format!(
        "injector: the report of {} is in {shown}",
        account.run
    ));
    Ok(Exit::Done)
}

fn account(which: &Which) -> Result<Account, Refusal> {
    let run = match which {
        Which::Run(run) => run.clone(),
        Which::Last => newest()?,
    };
    let directory = journal::directory();
    let path = directory.join(format!("{run}.jsonl"));
    match journal::read(&path, run.clone()) {
        Ok((listed, replay)) => Ok(Account::of(listed, &replay)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Refusal::usage(format!(
            "there is no run {run}; `injector list` shows those that are known"
        ))),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

/// The run that started last.
fn newest() -> Result<RunId, Refusal> {
    let directory = journal::directory();
    let listing = journal::look(&directory, Reports::Without)
        .map_err(|error| unreadable(&directory, &error))?;
    for one in &listing.unreadable {
        tell::aside(format!("injector: {one}; look what it is, and delete it"));
    }
    let last = listing.runs.into_iter().next_back();
    last.map(|listed| listed.run).ok_or_else(|| {
        let shown = printable::path(&directory);
        Refusal::usage(format!(
            "there is no run yet whose journal in {shown} can be read; name the folder of the journals by \
             INJECTOR_STATE_DIR, or start a run"
        ))
    })
}

fn text(account: &Account, format: Format) -> Result<String, Refusal> {
    match format {
        Format::Text => Ok(card(account).rows(Look::Pipe).join("\n") + "\n"),
        Format::Md => Ok(markdown::markdown(account)),
        Format::Html => html::html(account).map_err(|error| unspeakable(account, &error)),
        Format::Json => serde_json::to_string(account)
            .map(|text| format!("{}\n", printable::json(&text)))
            .map_err(|error| unspeakable(account, &error)),
    }
}

/// The card of a run; of one without a report, what there is to say of it.
fn card(account: &Account) -> Page {
    if let Some(report) = &account.report {
        return tell::card(report);
    }
    let headline = account.headline();
    let name = &account.name;
    let mut page = Page::default();
    let first = Line::plain(format!("{} ({name}) ", account.run))
        .and(headline.tone.into(), headline.word)
        .and(Role::Plain, format!(", {}", headline.course));
    page.push(first);
    if let Some(why) = &headline.why {
        page.push(Line::plain(format!("    {why}")));
    }
    for fault in &account.faults {
        page.push(Line::plain(format!("  {fault}")));
    }
    for change in &account.to_restore {
        let sentence = format!("  not known to be put back: {change}; run `injector sweep`");
        page.push(Line::all(Role::Doubtful, sentence));
    }
    let rest = format!("`injector audit {}` has the rest", account.run);
    page.push(Line::all(Role::Dim, rest));
    page
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    let shown = printable::path(path);
    Refusal::failed(format!(
        "the journals in {shown} cannot be read: {error}; use sudo, or check the path"
    ))
}

fn unwritable(path: &Path, error: &ReplaceError) -> Refusal {
    let shown = printable::path(path);
    let sentence =
        |remedy: &str| format!("the report cannot be written to {shown}: {error}; {remedy}");
    match error {
        ReplaceError::Special(_) => Refusal::usage(sentence(
            "name a file, or leave --output out and redirect standard output",
        )),
        ReplaceError::Link => Refusal::usage(sentence("name the file that it leads to")),
        ReplaceError::NoName => Refusal::usage(sentence("name one")),
        ReplaceError::Io(_) => Refusal::failed(sentence(
            "free some space there, or name another place for it",
        )),
    }
}

fn unspeakable(account: &Account, error: &dyn std::error::Error) -> Refusal {
    Refusal::failed(format!(
        "the report of {} cannot be put into words: {error}; `injector audit {}` shows its journal",
        account.run, account.run
    ))
}

#[cfg(test)]
mod tests;
