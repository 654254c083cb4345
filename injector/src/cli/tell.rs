//! What commands print: results on standard output, everything else on standard error.
//!
//! Nothing here fails: who closes the pipe has read enough.

use std::io::{Write, stderr, stdout};

use serde::Serialize;

use crate::{
    error::Refusal,
    event::{RunEvent, What},
    experiment::Experiment,
    printable,
    quantity::duration,
    report::RunReport,
    worker::Output,
};

/// Prints a line on standard output.
pub fn result(text: impl AsRef<str>) {
    let text = printable::lines(text.as_ref());
    let _ = writeln!(stdout(), "{}", text.trim_end_matches('\n'));
}

/// Prints a line on standard error.
pub fn aside(text: impl AsRef<str>) {
    let text = printable::lines(text.as_ref());
    let _ = writeln!(stderr(), "{}", text.trim_end_matches('\n'));
}

/// Prints JSON on standard output, one line.
pub fn json(value: &impl Serialize) {
    let _ = writeln!(stdout(), "{}", as_json(value));
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

/// Prints why a command does nothing.
pub fn refusal(refusal: &Refusal, output: Output) {
    aside(format!("injector: {refusal}"));
    if output == Output::Json {
        json(refusal);
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
    if let What::Hit { .. } | What::EventsLost { .. } = event.what {
        return;
    }
    match (output, &event.what) {
        (Output::Json, _) => {
            let _ = writeln!(stderr(), "{}", as_json(event));
        }
        (Output::Text, What::Armed) => {
            result(format!(
                "armed {headline} (run {}); Ctrl-C ends it",
                event.run
            ));
        }
        (Output::Text, What::Ended { .. }) => {}
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

fn sentence(what: &What) -> String {
    match what {
        What::Armed => "armed".to_owned(),
        What::StepStarted { step } => format!("step {step}"),
        What::StepEnded { step } => format!("end of step {step}"),
        What::DeviceCovered { device } => format!("device {device} appeared and is covered"),
        What::DeviceNotCovered { device, why } => format!("device {device} is not covered: {why}"),
        What::ProcessNotCovered { pid, why } => format!("process {pid} is not covered: {why}"),
        What::ProcessEnded {
            target,
            pid,
            after_ms,
        } => format!(
            "process {pid} of {target} ended after {}",
            seconds(*after_ms)
        ),
        What::TargetEnded {
            target,
            how,
            after_ms,
        } => format!(
            "the target {target} ended after {}: {how}",
            seconds(*after_ms)
        ),
        What::TargetMet { target, after_ms } => {
            format!(
                "the target {target} is met again after {}",
                seconds(*after_ms)
            )
        }
        What::TargetNotMet {
            target,
            why,
            after_ms,
        } => format!(
            "what came back as {target} after {} is not met: {why}",
            seconds(*after_ms)
        ),
        What::Hit {
            fault,
            target,
            number,
            remote,
            bytes,
        } => {
            format!("{fault} hit match {number} of {target}: {remote}, {bytes} bytes")
        }
        What::EventsLost { count } => format!("{count} hits were counted but not listed"),
        What::Ended { report } => format!("ended: {}", report.outcome),
    }
}

/// Milliseconds in tenths of a second.
fn seconds(milliseconds: u64) -> String {
    let tenths = milliseconds.saturating_add(50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
