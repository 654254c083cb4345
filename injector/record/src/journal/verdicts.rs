//! What all stored runs said of their hypotheses: from the table, and from the journals that it does not know.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    ListedRun, Record, Replay, RunId, Unreadable,
    index::{self, Index},
    names::{file, names},
    seen::{look_at, read},
    table::{Asked, Condition, Row, Table, Word},
};
use crate::measure::Verdict;

/// A run that says what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) run: RunId,
    pub(crate) word: Word,
    pub(crate) asked: Asked,
    source: Source,
}

/// Where the rest of a run is to be had.
#[derive(Clone, Debug)]
enum Source {
    Row(Box<Row>),
    Read(Box<ListedRun>),
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Verdicts {
    /// Oldest first, by the second of their start.
    pub(crate) runs: Vec<Judged>,
    /// Journals that cannot be read.
    pub(crate) unreadable: Vec<Unreadable>,
    /// The version of the table, where it is a later one than this program knows.
    pub(crate) newer: Option<u32>,
    directory: PathBuf,
    index: Option<File>,
}

/// Looks at a directory. One that does not exist has none.
pub(crate) fn verdicts(directory: &Path) -> io::Result<Verdicts> {
    let table = Table::load(directory);
    let mut found = Verdicts {
        runs: Vec::new(),
        unreadable: Vec::new(),
        newer: match table.condition() {
            Condition::Newer(version) => Some(version),
            Condition::Whole | Condition::Broken => None,
        },
        directory: directory.to_owned(),
        index: File::open(Index::path(directory)).ok(),
    };
    let mut known = table.in_order();
    for name in names(directory)? {
        match known.get(name) {
            Some(row) => found.runs.extend(row.asked.map(|asked| Judged {
                run: row.name(),
                word: row.word,
                asked,
                source: Source::Row(Box::new(*row)),
            })),
            None => found.read(&name.run()),
        }
    }
    Ok(found)
}

/// Whether the last judged run of the same experiment before this one was inconclusive.
pub fn was_inconclusive_before(directory: &Path, run: &RunId) -> io::Result<bool> {
    let runs = verdicts(directory)?.runs;
    let asked = runs.iter().find(|judged| judged.run == *run);
    let Some(key) = asked.map(|judged| judged.asked.key) else {
        return Ok(false);
    };
    let earlier = runs
        .iter()
        .filter(|judged| judged.run.number() < run.number() && judged.asked.key == key);
    let last = earlier.max_by_key(|judged| judged.run.number());
    Ok(last.is_some_and(|judged| judged.word == Word::Inconclusive))
}

impl Verdicts {
    fn read(&mut self, run: &RunId) {
        let file = file(&self.directory, run);
        match look_at(&file, run.clone()) {
            Ok(seen) => {
                let asked = asked(&seen.replay);
                self.runs.extend(asked.map(|asked| Judged {
                    run: run.clone(),
                    word: Word::of(verdict(&seen.listed)),
                    asked,
                    source: Source::Read(Box::new(seen.listed)),
                }));
            }
            Err(error) => self.unreadable.extend(Unreadable::of(file, &error)),
        }
    }

    /// All that a list has of a run; nothing where its journal is gone.
    pub(crate) fn listed(&self, judged: &Judged) -> Option<ListedRun> {
        match &judged.source {
            Source::Read(listed) => Some(ListedRun::clone(listed)),
            Source::Row(row) => {
                let path = file(&self.directory, &judged.run);
                index::at_place(self.index.as_ref(), &judged.run, row, &path).or_else(|| {
                    let (listed, _) = read(&path, judged.run.clone()).ok()?;
                    Some(listed)
                })
            }
        }
    }
}

/// What a journal says was asked.
pub(super) fn asked(replay: &Replay) -> Option<Asked> {
    replay
        .records
        .iter()
        .find_map(|stamped| match &stamped.record {
            Record::Started {
                name, experiment, ..
            } => {
                let content = experiment.fingerprint();
                // What a stage asks is known by its file, whatever limits the host has added.
                let stage = experiment.stage.as_ref().map(|stage| stage.asks);
                Some(Asked {
                    key: stage.unwrap_or_else(|| content.named(name)),
                    content,
                })
            }
            _ => None,
        })
}

/// The verdict of a run that came to its end.
pub(super) fn verdict(listed: &ListedRun) -> Option<&Verdict> {
    let super::RunState::Ended { .. } = listed.state else {
        return None;
    };
    listed.report.as_ref()?.verdict()
}
