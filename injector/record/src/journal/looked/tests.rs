//! What is known from the last look is what a look through all names finds, whatever has happened since.

use std::{fs, thread::sleep};

use proptest::prelude::*;

use super::*;
use crate::journal::{
    Journal, Record, list,
    names::file,
    samples::{EVERYTHING, ended, run},
    tend, unfinished,
};
use injector_spec::config::Rule;

/// Begins a run.
fn begin(directory: &Path, number: u32) -> Journal {
    let mut journal = Journal::create_in(directory, &run(number)).unwrap();
    journal.append(&Record::Armed).unwrap();
    journal
}

/// A run that is over.
fn over(directory: &Path, number: u32) {
    let mut journal = begin(directory, number);
    journal.append(&ended(&run(number))).unwrap();
}

/// A directory that knows of three runs that are over and two that are not.
fn known(directory: &Path) -> Journal {
    for number in 1..=3 {
        over(directory, number);
    }
    drop(begin(directory, 4));
    let living = begin(directory, 5);
    // The first makes table and index, which are names, too.
    for _ in 0..2 {
        sleep(TICK * 2);
        tend(directory, EVERYTHING, Look::Since).unwrap();
    }
    living
}

#[test]
fn a_start_knows_what_the_last_one_has_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut living = known(folder.path());
    let looked = Looked::load(folder.path()).unwrap();
    assert_eq!(looked.unfinished, [run(4), run(5)]);
    assert_eq!(looked.ended, 3);
    // A start adds itself; what is over by the next one is noted then.
    let _sixth = begin(folder.path(), 6);
    let looked = Looked::load(folder.path()).unwrap();
    assert_eq!(looked.unfinished, [run(4), run(5), run(6)]);
    living.append(&ended(&run(5))).unwrap();
    drop(living);
    sleep(TICK * 2);
    let rows = fs::metadata(Table::path(folder.path())).unwrap().len();
    tend(folder.path(), EVERYTHING, Look::Since).unwrap();
    let looked = Looked::load(folder.path()).unwrap();
    assert_eq!(looked.unfinished, [run(4), run(6)]);
    assert_eq!(looked.ended, 4);
    let after = fs::metadata(Table::path(folder.path())).unwrap().len();
    assert_eq!(after - rows, 80);
}

#[test]
fn what_the_rule_no_longer_keeps_is_found_without_a_name_that_comes() {
    let folder = tempfile::tempdir().unwrap();
    let _living = known(folder.path());
    let rule = Rule {
        keep: 2,
        ..EVERYTHING
    };
    assert_eq!(tend(folder.path(), rule, Look::Since).unwrap(), 1);
    sleep(TICK * 2);
    tend(folder.path(), EVERYTHING, Look::Since).unwrap();
    assert!(Looked::load(folder.path()).is_some());
    let rule = Rule {
        max_age: TICK,
        ..EVERYTHING
    };
    assert_eq!(tend(folder.path(), rule, Look::Since).unwrap(), 2);
}

#[test]
fn a_journal_that_comes_by_another_way_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let _living = known(folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    drop(begin(elsewhere.path(), 9));
    let nine = file(folder.path(), &run(9));
    fs::copy(file(elsewhere.path(), &run(9)), nine).unwrap();
    assert_eq!(Looked::load(folder.path()), None);
    let runs = unfinished(folder.path(), Look::Since).unwrap().runs;
    assert!(runs.iter().any(|listed| listed.run == run(9)));
}

/// A start that is killed between the two leaves nothing that counts.
#[test]
fn between_the_two_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let _living = known(folder.path());
    let before = Before::take(folder.path()).unwrap();
    assert_eq!(Looked::load(folder.path()), None);
    drop(before);
    assert_eq!(Looked::load(folder.path()), None);
    let found = unfinished(folder.path(), Look::Since).unwrap();
    assert_eq!(found, unfinished(folder.path(), Look::Whole).unwrap());
}

#[test]
fn what_is_torn_or_wrong_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let _living = known(folder.path());
    let whole = fs::read(path(folder.path())).unwrap();
    for at in 0..whole.len() {
        let mut wrong = whole.clone();
        wrong[at] ^= 1;
        fs::write(path(folder.path()), &wrong).unwrap();
        assert_eq!(Looked::load(folder.path()), None, "{at}");
        fs::write(path(folder.path()), &whole[..at]).unwrap();
        assert_eq!(Looked::load(folder.path()), None, "{at}");
    }
    fs::write(path(folder.path()), &whole).unwrap();
    assert!(Looked::load(folder.path()).is_some());
}

/// What may happen to a directory.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Begins,
    /// The oldest run that goes on is over.
    Ends,
    /// It breaks off.
    BreaksOff,
    /// A person deletes a journal.
    Deleted,
    /// A file of another name comes.
    Other,
    /// A start.
    Tended,
    /// A cleanup by hand, which keeps two.
    Swept,
    TableLost,
    IndexCut,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_look_since_then_finds_what_a_whole_one_finds(
        turns in proptest::collection::vec(
            proptest::sample::select(vec![
                Turn::Begins, Turn::Begins, Turn::Ends, Turn::BreaksOff, Turn::Deleted, Turn::Other,
                Turn::Tended, Turn::Tended, Turn::Swept, Turn::TableLost, Turn::IndexCut,
            ]),
            1..16,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path();
        let mut living = std::collections::VecDeque::from([known(directory)]);
        for (number, turn) in (10..).zip(turns) {
            // Longer than a tick, so that what comes from outside shows.
            sleep(TICK + TICK / 4);
            match turn {
                Turn::Begins => living.push_back(begin(directory, number)),
                Turn::Ends => {
                    if let Some(mut journal) = living.pop_front() {
                        let run = journal.run().parse().unwrap();
                        journal.append(&ended(&run)).unwrap();
                    }
                }
                Turn::BreaksOff => drop(living.pop_front()),
                Turn::Deleted => {
                    let first = list(directory).unwrap().into_iter().next();
                    let _ = first.map(|listed| fs::remove_file(file(directory, &listed.run)));
                }
                Turn::Other => fs::write(directory.join(format!("asking-{number}")), "").unwrap(),
                Turn::Tended => {
                    tend(directory, EVERYTHING, Look::Since).unwrap();
                }
                Turn::Swept => {
                    let keep = Rule { keep: 2, ..EVERYTHING };
                    tend(directory, keep, Look::Whole).unwrap();
                }
                Turn::TableLost => {
                    let _ = fs::remove_file(Table::path(directory));
                }
                Turn::IndexCut => {
                    let index = OpenOptions::new().write(true).open(Index::path(directory));
                    let _ = index.map(|index| index.set_len(7));
                }
            }
            let since = unfinished(directory, Look::Since).unwrap();
            let whole = unfinished(directory, Look::Whole).unwrap();
            prop_assert_eq!(since, whole, "{:?}", turn);
        }
    }
}
