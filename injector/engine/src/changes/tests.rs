//! What is asked for and not made any more.

use std::{
    cell::Cell,
    fs,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use injector_host::targets::process::{Pose, pose};
use injector_record::journal::{Journal, RunId, replay};
use tempfile::TempDir;

use super::*;

/// A run of no guardian, with a journal of its own.
struct Stage {
    changes: Changes,
    journal: RunJournal,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::generate().unwrap();
        let journal = Journal::create_in(folder.path(), &run).unwrap();
        Self {
            changes: Changes::of(&run.to_string(), Arc::new(Guardian::absent())),
            journal: RunJournal::of_file(journal),
            folder,
        }
    }

    /// How many changes stand in the journal that were not put back.
    fn left(&self) -> usize {
        let file = fs::read_dir(self.folder.path()).unwrap();
        let mut files = file.map(|entry| entry.unwrap().path());
        let is_journal = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "jsonl");
        let records = replay(&files.find(is_journal).unwrap()).unwrap().records;
        let count = |is: fn(&Record) -> bool| records.iter().filter(|one| is(&one.record)).count();
        count(|record| matches!(record, Record::Change { .. }))
            - count(|record| matches!(record, Record::Restored { .. }))
    }
}

struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("60").spawn().unwrap())
    }

    fn key(&self) -> TaskKey {
        TaskKey::of(self.0.id()).unwrap()
    }

    /// Waits until it does this.
    fn comes_to(&self, wanted: Pose) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while pose(self.key()) != wanted {
            assert!(Instant::now() < deadline, "it never is {wanted:?}");
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In an hour, on the boot clock.
fn later() -> u64 {
    boot_ns() + 3_600_000_000_000
}

#[test]
fn nothing_is_stopped_when_the_end_has_come() {
    let mut stage = Stage::new();
    let sleeper = Sleeper::start();
    let over = boot_ns();
    let asked = stage
        .changes
        .stop(&[sleeper.key()], over, &|| true, &mut stage.journal);
    assert!(matches!(asked, Asked::TooLate), "{asked:?}");
    assert_eq!(pose(sleeper.key()), Pose::Going);
    assert_eq!(stage.left(), 0);
    assert!(stage.changes.restore(&mut stage.journal).is_empty());
}

#[test]
fn nothing_is_stopped_without_a_lease() {
    let mut stage = Stage::new();
    let sleeper = Sleeper::start();
    let asked = stage
        .changes
        .stop(&[sleeper.key()], later(), &|| false, &mut stage.journal);
    assert!(matches!(asked, Asked::TooLate), "{asked:?}");
    assert_eq!(pose(sleeper.key()), Pose::Going);
    assert_eq!(stage.left(), 0);
}

#[test]
fn what_was_stopped_in_time_goes_on_when_it_is_undone() {
    let mut stage = Stage::new();
    let (one, two) = (Sleeper::start(), Sleeper::start());
    let keys = [one.key(), two.key()];
    let asked = stage
        .changes
        .stop(&keys, later(), &|| true, &mut stage.journal);
    assert!(matches!(asked, Asked::Made(_)), "{asked:?}");
    one.comes_to(Pose::Still);
    two.comes_to(Pose::Still);
    assert_eq!(stage.left(), 1);
    assert!(stage.changes.restore(&mut stage.journal).is_empty());
    one.comes_to(Pose::Going);
    two.comes_to(Pose::Going);
    assert_eq!(stage.left(), 0);
}

/// The end comes between the first signal and the second.
#[test]
fn what_was_stopped_when_the_end_came_is_let_go_on_at_once() {
    let mut stage = Stage::new();
    let (one, two) = (Sleeper::start(), Sleeper::start());
    let keys = [one.key(), two.key()];
    let until = boot_ns() + 200_000_000;
    let asked = Cell::new(0);
    let slowly = || {
        asked.set(asked.get() + 1);
        if asked.get() == 2 {
            std::thread::sleep(Duration::from_millis(300));
        }
        true
    };
    let asked = stage
        .changes
        .stop(&keys, until, &slowly, &mut stage.journal);
    assert!(matches!(asked, Asked::TooLate), "{asked:?}");
    one.comes_to(Pose::Going);
    two.comes_to(Pose::Going);
    assert_eq!(stage.left(), 0);
}

#[test]
fn no_file_of_a_cgroup_is_written_when_the_end_has_come() {
    let mut stage = Stage::new();
    let file = stage.folder.path().join("cgroup.freeze");
    fs::write(&file, "0\n").unwrap();
    let freeze = |stage: &mut Stage, path: &Path, until| {
        stage
            .changes
            .set_cgroup_file(path, "1", until, &mut stage.journal)
    };
    let asked = freeze(&mut stage, &file, boot_ns()).unwrap();
    assert!(matches!(asked, Asked::TooLate), "{asked:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "0\n");
    assert_eq!(stage.left(), 0);
    let asked = freeze(&mut stage, &file, later()).unwrap();
    assert!(matches!(asked, Asked::Made(_)), "{asked:?}");
    assert!(fs::read_to_string(&file).unwrap().starts_with('1'));
    assert!(stage.changes.restore(&mut stage.journal).is_empty());
    assert!(fs::read_to_string(&file).unwrap().starts_with('0'));
}
