//! What keeps a directory of journals from growing without an end: index and table are brought up to date, and
//! what the rule of the configuration no longer keeps is deleted.
//!
//! Deleted are only runs that are over with nothing left to restore: never one whose journal a process
//! holds, never one without an end, never one that could not be read. It waits for no other process: where
//! another one is tending the directory, that one does it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    RunId, RunState,
    index::{Index, row},
    list::{self, look_at},
    names::{Name, names},
    table::{Condition, Place, Row, Table, Word},
    unix_ms,
    verdicts::{asked, verdict},
};
use injector_spec::config::Rule;

use crate::regular;

/// The most journals that are deleted at once, so that no caller waits long for a directory that was
/// never tended; the next one goes on.
const AT_ONCE: usize = 2_000;

/// An ended run.
struct Ended {
    last_unix_ms: u64,
    name: Name,
    path: PathBuf,
}

/// Tends the directory; returns how many journals were deleted.
pub fn tend(directory: &Path, rule: Rule) -> io::Result<usize> {
    let Some(file) = lock(&Index::path(directory))? else {
        return Ok(0);
    };
    let table = Table::load(directory);
    let mut known = table.in_order();
    let mut ended = Vec::new();
    let mut fresh = Fresh::default();
    for name in names(directory)? {
        let run = name.run();
        let path = list::file(directory, &run);
        let last = match known.get(name) {
            Some(row) => Some(row.last_unix_ms),
            None => fresh.note(&path, &run),
        };
        if let Some(last_unix_ms) = last {
            ended.push(Ended {
                last_unix_ms,
                name,
                path,
            });
        }
    }
    let deleted = prune(&mut ended, rule);
    match table.condition() {
        // Its version knows what else has to agree.
        Condition::Newer(_) => {}
        Condition::Whole if !table.is_worn(ended.len()) => fresh.append(directory, &file)?,
        // The rows that are whole stay.
        Condition::Whole | Condition::Broken => {
            rewrite(directory, &table, &ended, fresh, &file)?;
        }
    }
    Ok(deleted)
}

/// Rows of runs that are over since the directory was last tended.
#[derive(Default)]
struct Fresh {
    /// For the index.
    lines: Vec<u8>,
    /// For the table; places count from the first of the lines.
    rows: Vec<Row>,
}

impl Fresh {
    /// Reads a journal that the table does not know, and adds its rows where its run is over; returns when its last
    /// record was written.
    fn note(&mut self, path: &Path, run: &RunId) -> Option<u64> {
        // What cannot be read is told by the commands that list it, and no process deletes it.
        let seen = look_at(path, run.clone()).ok()?;
        let is_over = match &seen.listed.state {
            RunState::Ended { .. } | RunState::Aborted { why: Some(_) } => true,
            RunState::Running | RunState::Aborted { why: None } => false,
        };
        let last_unix_ms = seen.replay.records.last()?.unix_ms;
        if !is_over || !seen.listed.to_restore.is_empty() {
            return None;
        }
        let line = row(&seen.listed, seen.stamp, last_unix_ms).ok()?;
        let verdict = verdict(&seen.listed);
        self.add(
            &line,
            Row {
                run: run.number(),
                stamp: seen.stamp,
                last_unix_ms,
                word: Word::of(verdict),
                asked: asked(&seen.replay),
                place: Place { at: 0, length: 0 },
            },
        );
        Some(last_unix_ms)
    }

    /// Adds a line, which ends in a line feed, and its row.
    fn add(&mut self, line: &[u8], row: Row) {
        let at = u64::try_from(self.lines.len()).unwrap_or(u64::MAX);
        let length = u32::try_from(line.len().saturating_sub(1)).unwrap_or_default();
        let place = Place { at, length };
        self.lines.extend_from_slice(line);
        self.rows.push(Row { place, ..row });
    }

    /// Writes both files anew, with these rows alone.
    fn found(self, directory: &Path) -> io::Result<()> {
        replace(directory, &self.lines)?;
        Table::replace(directory, &self.rows)
    }

    /// Adds these rows to both files. The index comes first: a row of the table never points behind its end.
    fn append(mut self, directory: &Path, mut index: &File) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let length = index.metadata()?.len();
        let feed: &[u8] = if is_torn(index, length)? { b"\n" } else { b"" };
        let from = length + u64::try_from(feed.len()).unwrap_or_default();
        index.write_all(&[feed, &self.lines].concat())?;
        for row in &mut self.rows {
            row.place.at += from;
        }
        Table::append(directory, &self.rows)
    }
}

