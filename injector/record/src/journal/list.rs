//! Which runs there are, and which of them no process looks after any more.
//!
//! Journals of runs that are over are not read again: [`table`](super::table) and [`index`] have what they said. What
//! they do not know is read, and what lies there without being a journal (a FIFO, a device, a directory) is told by
//! name, and nothing waits for it.

use std::{
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{
    HostChange, Process, Record, Replay, RunId,
    index::{self, Index, Stamp},
    names::{Name, names},
    replay::LARGEST,
    table::{Row, Table},
};
use crate::regular::{self, Access};
use crate::report::{Outcome, RunReport};
use injector_spec::{config::ConfigFile, experiment::Placed, printable};

/// A run, as its journal tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRun {
    /// Its name.
    pub run: RunId,
    /// The experiment's name; empty where that record is damaged.
    pub name: String,
    /// Whether it lives, and if not, how it ended.
    #[serde(flatten)]
    pub state: RunState,
    /// When it started, in milliseconds since 1970; absent where the journal does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_unix_ms: Option<u64>,
    /// Who can be signalled to stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<Process>,
    /// Who asked for it, and under which limits; absent where that record is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Host settings that may still have the run's value, in the order in which to restore them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_restore: Vec<HostChange>,
    /// Its faults, with all that is in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Placed>,
    /// Lines of the journal that could not be read.
    #[serde(default)]
    pub damaged_lines: usize,
    /// What it did, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<RunReport>,
}

/// Who asked for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// User id.
    pub by_uid: u32,
    /// Process id.
    pub by_pid: u32,
    /// The user who logged in and became `by_uid`, as by sudo; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// The file that set the limits; absent for the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigFile>,
}

/// Whether a run lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum RunState {
    /// A process holds its journal.
    Running,
    /// It ended in good order.
    Ended {
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// It broke off.
    Aborted {
        /// What the process that cleaned up wrote; `None` when no process did.
        why: Option<String>,
    },
}

impl fmt::Display for RunState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => out.write_str("running"),
            Self::Ended { outcome } => outcome.fmt(out),
            Self::Aborted { why: Some(why) } => write!(out, "aborted: {why}"),
            Self::Aborted { why: None } => out.write_str("aborted; no process was left to say why"),
        }
    }
}

/// Whether a list needs the reports of runs that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    /// It does.
    With,
    /// It has none of those that the index knows, which saves most of the reading.
    Without,
}

/// What there is in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The runs, oldest first.
    pub runs: Vec<ListedRun>,
    /// What has the name of a journal and cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// A journal that cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the journal {} cannot be read: {}",
            printable::path(&self.file),
            self.why
        )
    }
}

