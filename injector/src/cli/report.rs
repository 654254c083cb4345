//! `injector report`: all that a journal says of one run, as a card, as Markdown, as a page, or as data.
//!
//! The journal is all that is read, so a run that was killed is reported, too, and a user who can read a journal needs
//! no privileges. What a verdict says is no failure of this command: it exits with 0 where it has told it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::stored::{self, Which};
use injector_engine::{
    page::{Line, Look, Page, Role},
    tell,
};
use injector_record::account::{Account, html, junit, markdown};
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
    /// JUnit's XML for a server of continuous integration: a case for the verdict, and one for each probe
    Junit,
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
        Ok(Self {
            which: Which::parse(&flags.run)?,
            format: flags.format,
            to: flags.output,
        })
    }
}

/// Reads the journal, and writes the report.
pub fn report(reporting: &Reporting) -> Result<Exit, Refusal> {
    let account = reporting.which.account()?;
    let to = reporting.to.as_deref();
    if reporting.format == Format::Text && to.is_none() {
        tell::page(card(&account));
        return Ok(Exit::Done);
    }
    let text = text(&account, reporting.format)?;
    stored::put(&format!("report of {}", account.run), &text, to)
}

/// What stands on a page, for a file.
pub(super) fn rows(page: &Page) -> String {
    page.rows(Look::Pipe).join("\n") + "\n"
}

fn text(account: &Account, format: Format) -> Result<String, Refusal> {
    match format {
        Format::Text => Ok(rows(&card(account))),
        Format::Md => Ok(markdown::markdown(account)),
        Format::Junit => Ok(junit::junit(account)),
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

fn unspeakable(account: &Account, error: &dyn std::error::Error) -> Refusal {
    Refusal::failed(format!(
        "the report of {} cannot be put into words: {error}; `injector audit {}` shows its journal",
        account.run, account.run
    ))
}

#[cfg(test)]
mod tests;