/// Whether the index ends in the middle of a row.
fn is_torn(index: &File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else {
        return Ok(false);
    };
    let mut byte = [0];
    index.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

/// Writes both files anew, without the rows of runs that are gone. A row that the index has lost is left out of the
/// table, too, so that its journal is read again.
fn rewrite(
    directory: &Path,
    table: &Table,
    ended: &[Ended],
    fresh: Fresh,
    file: &File,
) -> io::Result<()> {
    // One that cannot be read knows nothing, and is made again from the journals.
    let index = Index::load_from(file).unwrap_or_default();
    let mut kept = Fresh::default();
    for one in ended {
        let row = table.get(one.name);
        let line = index.whole(&one.name.run());
        if let Some((row, line)) = row.zip(line) {
            kept.add(&[line, b"\n"].concat(), *row);
        }
    }
    for row in fresh.rows {
        let from = usize::try_from(row.place.at).map_err(io::Error::other)?;
        let length = usize::try_from(row.place.length).map_err(io::Error::other)?;
        if let Some(line) = fresh.lines.get(from..=from + length) {
            kept.add(line, row);
        }
    }
    kept.found(directory)
}

/// Deletes what the rule does not keep, the oldest first, and leaves the rest.
fn prune(ended: &mut Vec<Ended>, rule: Rule) -> usize {
    ended.sort_by_key(|ended| (ended.last_unix_ms, ended.name));
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
        journal::{
            HostChange, Journal, ListedRun, Record, Reports, list, look, newest, unfinished,
        },
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

    fn named(runs: &[ListedRun]) -> Vec<&str> {
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
        assert!(!named(&left).contains(&run(1).as_str()));
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
        assert!(left.len() == 3 && rest.iter().all(|run| named(&left).contains(run)));
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
        assert_eq!(named(&needed.runs).len(), 3);
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
        // A journal that takes the name of another after its row was made is another one.
        let journal = state.join(format!("{}.jsonl", run(2)));
        let six = state.join(format!("{}.jsonl", run(6)));
        fs::copy(six, state.join("copy")).unwrap();
        fs::rename(state.join("copy"), &journal).unwrap();
        let needed = unfinished(&state).unwrap();
        assert!(named(&needed.runs).contains(&run(2).as_str()));
        fs::remove_file(&path).unwrap();
        assert_eq!(unfinished(&state).unwrap(), needed, "missing");
    }

    /// The same of the table, which is written anew where it is damaged, and left alone where it is newer.
    #[test]
    fn a_table_that_is_missing_torn_wrong_or_newer_hides_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("runs");
        let _living = scene(&state);
        let whole = list(&state).unwrap();
        let needed = unfinished(&state).unwrap();
        tend(&state, EVERYTHING).unwrap();
        let path = Table::path(&state);
        let table = fs::read(&path).unwrap();
        let same = |what: &str| {
            assert_eq!(unfinished(&state).unwrap(), needed, "{what}");
            let shown = newest(&state, 20).unwrap();
            assert_eq!(
                (shown.listing.runs, shown.older),
                (whole.clone(), 0),
                "{what}"
            );
            let two = newest(&state, 2).unwrap();
            assert_eq!(two.listing.runs, whole[whole.len() - 2..], "{what}");
            assert_eq!(two.older, whole.len() - 2, "{what}");
        };
        same("whole");
        for cut in [1, 30, 80, table.len() - 3] {
            fs::write(&path, &table[..table.len() - cut]).unwrap();
            same("torn");
            tend(&state, EVERYTHING).unwrap();
            same("mended");
            assert_eq!(
                fs::metadata(&path).unwrap().len(),
                table.len() as u64,
                "{cut}"
            );
        }
        for at in (0..table.len()).step_by(7) {
            let mut wrong = table.clone();
            wrong[at] ^= 1;
            fs::write(&path, &wrong).unwrap();
            same("wrong");
        }
        let mut newer = table.clone();
        newer[8] = 9;
        fs::write(&path, &newer).unwrap();
        tend(&state, EVERYTHING).unwrap();
        same("newer");
        assert_eq!(fs::read(&path).unwrap(), newer);
        // An index that is gone leaves rows that point to nothing.
        fs::write(&path, &table).unwrap();
        fs::write(Index::path(&state), "").unwrap();
        same("without the index");
    }

    /// Rows of runs that are gone are dropped, and those that stay are found where they are.
    #[test]
    fn what_is_worn_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        for number in 1..=200 {
            write(directory.path(), number, &[ended(&run(number))]);
        }
        tend(directory.path(), EVERYTHING).unwrap();
        let before = fs::metadata(Table::path(directory.path())).unwrap().len();
        write(directory.path(), 201, &[ended(&run(201))]);
        let keep = Rule {
            keep: 20,
            ..EVERYTHING
        };
        tend(directory.path(), keep).unwrap();
        let after = fs::metadata(Table::path(directory.path())).unwrap().len();
        assert_eq!((before, after), (16 + 200 * 80, 16 + 20 * 80));
        let table = Table::load(directory.path());
        let index = File::open(Index::path(directory.path())).unwrap();
        for name in names(directory.path()).unwrap() {
            let path = list::file(directory.path(), &name.run());
            let row = table.get(name).unwrap();
            let listed = list::at_place(Some(&index), &name.run(), row, &path);
            assert_eq!(listed.map(|listed| listed.run), Some(name.run()));
        }
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
        assert_eq!(named(&listing.runs), [run(1).as_str()]);
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
