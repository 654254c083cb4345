//! What keeps a directory of journals from growing without an end: the index is brought up to date, and
//! what the rule of the configuration no longer keeps is deleted.
//!
//! Deleted are only runs that are over with nothing left to restore: never one whose journal a process
//! holds, never one without an end, never one that could not be read. It waits for no other process: where
//! another one is tending the directory, that one does it.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    RunId, RunState,
    index::{Index, Stamp, row},
    list::{files, look_at},
    unix_ms,
};
use injector_spec::config::Rule;

use crate::regular;

/// The most journals that are deleted at once, so that no caller waits long for a directory that was
/// never tended; the next one goes on.
const AT_ONCE: usize = 2_000;

/// An ended run.
struct Ended {
    last_unix_ms: u64,
    run: RunId,
    path: PathBuf,
}

/// Tends the directory; returns how many journals were deleted.
pub fn tend(directory: &Path, rule: Rule) -> io::Result<usize> {
    let Some(mut file) = lock(&Index::path(directory))? else {
        return Ok(0);
    };
    let index = Index::load_from(&file)?;
    let (mut ended, mut others, mut rows) = (Vec::new(), HashSet::new(), Vec::new());
    for (path, run) in files(directory)? {
        let known = fs::symlink_metadata(&path)
            .ok()
            .and_then(|metadata| index.ended(&run, Stamp::of(&metadata)));
        let last = match known {
            Some(last) => Some(last),
            None => newly_ended(&path, &run, &mut rows),
        };
        match last {
            Some(last_unix_ms) => ended.push(Ended {
                last_unix_ms,
                run,
                path,
            }),
            None => {
                others.insert(run);
            }
        }
    }
    let deleted = prune(&mut ended, rule);
    let runs: HashSet<&RunId> = ended.iter().map(|ended| &ended.run).collect();
    if index.is_worn(|run| runs.contains(run)) {
        let whole = [index.kept(|run| runs.contains(run)), rows].concat();
        replace(directory, &whole)?;
    } else if !rows.is_empty() {
        let feed: &[u8] = if index.is_torn() { b"\n" } else { b"" };
        file.write_all(&[feed, &rows].concat())?;
    }
    Ok(deleted)
}

/// Reads a journal that the index does not know, and adds its row where its run is over.
fn newly_ended(path: &Path, run: &RunId, rows: &mut Vec<u8>) -> Option<u64> {
    // What cannot be read is told by the commands that list it, and no process deletes it.
    let seen = look_at(path, run.clone()).ok()?;
    let is_over = match &seen.listed.state {
        RunState::Ended { .. } | RunState::Aborted { why: Some(_) } => true,
        RunState::Running | RunState::Aborted { why: None } => false,
    };
    let last = seen.replay.records.last()?.unix_ms;
    if !is_over || !seen.listed.to_restore.is_empty() {
        return None;
    }
    rows.extend(row(&seen.listed, seen.stamp, last).ok()?);
    Some(last)
}

/// Deletes what the rule does not keep, the oldest first, and leaves the rest.
fn prune(ended: &mut Vec<Ended>, rule: Rule) -> usize {
    ended.sort_by(|a, b| (a.last_unix_ms, &a.run).cmp(&(b.last_unix_ms, &b.run)));
    let age = u64::try_from(rule.max_age.as_millis()).unwrap_or(u64::MAX);
    let oldest = unix_ms().saturating_sub(age);
    let too_many = ended.len().saturating_sub(rule.keep);
    let too_old = ended.partition_point(|ended| ended.last_unix_ms < oldest);
    let count = too_many.max(too_old).min(AT_ONCE);
    let mut deleted = 0;
    for Ended { path, .. } in ended.drain(..count) {
        // One that cannot be deleted is read and tried again by the next start.
        deleted += usize::from(fs::remove_file(path).is_ok());
    }
    deleted
}

/// The index, made where it is missing, and locked; nothing where another process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path)?;
    let metadata = file.metadata()?;
    regular::check(&metadata)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // It may have been replaced between the opening and the lock.
    let named = fs::symlink_metadata(path)?;
    Ok((named.ino() == metadata.ino()).then_some(file))
}

