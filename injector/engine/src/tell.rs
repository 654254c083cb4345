//! What commands print: results on standard output, everything else on standard error.
//!
//! With `--json` standard output has one document (`events` has one for each line, as it comes), and each
//! line of standard error is an object: an event of the run, a [`refusal`], or an [`aside`]. Which of the
//! two languages a process speaks is decided once, by [`speak`], from the words of its command line: an
//! error in them is told in it, too.
//!
//! What people read is a [`Page`], which becomes rows where it is written ([`crate::page`]). A run of one's own is
//! told by a [`Narrator`], and ends with a card.
//!
//! Nothing here fails where it is called. What could not be written is remembered, and [`conclude`] makes
//! an exit code of it.

mod card;
mod narrator;
mod outlet;

use std::ffi::{OsStr, OsString};

use serde::Serialize;

pub use card::card;
pub use narrator::Narrator;
pub use outlet::{
    Lost, Stream, begin_live, draw_live, give_up, hang_up, has_left, has_result, hold, is_one_file,
    let_go, live, live_over, output, pass_on, show, speak, terminal, through, turn, without_result,
};
pub(crate) use outlet::{settle, write};

use crate::{
    page::{Line, Page, Readers, Role},
    worker::Output,
};
use injector_record::{
    event::{EventKind, RunEvent},
    report::RunReport,
};
use injector_spec::{
    error::{Exit, Refusal},
    experiment::Target,
    printable,
    quantity::count,
};

/// What `--json` prints of a remark.
#[derive(Serialize)]
struct Aside<'a> {
    aside: &'a str,
}

/// The language that a command line asks for, whether or not the rest of it can be understood.
pub fn asked_for(words: &[OsString]) -> Output {
    let flags: Vec<_> = words.iter().take_while(|word| *word != "--").collect();
    let is_one = |word: &&OsString| *word == OsStr::new("--json") || *word == "--format=json";
    let is_pair = |pair: &[&OsString]| *pair[0] == *"--format" && *pair[1] == *"json";
    if flags.iter().any(is_one) || flags.windows(2).any(is_pair) {
        Output::Json
    } else {
        Output::Text
    }
}

/// Prints a text on standard output.
pub fn result(text: impl AsRef<str>) {
    page(Page::text(text.as_ref()));
}

/// Prints a page on standard output.
pub fn page(page: Page) {
    show(Stream::Result, Readers::All, page);
}

/// Prints a line on standard error, for people; for programs an object.
pub fn aside(text: impl AsRef<str>) {
    aside_as(Role::Plain, Readers::All, text.as_ref());
}

/// The same for what a person may know of the host, and what matters less than what was asked.
pub fn remark(text: impl AsRef<str>) {
    aside_as(Role::Dim, Readers::All, text.as_ref());
}

fn aside_as(role: Role, readers: Readers, text: &str) {
    let text = text.trim_end_matches('\n');
    match output() {
        Output::Text => show(Stream::Aside, readers, Page::text_as(role, text)),
        Output::Json => {
            // The name in front is for a terminal, where several programs speak.
            let aside = text.strip_prefix("injector: ").unwrap_or(text);
            line(Stream::Aside, &as_json(&Aside { aside }));
        }
    }
}

/// Prints JSON on standard output, one line.
pub fn json(value: &impl Serialize) {
    line(Stream::Result, &as_json(value));
}

fn line(stream: Stream, text: &str) {
    let text = format!("{}\n", text.trim_end_matches('\n'));
    pass_on(stream, text.as_bytes());
}

fn as_json(value: &impl Serialize) -> String {
    // Our own types always serialise.
    let text = serde_json::to_string(value).unwrap_or_default();
    printable::json(&text).into_owned()
}

/// Prints a report, in the place of the live line where there is one.
pub fn report(report: &RunReport, output: Output) {
    match output {
        Output::Text => {
            live_over();
            page(card(report));
        }
        Output::Json => json(report),
    }
}

