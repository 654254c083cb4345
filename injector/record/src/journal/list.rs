//! Which runs there are, and which of them no process looks after any more.
//!
//! Journals of runs that are over are not read again: [`table`](super::table) and [`index`] have what they said. What
//! they do not know is read, and what lies there without being a journal (a FIFO, a device, a directory) is told by
//! name, and nothing waits for it.

use std::{fs::File, io, path::Path};

use super::{
    ListedRun, Listing, Newest, Reports, RunId, RunState,
    index::{self, Index},
    looked::{Look, Looked},
    names::{Name, file, files, names},
    seen::read,
    table::{Row, Table},
};
use crate::report::Outcome;

/// The runs of a directory, and what of it cannot be read. A directory that does not exist has none.
pub fn look(directory: &Path, reports: Reports) -> io::Result<Listing> {
    let index = Index::load(directory);
    let known = |run: &RunId, stamp| index.listed(run, stamp, reports);
    let mut found = Listing::default();
    for (path, run) in files(directory)? {
        if let Some(listed) = index::stamp(&path).and_then(|stamp| known(&run, stamp)) {
            found.runs.push(listed);
        } else {
            let read = read(&path, run).map(|(listed, _)| listed);
            found.take(path, read);
        }
    }
    found.sort();
    Ok(found)
}

/// The runs of a directory, oldest first; a journal that cannot be read is an error.
pub fn list(directory: &Path) -> io::Result<Vec<ListedRun>> {
    look(directory, Reports::With)?.whole()
}

/// The runs that a process must look after: those that go on, those without an end, and those that have
/// left something to restore. What the table knows to be over is not among them and is not read. What cannot
/// be read may be such a run: a caller that must not miss one asks for the [`Listing::whole`].
pub fn unfinished(directory: &Path, look: Look) -> io::Result<Listing> {
    let looked = match look {
        Look::Since => Looked::load(directory),
        Look::Whole => None,
    };
    let runs = match looked {
        Some(looked) => looked.unfinished,
        None => unknown(directory)?,
    };
    let mut found = Listing::default();
    for run in runs {
        add(&mut found, directory, run);
    }
    found.runs.retain(|listed| match &listed.state {
        RunState::Running | RunState::Aborted { why: None } => true,
        RunState::Ended { .. } | RunState::Aborted { why: Some(_) } => {
            !listed.to_restore.is_empty()
        }
    });
    Ok(found)
}

/// The runs that the table does not know to be over.
fn unknown(directory: &Path) -> io::Result<Vec<RunId>> {
    let table = Table::load(directory);
    let mut known = table.in_order();
    let names = names(directory)?.into_iter();
    Ok(names
        .filter(|name| known.get(*name).is_none())
        .map(Name::run)
        .collect())
}

/// At most so many runs, the newest by their start, with their reports. Of the others only those are read that the
/// table does not know, to tell what cannot be read.
pub fn newest(directory: &Path, count: usize) -> io::Result<Newest> {
    let table = Table::load(directory);
    let index = File::open(Index::path(directory)).ok();
    let mut found = Listing::default();
    let mut rows = table.in_order();
    let mut known: Vec<(Name, &Row)> = Vec::new();
    for name in names(directory)? {
        match rows.get(name) {
            Some(row) => known.push((name, row)),
            None => add(&mut found, directory, name.run()),
        }
    }
    let total = known.len() + found.runs.len();
    // Names are in order by the second of the start alone: all of the last second may be among the newest.
    let last = known
        .iter()
        .rev()
        .nth(count.saturating_sub(1))
        .map(|(name, _)| name.second());
    let may_be_new = |name: &Name| last.is_none_or(|last| name.second() >= last);
    for (name, row) in known.into_iter().filter(|(name, _)| may_be_new(name)) {
        let run = name.run();
        let path = file(directory, &run);
        match index::at_place(index.as_ref(), &run, row, &path) {
            Some(listed) => found.runs.push(listed),
            None => add(&mut found, directory, run),
        }
    }
    found.sort();
    let older = total.saturating_sub(count);
    found.runs.drain(..found.runs.len().saturating_sub(count));
    Ok(Newest {
        listing: found,
        older,
    })
}

/// The runs whose last word, said at this time or later (in milliseconds since 1970), is that they were halted.
pub fn halted_since(directory: &Path, unix_ms: u64) -> io::Result<Vec<RunId>> {
    let table = Table::load(directory);
    let mut known = table.in_order();
    let mut found = Vec::new();
    for name in names(directory)? {
        let row = known.get(name);
        if row.is_some_and(|row| row.last_unix_ms < unix_ms) {
            continue;
        }
        let run = name.run();
        // What cannot be read has said nothing.
        let Ok((listed, replay)) = read(&file(directory, &run), run.clone()) else {
            continue;
        };
        let last = replay.records.last().map_or(0, |record| record.unix_ms);
        let is_halted = matches!(
            listed.state,
            RunState::Ended {
                outcome: Outcome::Halted { .. }
            }
        );
        if is_halted && last >= unix_ms {
            found.push(run);
        }
    }
    Ok(found)
}

/// Reads a journal, and adds what came of it.
fn add(found: &mut Listing, directory: &Path, run: RunId) {
    let path = file(directory, &run);
    let read = read(&path, run).map(|(listed, _)| listed);
    found.take(path, read);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        journal::{Journal, Record},
        report::RunReport,
    };

    #[test]
    fn only_runs_that_were_halted_since_then_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let runs: Vec<RunId> = (1..=3)
            .map(|n| format!("r00000001000{n}").parse().unwrap())
            .collect();
        let before = crate::journal::unix_ms();
        let why = String::from("injector was halted");
        let halted = Outcome::Halted { why };
        for (run, outcome) in runs.iter().zip([halted, Outcome::Stopped]) {
            let mut journal = Journal::create_in(directory.path(), run).unwrap();
            let report = RunReport::of(run.clone(), "x", outcome);
            journal.append(&Record::Ended { report }).unwrap();
        }
        let _goes_on = Journal::create_in(directory.path(), &runs[2]).unwrap();
        assert_eq!(halted_since(directory.path(), before).unwrap(), runs[..1]);
        let later = crate::journal::unix_ms() + 1;
        assert_eq!(halted_since(directory.path(), later).unwrap(), []);
    }
}
