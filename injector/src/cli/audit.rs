//! `injector audit`: who did what to which target, by the journals alone.
//!
//! A journal that is damaged is evidence too: each line that cannot be trusted is told with its file and
//! number, and the rest is read.

use std::path::PathBuf;

use serde::Serialize;

use super::{Wanted, list, record::Reader, stored};
use injector_engine::{
    kill_switch,
    page::{Line, Page, Role},
    tell,
    worker::Output,
};
use injector_record::{
    journal::{self, Damaged, ListedRun, Record, Replay, Stamped, Unreadable},
    report::FaultReport,
};
use injector_spec::{
    error::{Exit, Refusal},
    printable,
    quantity::duration::millis,
};

/// Everything that is on record.
#[derive(Serialize)]
struct Audit {
    /// The runs, oldest first.
    runs: Vec<AuditedRun>,
    /// Who pulled and released the kill switch.
    #[serde(rename = "lever")]
    kill_switch: Option<Told>,
    /// Journals that cannot be read at all.
    unreadable: Vec<Unreadable>,
}

#[derive(Serialize)]
struct AuditedRun {
    #[serde(flatten)]
    listed: ListedRun,
    #[serde(flatten)]
    told: Told,
}

/// What a file says.
#[derive(Serialize)]
struct Told {
    file: PathBuf,
    records: Vec<Stamped>,
    damaged: Vec<Damaged>,
}