/// The runs of a directory, and what of it cannot be read. A directory that does not exist has none.
pub fn look(directory: &Path, reports: Reports) -> io::Result<Listing> {
    let index = Index::load(directory);
    let known = |run: &RunId, stamp| index.listed(run, stamp, reports);
    let mut found = Listing::default();
    for (path, run) in files(directory)? {
        if let Some(listed) = stamp(&path).and_then(|stamp| known(&run, stamp)) {
            found.runs.push(listed);
        } else {
            found.add(path, run);
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
pub fn unfinished(directory: &Path) -> io::Result<Listing> {
    let table = Table::load(directory);
    let mut known = table.in_order();
    let mut found = Listing::default();
    for name in names(directory)? {
        if known.get(name).is_none() {
            let run = name.run();
            found.add(file(directory, &run), run);
        }
    }
    found.runs.retain(|listed| match &listed.state {
        RunState::Running | RunState::Aborted { why: None } => true,
        RunState::Ended { .. } | RunState::Aborted { why: Some(_) } => {
            !listed.to_restore.is_empty()
        }
    });
    Ok(found)
}

/// The newest runs of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// They, oldest first, and what in the directory cannot be read.
    pub listing: Listing,
    /// How many older ones there are.
    pub older: usize,
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
            None => found.add(file(directory, &name.run()), name.run()),
        }
    }
    let total = known.len() + found.runs.len();
    for (name, row) in known.into_iter().rev().take(count) {
        let run = name.run();
        let path = file(directory, &run);
        match at_place(index.as_ref(), &run, row, &path) {
            Some(listed) => found.runs.push(listed),
            None => found.add(path, run),
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

/// A run as its row in the index tells it, where that is about this very journal.
pub(super) fn at_place(
    index: Option<&File>,
    run: &RunId,
    row: &Row,
    path: &Path,
) -> Option<ListedRun> {
    let stamp = stamp(path).filter(|stamp| *stamp == row.stamp)?;
    let mut line = vec![0; usize::try_from(row.place.length).ok()?];
    index?.read_exact_at(&mut line, row.place.at).ok()?;
    index::one(&line, run, stamp)
}

/// The journal of a run.
pub(super) fn file(directory: &Path, run: &RunId) -> PathBuf {
    directory.join(format!("{run}.jsonl"))
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

/// What a row of the index has to agree with. Of a link it is the link's, so that its file is read.
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(Stamp::of(&metadata))
}

impl Listing {
    fn sort(&mut self) {
        let started = |listed: &ListedRun| listed.started_unix_ms.unwrap_or(0);
        self.runs
            .sort_by(|a, b| (started(a), &a.run).cmp(&(started(b), &b.run)));
    }

    /// Reads a journal.
    pub(super) fn add(&mut self, file: PathBuf, run: RunId) {
        match read(&file, run) {
            Ok((listed, _)) => self.runs.push(listed),
            // Another process tidied up while we looked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.unreadable.push(Unreadable {
                file,
                why: error.to_string(),
            }),
        }
    }

    /// The runs, where all could be read.
    pub fn whole(self) -> io::Result<Vec<ListedRun>> {
        match self.unreadable.first() {
            None => Ok(self.runs),
            Some(first) => Err(io::Error::other(first.to_string())),
        }
    }
}

/// The journals of a directory, by the names of their runs. A directory that does not exist has none.
pub fn files(directory: &Path) -> io::Result<Vec<(PathBuf, RunId)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let is_journal = path
            .extension()
            .is_some_and(|extension| extension == "jsonl");
        if let (true, Some(Ok(run))) = (is_journal, stem.map(str::parse::<RunId>)) {
            found.push((path, run));
        }
    }
    // By name, which is the order of the paths and much cheaper to compare.
    found.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
    Ok(found)
}

/// A run as its journal tells it, and what the journal says.
pub fn read(path: &Path, run: RunId) -> io::Result<(ListedRun, Replay)> {
    let Seen { listed, replay, .. } = look_at(path, run)?;
    Ok((listed, replay))
}

/// A journal that was read.
pub(super) struct Seen {
    pub(super) listed: ListedRun,
    pub(super) replay: Replay,
    /// Which file that was, before it was read.
    pub(super) stamp: Stamp,
}

/// Reads a journal, all of it from one descriptor.
pub(super) fn look_at(path: &Path, run: RunId) -> io::Result<Seen> {
    let file = regular::open(path, Access::Read)?;
    // The lock first: a run that ends in between has written its end by the time we read.
    let is_running = is_locked(&file)?;
    let stamp = Stamp::of(&file.metadata()?);
    let replay = Replay::of(&regular::read_from(&file, LARGEST)?);
    let mut listed = ListedRun {
        run,
        name: String::new(),
        state: state(&replay, is_running),
        started_unix_ms: replay.records.first().map(|stamped| stamped.unix_ms),
        supervisor: None,
        asked: None,
        to_restore: replay
            .to_restore()
            .into_iter()
            .map(|(_, change)| change)
            .collect(),
        faults: Vec::new(),
        damaged_lines: replay.damaged.len(),
        report: None,
    };
    for stamped in &replay.records {
        match &stamped.record {
            Record::Started {
                name,
                by_uid,
                by_pid,
                login_uid,
                config,
                supervisor,
                experiment,
                ..
            } => {
                listed.faults = experiment.describe();
                listed.name.clone_from(name);
                listed.asked = Some(Asked {
                    by_uid: *by_uid,
                    by_pid: *by_pid,
                    login_uid: *login_uid,
                    config: config.clone(),
                });
                listed.supervisor = *supervisor;
            }
            Record::Planned { faults, .. } if !faults.is_empty() => {
                listed.faults.clone_from(faults);
            }
            Record::Ended { report } => listed.report = Some(report.clone()),
            _ => {}
        }
    }
    Ok(Seen {
        listed,
        replay,
        stamp,
    })
}