/// Prints why a command does nothing: for people a sentence, for programs the document of its result.
pub fn refusal(refusal: &Refusal) {
    if output() == Output::Json {
        json(refusal);
    }
    complaint(refusal);
}

/// Prints why a command that has told its result fails nevertheless.
pub fn complaint(refusal: &Refusal) {
    match output() {
        Output::Text => {
            let said = Line::all(Role::Bad, "injector:").and(Role::Plain, format!(" {refusal}"));
            show(Stream::Aside, Readers::All, Page::from_iter([said]));
        }
        Output::Json => line(Stream::Aside, &as_json(refusal)),
    }
}

/// The exit code of a command that has told everything: 1 where it has done what it was asked, and what
/// it told reached no reader.
pub fn conclude(exit: Exit) -> Exit {
    let Some(lost) = outlet::lost() else {
        return exit;
    };
    aside(format!("injector: {lost}."));
    match exit {
        Exit::Done => Exit::Failed,
        Exit::Failed | Exit::Usage | Exit::Unsafe | Exit::Inconclusive => exit,
    }
}

/// An event of any run, as `injector events` shows it.
pub fn event(event: &RunEvent, output: Output) {
    match output {
        Output::Json => json(event),
        Output::Text => {
            let sentence = sentence(&event.what);
            result(format!("{}  {}", event.run, printable::line(&sentence)));
        }
    }
}

pub(crate) fn sentence(what: &EventKind) -> String {
    match what {
        EventKind::Armed { faults, .. } if faults.is_empty() => "armed".to_owned(),
        EventKind::Armed { faults, .. } => {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            format!("armed: {}", faults.join(" | "))
        }
        EventKind::StepStarted { step } => format!("step {step}"),
        EventKind::StepEnded { step } => format!("end of step {step}"),
        EventKind::GateWaits { step, until } => format!("gate {step} waits for {until}"),
        EventKind::GateEnded { report } => report.to_string(),
        EventKind::Escalated { turn } => turn.to_string(),
        EventKind::DeviceCovered { device } => format!("device {device} appeared and is covered"),
        EventKind::DeviceNotCovered { device, why } => {
            format!("device {device} is not covered: {why}")
        }
        EventKind::ProcessNotCovered { pid, why } => format!("process {pid} is not covered: {why}"),
        EventKind::ProcessEnded {
            target,
            pid,
            after_ms,
        } => {
            let (target, after) = (Target::in_words(target), seconds(*after_ms));
            format!("process {pid} of {target} ended after {after}")
        }
        EventKind::TargetEnded {
            target,
            how,
            after_ms,
        } => {
            let (target, after) = (Target::in_words(target), seconds(*after_ms));
            format!("{target} ended after {after}: {how}")
        }
        EventKind::TargetMet { target, after_ms } => {
            let (target, after) = (Target::in_words(target), seconds(*after_ms));
            format!("{target} is met again after {after}")
        }
        EventKind::TargetNotMet {
            target,
            why,
            after_ms,
        } => {
            let (target, after) = (Target::in_words(target), seconds(*after_ms));
            format!("what came back as {target} after {after} is not met: {why}")
        }
        EventKind::Hit {
            fault,
            target,
            number,
            on,
        } => format!("{fault} hit match {number} of {target}: {on}"),
        EventKind::EventsLost { count: 1 } => "1 hit was counted but not listed".to_owned(),
        EventKind::ConnectionReset {
            fault,
            target,
            number,
            connection,
        } => format!("{fault} hit match {number} of {target}: {connection}"),
        EventKind::EventsLost { count } => format!("{count} hits were counted but not listed"),
        EventKind::Progress { hits, .. } => format!("hits so far: {hits}"),
        EventKind::Sampled { answers } => {
            let answers: usize = answers.values().map(Vec::len).sum();
            count(answers, "answer of a probe", "answers of probes")
        }
        EventKind::Ended { report } => format!("ended: {}", report.outcome),
    }
}

/// Milliseconds in tenths of a second.
fn seconds(milliseconds: u64) -> String {
    let tenths = milliseconds.saturating_add(50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