/// Reads, and prints.
pub fn audit(wanted: &Wanted, output: Output) -> Result<Exit, Refusal> {
    let audit = read(wanted)?;
    match output {
        Output::Json => tell::json(&audit),
        Output::Text => print(&audit),
    }
    stored::tell_unreadable(&audit.unreadable);
    // A person who audits must not take what cannot be read for what was not done.
    Ok(if audit.unreadable.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn read(wanted: &Wanted) -> Result<Audit, Refusal> {
    let directory = journal::directory();
    let files = journal::files(&directory).map_err(|error| {
        Refusal::failed(format!(
            "the journals in {} cannot be read: {error}; use sudo, or check the path",
            directory.display()
        ))
    })?;
    let since = wanted.since.map_or(0, |since| {
        let since = millis(since);
        journal::unix_ms().saturating_sub(since)
    });
    let mut audit = Audit {
        runs: Vec::new(),
        kill_switch: None,
        unreadable: Vec::new(),
    };
    for (file, run) in files {
        if wanted.run.as_ref().is_some_and(|wanted| *wanted != run) {
            continue;
        }
        match journal::read(&file, run) {
            Ok((listed, replay)) => {
                // Without a record that can be trusted it is not known when the run was, so the run is listed.
                if listed
                    .started_unix_ms
                    .is_none_or(|started| started >= since)
                {
                    let told = told(file, replay);
                    audit.runs.push(AuditedRun { listed, told });
                }
            }
            Err(error) => audit.unreadable.push(Unreadable {
                file,
                why: error.to_string(),
            }),
        }
    }
    audit
        .runs
        .sort_by_key(|audited| audited.listed.started_unix_ms);
    if let Some(run) = &wanted.run
        && audit.runs.is_empty()
        && audit.unreadable.is_empty()
    {
        let sentence = format!("there is no run {run}; `injector list` shows those that are known");
        return Err(Refusal::usage(sentence));
    }
    let file = kill_switch::journal(&directory);
    if wanted.run.is_none() {
        match journal::replay(&file) {
            Ok(mut replay) => {
                replay.records.retain(|stamped| stamped.unix_ms >= since);
                audit.kill_switch = Some(told(file, replay));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => audit.unreadable.push(Unreadable {
                file,
                why: error.to_string(),
            }),
        }
    }
    Ok(audit)
}

fn told(file: PathBuf, replay: Replay) -> Told {
    let Replay { records, damaged } = replay;
    Told {
        file,
        records,
        damaged,
    }
}

fn print(audit: &Audit) {
    for AuditedRun { listed, told } in &audit.runs {
        let started = listed
            .started_unix_ms
            .map_or_else(|| "unknown".to_owned(), journal::time);
        let ListedRun { run, name, .. } = listed;
        let mut page = Page::default();
        page.push(
            Line::all(Role::Strong, format!("run {run}"))
                .and(Role::Plain, format!(" ({name}) "))
                .and(list::tone(listed), list::standing(listed))
                .and(Role::Plain, format!(", started {started}")),
        );
        records(&mut page, told, Times::SinceTheFirst);
        for fault in listed.report.iter().flat_map(|report| &report.faults) {
            page.push(Line::plain(format!("  {}", counters(fault))));
            let known = fault.connections.iter().map(|one| format!("hit {one}"));
            for line in known.chain(fault.note.clone()).chain(fault.reactions()) {
                page.push(Line::plain(format!("    {line}")));
            }
        }
        if let Some(report) = &listed.report {
            let halt = report.halt.iter().map(ToString::to_string);
            for line in report.remarks.iter().cloned().chain(halt) {
                page.push(Line::plain(format!("  {line}")));
            }
            for error in &report.undo_errors {
                page.push(
                    Line::all(Role::Bad, "  not put back:").and(Role::Plain, format!(" {error}")),
                );
            }
        }
        tell::page(page);
    }
    if let Some(told) = audit
        .kill_switch
        .as_ref()
        .filter(|told| !told.records.is_empty() || !told.damaged.is_empty())
    {
        let mut page = Page::from_iter([Line::all(Role::Strong, "the kill switch")]);
        records(&mut page, told, Times::OfTheClock);
        tell::page(page);
    }
    if audit.runs.is_empty() && audit.unreadable.is_empty() {
        tell::result("no runs");
    }
}

/// How times of records are told.
#[derive(Clone, Copy)]
enum Times {
    /// From the first record on, as for a run.
    SinceTheFirst,
    /// By the host's clock.
    OfTheClock,
}

fn records(page: &mut Page, told: &Told, times: Times) {
    let mut reader = Reader::default();
    let at: Vec<String> = told
        .records
        .iter()
        .map(|stamped| match (times, told.records.first()) {
            (Times::SinceTheFirst, Some(first)) => since(first, stamped),
            _ => journal::time(stamped.unix_ms),
        })
        .collect();
    let width = at.iter().map(String::len).max().unwrap_or(0);
    for (stamped, time) in told.records.iter().zip(&at) {
        // Every record passes the reader, which remembers changes.
        let sentence = reader.sentence(&stamped.record);
        let line = Line::all(Role::Dim, format!("  {time:>width$}  "));
        // The plan has a line for each fault, and more.
        if let Record::Planned { text, .. } = &stamped.record {
            page.push(line.and(Role::Plain, "planned"));
            for row in text.lines() {
                page.push(Line::plain(format!("      {row}")));
            }
        } else if !is_uneventful(&stamped.record) {
            page.push(line.and(Role::Plain, sentence));
        }
    }
    for Damaged { line, why } in &told.damaged {
        let file = printable::path(&told.file);
        page.push(Line::all(Role::Doubtful, format!("  {file}:{line}: {why}")));
    }
}

/// Right answers and good operations, of which a run may have very many: `injector report` draws them.
fn is_uneventful(record: &Record) -> bool {
    match record {
        Record::Sampled { answers } => {
            let mut samples = answers.values().flatten();
            samples.all(|sample| sample.wrong.is_none())
        }
        Record::Operated { seconds } => seconds.values().flatten().all(|second| second.bad == 0),
        _ => false,
    }
}

/// The time between two records: by the boot clock, which cannot be set, and by the host's where the boot was another.
fn since(first: &Stamped, stamped: &Stamped) -> String {
    let by_boot = stamped.boot_ns.checked_sub(first.boot_ns);
    let by_clock = || stamped.unix_ms.saturating_sub(first.unix_ms);
    let ms = by_boot.map_or_else(by_clock, |ns| ns / 1_000_000);
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    match seconds {
        0..60 => format!("+{seconds}.{ms:03}s"),
        60..3_600 => format!("+{}m{:02}.{ms:03}s", seconds / 60, seconds % 60),
        _ => format!(
            "+{}h{:02}m{:02}.{ms:03}s",
            seconds / 3_600,
            seconds % 3_600 / 60,
            seconds % 60
        ),
    }
}

fn counters(fault: &FaultReport) -> String {
    let FaultReport {
        step,
        fault,
        target,
        mechanism,
        seen,
        matched,
        hit,
        missed,
        ..
    } = fault;
    format!(
        "{fault} on {target} by {mechanism} in step {step}: seen {seen}, matched {matched}, hit {hit}, \
         missed {missed}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot_ns: u64, unix_ms: u64) -> Stamped {
        Stamped {
            seq: 0,
            boot_ns,
            unix_ms,
            record: Record::Armed,
        }
    }

    #[test]
    fn times_are_counted_from_the_start_of_the_run() {
        let first = at(5_000_000_000, 1_000);
        assert_eq!(since(&first, &first), "+0.000s");
        // A clock that was set meanwhile changes nothing.
        assert_eq!(since(&first, &at(5_012_345_678, 0)), "+0.012s");
        assert_eq!(since(&first, &at(70_000_000_000, 0)), "+1m05.000s");
        assert_eq!(since(&first, &at(3_730_500_000_000, 0)), "+1h02m05.500s");
        // After another boot.
        assert_eq!(since(&first, &at(7, 31_250)), "+30.250s");
    }
}
