//! A model of a run's life, in any order of what can happen to it: what the journal tells afterwards is what
//! has happened, and what must be put back is what was changed.
//!
//! The records are written in the order in which `executor` and `supervisor` write them, onto real files.
//! An event that cannot come in a phase is passed over, as it would be by them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::os::fd::{AsFd, OwnedFd};

use injector_record::{
    journal::{self, HostChange, Journal, Record, RunId, RunState},
    report::{Outcome, RunReport},
};
use injector_spec::experiment::file;
use proptest::prelude::*;

/// What can happen.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A host setting is announced, and changed.
    Change,
    /// A setting is announced, and the change fails: it may be in force or not.
    ChangeBreaks,
    Arm,
    Step,
    Stop,
    Lapse,
    Halt,
    /// The supervisor cleans up.
    WorkerDies,
    /// No process is left, until the next start sweeps.
    BothDie,
    Sweep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Arming,
    Armed,
    Over,
    Orphaned,
}

/// A run, and what the model knows of it.
struct Life {
    folder: tempfile::TempDir,
    run: RunId,
    worker: Option<Journal>,
    /// The supervisor's copy of the descriptor.
    kept: Option<OwnedFd>,
    phase: Phase,
    in_force: Vec<u32>,
    next_change: u32,
    expected: RunState,
}

impl Life {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::generate().unwrap();
        let mut worker = Journal::create_in(folder.path(), &run).unwrap();
        let text = "targets: { a: { pid: 7 } }\nduration: 5s\nfaults: [net.blackhole]\n";
        let started = Record::Started {
            run: run.clone(),
            name: "model".into(),
            by_uid: 0,
            by_pid: 1,
            login_uid: None,
            config: None,
            supervisor: None,
            platform: None,
            experiment: Box::new(file::parse(text, "model.yaml", None).unwrap()),
        };
        worker.append(&started).unwrap();
        let kept = worker.as_fd().try_clone_to_owned().unwrap();
        Self {
            folder,
            run,
            worker: Some(worker),
            kept: Some(kept),
            phase: Phase::Arming,
            in_force: Vec::new(),
            next_change: 0,
            expected: RunState::Running,
        }
    }

    fn write(&mut self, record: &Record) {
        self.worker.as_mut().unwrap().append(record).unwrap();
    }

    fn change(&mut self) -> u32 {
        let id = self.next_change;
        self.next_change += 1;
        let change = HostChange::Sysctl {
            netns_inode: 9,
            key: format!("net.test.{id}"),
            old: "0".into(),
            new: "1".into(),
        };
        self.write(&Record::Change { id, change });
        self.in_force.push(id);
        id
    }

    /// Puts back what is in force, last first, and writes the last word.
    fn conclude(&mut self, journal: &mut Journal, last: &Record) {
        while let Some(id) = self.in_force.pop() {
            journal.append(&Record::Restored { id }).unwrap();
        }
        journal.append(last).unwrap();
        self.phase = Phase::Over;
    }

    fn end(&mut self, outcome: Outcome) {
        let report = RunReport {
            armed_for_ms: 1,
            ..RunReport::of(self.run.clone(), "model", outcome.clone())
        };
        let mut journal = self.worker.take().unwrap();
        self.conclude(&mut journal, &Record::Ended { report });
        self.kept = None;
        self.expected = RunState::Ended { outcome };
    }

    fn abort(&mut self, mut journal: Journal, why: &str) {
        let why = why.to_owned();
        self.conclude(&mut journal, &Record::Aborted { why: why.clone() });
        self.expected = RunState::Aborted { why: Some(why) };
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join(format!("{}.jsonl", self.run))
    }

    fn happen(&mut self, event: Event) {
        let why = || "it was so".to_owned();
        match (self.phase, event) {
            (Phase::Arming, Event::Change) => {
                let id = self.change();
                self.write(&Record::Changed { id });
            }
            (Phase::Arming, Event::ChangeBreaks) => {
                self.change();
                self.end(Outcome::Failed { why: why() });
            }
            (Phase::Arming, Event::Arm) => {
                self.write(&Record::Armed);
                self.phase = Phase::Armed;
            }
            (Phase::Armed, Event::Step) => {
                let step = "step".to_owned();
                self.write(&Record::StepStarted { step: step.clone() });
                self.write(&Record::StepEnded { step });
            }
            (Phase::Arming | Phase::Armed, Event::Stop) => self.end(Outcome::Stopped),
            (Phase::Arming | Phase::Armed, Event::Halt) => {
                self.end(Outcome::Halted { why: why() });
            }
            (Phase::Armed, Event::Lapse) => self.end(Outcome::Failed { why: why() }),
            (Phase::Arming | Phase::Armed, Event::WorkerDies) => {
                self.worker = None;
                let kept = self.kept.take().unwrap();
                let (journal, _) = Journal::adopt(kept, self.path()).unwrap();
                self.abort(journal, "the worker died");
            }
            (Phase::Arming | Phase::Armed, Event::BothDie) => {
                self.worker = None;
                self.kept = None;
                self.phase = Phase::Orphaned;
                self.expected = RunState::Aborted { why: None };
            }
            (Phase::Orphaned, Event::Sweep) => {
                let file = std::fs::OpenOptions::new()
                    .read(true)
                    .append(true)
                    .open(self.path())
                    .unwrap();
                let (journal, _) = Journal::adopt(file.into(), self.path()).unwrap();
                self.abort(journal, "both died");
            }
            // It cannot come now, or no process is there that it could happen to.
            _ => {}
        }
    }

    /// What the journal tells is what the model knows.
    fn check(&self) {
        let listed = journal::list(self.folder.path()).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].state, self.expected);
        assert_eq!(listed[0].damaged_lines, 0);
        let keys: Vec<_> = listed[0]
            .to_restore
            .iter()
            .map(|change| match change {
                HostChange::Sysctl { key, .. } => key.clone(),
                other => panic!("{other}"),
            })
            .collect();
        let expected: Vec<_> = self
            .in_force
            .iter()
            .rev()
            .map(|id| format!("net.test.{id}"))
            .collect();
        assert_eq!(keys, expected, "what is to be put back, the last first");
        if self.phase == Phase::Over {
            assert!(keys.is_empty(), "a run that is over has left something");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_journal_tells_what_happened(
        events in prop::collection::vec(
            prop::sample::select(vec![
                Event::Change, Event::Change, Event::ChangeBreaks, Event::Arm, Event::Step, Event::Stop,
                Event::Lapse, Event::Halt, Event::WorkerDies, Event::BothDie, Event::Sweep,
            ]),
            1..12,
        ),
    ) {
        let mut life = Life::begin();
        life.check();
        for event in events {
            life.happen(event);
            life.check();
        }
    }
}