/// Puts a new index in place of the old one, in one step.
fn replace(directory: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = Index::path(directory);
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(&new)?;
    regular::check(&file.metadata()?)?;
    file.write_all(bytes)?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        journal::{HostChange, Journal, ListedRun, Record, Reports, list, look, unfinished},
        report::{Outcome, RunReport},
    };

    const EVERYTHING: Rule = Rule {
        keep: usize::MAX,
        max_age: Duration::MAX,
    };

    fn run(number: u32) -> RunId {
        format!("r{number:012x}").parse().unwrap()
    }

    fn ended(run: &RunId) -> Record {
        let report = RunReport {
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
        };
        Record::Ended { report }
    }

    fn change() -> Record {
        let change = HostChange::Sysctl {
            netns_inode: 1,
            key: "k".into(),
            old: "0".into(),
            new: "1".into(),
        };
        Record::Change { id: 0, change }
    }

    fn write(directory: &Path, number: u32, records: &[Record]) -> Journal {
        let mut journal = Journal::create_in(directory, &run(number)).unwrap();
        for record in records {
            journal.append(record).unwrap();
        }
        journal
    }

    fn names(runs: &[ListedRun]) -> Vec<&str> {
        runs.iter().map(|listed| listed.run.as_str()).collect()
    }

    /// Five ended runs, one that goes on, one without an end, one that ended and left something.
    fn scene(directory: &Path) -> Journal {
        for number in 1..=5 {
            write(directory, number, &[Record::Armed, ended(&run(number))]);
        }
        write(directory, 7, &[Record::Armed]);
        write(directory, 8, &[change(), ended(&run(8))]);
        write(directory, 6, &[change()])
    }

    #[test]
    fn only_what_is_over_is_deleted_and_the_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("runs");
        let _living = scene(&state);
        let keep = |keep| Rule { keep, ..EVERYTHING };
        assert_eq!(tend(&state, EVERYTHING).unwrap(), 0);
        assert_eq!(tend(&state, keep(3)).unwrap(), 2);
        let left = list(&state).unwrap();
        assert_eq!(left.len(), 6);
        assert!(!names(&left).contains(&run(1).as_str()));
        std::thread::sleep(Duration::from_millis(5));
        let max_age = Duration::from_millis(1);
        let old = Rule {
            max_age,
            ..EVERYTHING
        };
        assert_eq!(tend(&state, old).unwrap(), 3);
        let (six, seven, eight) = (run(6), run(7), run(8));
        let rest = [six.as_str(), seven.as_str(), eight.as_str()];
        let left = list(&state).unwrap();
        assert!(left.len() == 3 && rest.iter().all(|run| names(&left).contains(run)));
        // The rows of those that are gone are passed over, and dropped once they are many.
        assert_eq!(tend(&state, EVERYTHING).unwrap(), 0);
    }

    #[test]
    fn an_index_that_is_missing_torn_or_wrong_hides_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("runs");
        let _living = scene(&state);
        let whole = list(&state).unwrap();
        let needed = unfinished(&state).unwrap();
        assert_eq!(names(&needed.runs).len(), 3);
        tend(&state, EVERYTHING).unwrap();
        let path = Index::path(&state);
        let index = fs::read(&path).unwrap();
        assert_eq!(index.split(|byte| *byte == b'\n').count(), 5 + 1);
        let same = |what: &str| {
            assert_eq!(list(&state).unwrap(), whole, "{what}");
            assert_eq!(unfinished(&state).unwrap(), needed, "{what}");
        };
        same("whole");
        for cut in [1, 30, index.len() / 2] {
            fs::write(&path, &index[..index.len() - cut]).unwrap();
            same("torn");
        }
        for at in 0..index.len() {
            if at % 13 == 0 {
                let mut wrong = index.clone();
                wrong[at] ^= 1;
                fs::write(&path, &wrong).unwrap();
                same("wrong");
            }
        }
        // Torn, and added to.
        fs::write(&path, &index[..index.len() - 30]).unwrap();
        tend(&state, EVERYTHING).unwrap();
        same("mended");
        // A journal that is written to after its row was made is another one.
        let journal = state.join(format!("{}.jsonl", run(2)));
        let six = fs::read(state.join(format!("{}.jsonl", run(6)))).unwrap();
        fs::write(&journal, six).unwrap();
        let needed = unfinished(&state).unwrap();
        assert!(names(&needed.runs).contains(&run(2).as_str()));
        fs::remove_file(&path).unwrap();
        assert_eq!(unfinished(&state).unwrap(), needed, "missing");
    }

    #[test]
    fn reports_are_left_out_where_nobody_asks() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), 1, &[ended(&run(1))]);
        tend(directory.path(), EVERYTHING).unwrap();
        let reports = |reports| {
            let listing = look(directory.path(), reports).unwrap();
            listing.runs[0].report.is_some()
        };
        assert!(reports(Reports::With) && !reports(Reports::Without));
    }

    #[test]
    fn what_is_no_file_is_named_and_the_rest_is_listed() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), 1, &[ended(&run(1))]);
        let at = |number| directory.path().join(format!("{}.jsonl", run(number)));
        mknodat(CWD, at(2), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at(3)).unwrap();
        fs::create_dir(at(4)).unwrap();
        tend(directory.path(), EVERYTHING).unwrap();
        let listing = look(directory.path(), Reports::With).unwrap();
        assert_eq!(names(&listing.runs), [run(1).as_str()]);
        let said: Vec<_> = listing.unreadable.iter().map(ToString::to_string).collect();
        for (said, (number, kind)) in
            said.iter()
                .zip([(2, "a FIFO"), (3, "a device"), (4, "a directory")])
        {
            assert!(
                said.contains(run(number).as_str()) && said.contains(kind),
                "{said}"
            );
        }
        assert_eq!(said.len(), 3);
        let error = unfinished(directory.path()).unwrap().whole().unwrap_err();
        assert!(error.to_string().contains(run(2).as_str()), "{error}");
    }

    #[test]
    fn what_was_set_aside_is_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let journal = write(directory.path(), 1, &[Record::Armed]);
        let blocks = || fs::metadata(journal.path()).unwrap().blocks();
        if blocks() < 400 {
            // This file system sets nothing aside.
            return;
        }
        let (path, copy) = (
            journal.path().to_owned(),
            rustix::io::dup(&journal).unwrap(),
        );
        let (mut journal, _) = Journal::adopt(copy, path.clone()).unwrap();
        journal.append(&ended(&run(1))).unwrap();
        assert!(fs::metadata(path).unwrap().blocks() < 40);
    }
}