fn state(replay: &Replay, is_running: bool) -> RunState {
    if is_running {
        return RunState::Running;
    }
    let last_word = replay
        .records
        .iter()
        .rev()
        .find_map(|stamped| match &stamped.record {
            Record::Ended { report } => Some(RunState::Ended {
                outcome: report.outcome.clone(),
            }),
            Record::Aborted { why } => Some(RunState::Aborted {
                why: Some(why.clone()),
            }),
            _ => None,
        });
    last_word.unwrap_or(RunState::Aborted { why: None })
}

/// Whether a process holds the journal. The shared lock that finds out is let go at once; no run can be
/// refused because of it, for a journal is locked before it has its name.
fn is_locked(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            flock(file, FlockOperation::Unlock)?;
            Ok(false)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;

    fn report(run: &RunId) -> RunReport {
        RunReport {
            run: run.clone(),
            name: "x".into(),
            outcome: Outcome::Stopped,
            armed_for_ms: 5,
            faults: vec![],
            remarks: vec![],
            judgement: None,
            undo_errors: vec![],
            halt: None,
            told: vec![],
        }
    }

    #[test]
    fn the_lock_tells_the_living_from_the_dead() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("runs");
        assert_eq!(list(&state).unwrap(), []);
        let runs: Vec<RunId> = (1..=3)
            .map(|n| format!("r00000001000{n}").parse().unwrap())
            .collect();
        let mut open: Vec<_> = runs
            .iter()
            .map(|run| Journal::create_in(&state, run).unwrap())
            .collect();
        let change = HostChange::Sysctl {
            netns_inode: 1,
            key: "k".into(),
            old: "0".into(),
            new: "1".into(),
        };
        for journal in &mut open {
            journal
                .append(&Record::Change {
                    id: 0,
                    change: change.clone(),
                })
                .unwrap();
        }
        open[1].append(&Record::Restored { id: 0 }).unwrap();
        open[1]
            .append(&Record::Ended {
                report: report(&runs[1]),
            })
            .unwrap();
        // A copy of the descriptor is a holder too: the supervisor of a dead worker.
        let copy = rustix::io::dup(&open[0]).unwrap();
        drop(open);
        fs::write(state.join("notes.txt"), "not a journal").unwrap();
        let listed = list(&state).unwrap();
        let states: Vec<_> = listed.iter().map(|listed| listed.state.clone()).collect();
        let ended = RunState::Ended {
            outcome: Outcome::Stopped,
        };
        assert_eq!(
            states,
            [RunState::Running, ended, RunState::Aborted { why: None }]
        );
        let open: Vec<_> = listed
            .iter()
            .map(|listed| listed.to_restore.len())
            .collect();
        assert_eq!(open, [1, 0, 1]);
        drop(copy);
        assert_eq!(
            list(&state).unwrap()[0].state,
            RunState::Aborted { why: None }
        );
    }

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
            let report = RunReport {
                outcome,
                ..report(run)
            };
            journal.append(&Record::Ended { report }).unwrap();
        }
        let _goes_on = Journal::create_in(directory.path(), &runs[2]).unwrap();
        assert_eq!(halted_since(directory.path(), before).unwrap(), runs[..1]);
        let later = crate::journal::unix_ms() + 1;
        assert_eq!(halted_since(directory.path(), later).unwrap(), []);
    }
}
