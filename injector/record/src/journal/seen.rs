//! One journal, read: what it says of its run, and whether a process holds it.

use std::{fs::File, io, path::Path};

use rustix::fs::{FlockOperation, flock};

use super::{Asked, ListedRun, Record, Replay, RunId, RunState, index::Stamp, replay::LARGEST};
use crate::regular::{self, Access};

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
pub(super) fn is_locked(file: &File) -> io::Result<bool> {
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
    use std::fs;

    use super::*;
    use crate::{
        journal::{HostChange, Journal, list, samples::stopped},
        report::Outcome,
    };

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
                report: stopped(&runs[1]),
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
}
