//! What commands print: results on standard output, everything else on standard error.
//!
//! With `--json` standard output has one document (`events` has one for each line, as it comes), and each
//! line of standard error is an object: an event of the run, a [`refusal`], or an [`aside`]. Which of the
//! two languages a process speaks is decided once, by [`speak`], from the words of its command line: an
//! error in them is told in it, too.
//!
//! Nothing here fails where it is called. What could not be written is remembered, and [`conclude`] makes
//! an exit code of it.

mod outlet;

use std::ffi::{OsStr, OsString};

use serde::Serialize;

pub use outlet::{
    Lost, Stream, hang_up, has_left, has_result, output, pass_on, speak, terminal, through,
    without_result,
};
pub(crate) use outlet::{settle, write};

use crate::worker::Output;
use injector_record::{
    event::{EventKind, RunEvent},
    report::RunReport,
};
use injector_spec::{
    error::{Exit, Refusal},
    experiment::{Experiment, Target},
    printable,
    quantity::duration,
};

/// What `--json` prints of a remark.
#[derive(Serialize)]
struct Aside<'a> {
    aside: &'a str,
}

/// The language that a command line asks for, whether or not the rest of it can be understood.
pub fn asked_for(words: &[OsString]) -> Output {
    let mut flags = words.iter().take_while(|word| *word != "--");
    if flags.any(|word| word == OsStr::new("--json")) {
        Output::Json
    } else {
        Output::Text
    }
}

/// Prints a line on standard output.
pub fn result(text: impl AsRef<str>) {
    line(Stream::Result, &printable::lines(text.as_ref()));
}

/// Prints a line on standard error, for people; for programs an object.
pub fn aside(text: impl AsRef<str>) {
    let text = text.as_ref().trim_end_matches('\n');
    match output() {
        Output::Text => line(Stream::Aside, &printable::lines(text)),
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

/// Prints a report.
pub fn report(report: &RunReport, output: Output) {
    match output {
        Output::Text => result(report.to_string()),
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
        Output::Text => line(
            Stream::Aside,
            &printable::lines(&format!("injector: {refusal}")),
        ),
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
        Exit::Failed | Exit::Usage | Exit::Unsafe => exit,
    }
}

/// What is armed, in half a line.
pub fn headline(experiment: &Experiment) -> String {
    let targets: Vec<_> = experiment
        .targets
        .iter()
        .map(|target| target.selector.to_string())
        .collect();
    let duration = duration::format(experiment.duration());
    format!(
        "{} on {} for {duration}",
        printable::line(&experiment.name),
        targets.join("; ")
    )
}

/// Prints a turn of one's own run, as it comes. Hits are for `injector events`, the end for the report.
pub fn turn(event: &RunEvent, headline: &str, output: Output) {
    if event.what.is_of_hits() {
        return;
    }
    match (output, &event.what) {
        (Output::Json, _) => {
            line(Stream::Aside, &as_json(event));
        }
        (Output::Text, EventKind::Armed { faults }) => {
            let mut text = format!("armed {headline} (run {}); Ctrl-C ends it", event.run);
            for fault in faults {
                text = format!("{text}\n  {fault}");
            }
            result(text);
        }
        (Output::Text, EventKind::Ended { .. }) => {}
        (Output::Text, what) => aside(printable::line(&sentence(what))),
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

fn sentence(what: &EventKind) -> String {
    match what {
        EventKind::Armed { faults } if faults.is_empty() => "armed".to_owned(),
        EventKind::Armed { faults } => {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            format!("armed: {}", faults.join(" | "))
        }
        EventKind::StepStarted { step } => format!("step {step}"),
        EventKind::StepEnded { step } => format!("end of step {step}"),
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
        EventKind::Ended { report } => format!("ended: {}", report.outcome),
    }
}

/// Milliseconds in tenths of a second.
fn seconds(milliseconds: u64) -> String {
    let tenths = milliseconds.saturating_add(50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
