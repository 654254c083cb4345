//! `injector audit`: who did what to which target, by the journals alone.
//!
//! A journal that is damaged is evidence too: each line that cannot be trusted is told with its file and
//! number, and the rest is read.

use std::path::PathBuf;

use serde::Serialize;

use super::{Wanted, record::Reader};
use injector_engine::tell;
use injector_engine::{kill_switch, worker::Output};
use injector_record::{
    journal::{self, Damaged, ListedRun, Record, Replay, Stamped, Unreadable},
    report::FaultReport,
};
use injector_spec::{
    error::{Exit, Refusal},
    printable,
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
    for one in &audit.unreadable {
        tell::aside(format!("injector: {one}; look what it is, and delete it"));
    }
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
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
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
        let ListedRun {
            run, name, state, ..
        } = listed;
        tell::result(printable::line(&format!("run {run}  {name}  {state}")));
        print_records(told);
        for fault in listed.report.iter().flat_map(|report| &report.faults) {
            tell::result(printable::line(&format!("  {}", counters(fault))));
        }
        for error in listed.report.iter().flat_map(|report| &report.undo_errors) {
            tell::result(printable::line(&format!("  not put back: {error}")));
        }
    }
    if let Some(told) = audit
        .kill_switch
        .as_ref()
        .filter(|told| !told.records.is_empty() || !told.damaged.is_empty())
    {
        tell::result("the kill switch");
        print_records(told);
    }
    if audit.runs.is_empty() && audit.unreadable.is_empty() {
        tell::result("no runs");
    }
}

fn print_records(told: &Told) {
    let mut reader = Reader::default();
    for stamped in &told.records {
        let time = journal::time(stamped.unix_ms);
        // Every record passes the reader, which remembers changes.
        let sentence = reader.sentence(&stamped.record);
        // The plan has a line for each fault, and more.
        if let Record::Planned { text, .. } = &stamped.record {
            tell::result(format!("  {time}  planned"));
            for line in text.lines() {
                tell::result(format!("      {line}"));
            }
        } else {
            tell::result(format!("  {time}  {sentence}"));
        }
    }
    for Damaged { line, why } in &told.damaged {
        let file = printable::path(&told.file);
        tell::result(format!("  {file}:{line}: {why}"));
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
