//! Directories in every state that a start may meet.

use std::time::Duration;

use super::*;
use crate::journal::{
    HostChange, Journal, ListedRun, Record, Reports,
    index::at_place,
    list, look, newest,
    samples::{EVERYTHING, ended, run},
    unfinished,
};

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
    assert_eq!(tend(&state, EVERYTHING, Look::Since).unwrap(), 0);
    assert_eq!(tend(&state, keep(3), Look::Since).unwrap(), 2);
    let left = list(&state).unwrap();
    assert_eq!(left.len(), 6);
    assert!(!named(&left).contains(&run(1).as_str()));
    std::thread::sleep(Duration::from_millis(5));
    let max_age = Duration::from_millis(1);
    let old = Rule {
        max_age,
        ..EVERYTHING
    };
    assert_eq!(tend(&state, old, Look::Since).unwrap(), 3);
    let (six, seven, eight) = (run(6), run(7), run(8));
    let rest = [six.as_str(), seven.as_str(), eight.as_str()];
    let left = list(&state).unwrap();
    assert!(left.len() == 3 && rest.iter().all(|run| named(&left).contains(run)));
    // The rows of those that are gone are passed over, and dropped once they are many.
    assert_eq!(tend(&state, EVERYTHING, Look::Since).unwrap(), 0);
}

#[test]
fn an_index_that_is_missing_torn_or_wrong_hides_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("runs");
    let _living = scene(&state);
    let whole = list(&state).unwrap();
    let needed = unfinished(&state, Look::Since).unwrap();
    assert_eq!(named(&needed.runs).len(), 3);
    tend(&state, EVERYTHING, Look::Since).unwrap();
    let path = Index::path(&state);
    let index = fs::read(&path).unwrap();
    assert_eq!(index.split(|byte| *byte == b'\n').count(), 5 + 1);
    let same = |what: &str| {
        assert_eq!(list(&state).unwrap(), whole, "{what}");
        assert_eq!(unfinished(&state, Look::Since).unwrap(), needed, "{what}");
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
    tend(&state, EVERYTHING, Look::Since).unwrap();
    same("mended");
    // A journal that takes the name of another after its row was made is another one.
    let journal = state.join(format!("{}.jsonl", run(2)));
    let six = state.join(format!("{}.jsonl", run(6)));
    fs::copy(six, state.join("copy")).unwrap();
    fs::rename(state.join("copy"), &journal).unwrap();
    let needed = unfinished(&state, Look::Since).unwrap();
    assert!(named(&needed.runs).contains(&run(2).as_str()));
    fs::remove_file(&path).unwrap();
    assert_eq!(unfinished(&state, Look::Since).unwrap(), needed, "missing");
}

/// The same of the table, which is written anew where it is damaged, and left alone where it is newer.
#[test]
fn a_table_that_is_missing_torn_wrong_or_newer_hides_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("runs");
    let _living = scene(&state);
    let whole = list(&state).unwrap();
    let needed = unfinished(&state, Look::Since).unwrap();
    tend(&state, EVERYTHING, Look::Since).unwrap();
    let path = Table::path(&state);
    let table = fs::read(&path).unwrap();
    let same = |what: &str| {
        assert_eq!(unfinished(&state, Look::Since).unwrap(), needed, "{what}");
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
        tend(&state, EVERYTHING, Look::Since).unwrap();
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
    tend(&state, EVERYTHING, Look::Since).unwrap();
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
    tend(directory.path(), EVERYTHING, Look::Since).unwrap();
    let before = fs::metadata(Table::path(directory.path())).unwrap().len();
    write(directory.path(), 201, &[ended(&run(201))]);
    let keep = Rule {
        keep: 20,
        ..EVERYTHING
    };
    tend(directory.path(), keep, Look::Since).unwrap();
    let after = fs::metadata(Table::path(directory.path())).unwrap().len();
    assert_eq!((before, after), (16 + 200 * 80, 16 + 20 * 80));
    let table = Table::load(directory.path());
    let mut known = table.in_order();
    let index = File::open(Index::path(directory.path())).unwrap();
    for name in names(directory.path()).unwrap() {
        let path = file(directory.path(), &name.run());
        let row = known.get(name).unwrap();
        let listed = at_place(Some(&index), &name.run(), row, &path);
        assert_eq!(listed.map(|listed| listed.run), Some(name.run()));
    }
}

#[test]
fn reports_are_left_out_where_nobody_asks() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 1, &[ended(&run(1))]);
    tend(directory.path(), EVERYTHING, Look::Since).unwrap();
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
    tend(directory.path(), EVERYTHING, Look::Since).unwrap();
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
    let error = unfinished(directory.path(), Look::Since)
        .unwrap()
        .whole()
        .unwrap_err();
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

/// The start of a run is drawn to the second in its name, and known to the millisecond in its journal.
#[test]
fn the_newest_of_one_second_is_the_one_that_started_last() {
    let directory = tempfile::tempdir().unwrap();
    // Names that sort against the order in which the runs started.
    for number in [0x10_0003, 0x10_0002, 0x10_0001] {
        let records = [Record::Armed, ended(&run(number))];
        write(directory.path(), number, &records);
        std::thread::sleep(Duration::from_millis(3));
    }
    tend(directory.path(), EVERYTHING, Look::Since).unwrap();
    let shown = newest(directory.path(), 1).unwrap();
    assert_eq!(named(&shown.listing.runs), [run(0x10_0001).as_str()]);
    assert_eq!(shown.older, 2);
}

#[test]
fn an_index_that_is_lost_by_itself_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("runs");
    let _living = scene(&state);
    tend(&state, EVERYTHING, Look::Since).unwrap();
    let path = Index::path(&state);
    let whole = fs::read(&path).unwrap();
    for cut in [whole.len(), 30] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        tend(&state, EVERYTHING, Look::Since).unwrap();
        let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count();
        assert_eq!(lines(&fs::read(&path).unwrap()), lines(&whole), "{cut}");
    }
}
