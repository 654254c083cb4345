//! What deviated runs have taught, and whether it was acted upon: an index over the stored runs.
//!
//! Runs are of one experiment where its name and its [fingerprint](injector_spec::experiment::Fingerprint) are the
//! same. A *lesson* is an experiment that has ever deviated or hurt a bystander. It is open while the last run that
//! told anything did so, and done once a run of it has held after that. What is inconclusive, halted, aborted or was
//! not judged tells nothing: it neither opens a lesson nor closes one.
//!
//! Invariant: nothing is kept here. Lessons are made from the journals each time, so they cannot disagree with them;
//! a lesson lives as long as its journals.
//!
//! Rejected: actions that a person ticks off. What is done is what was measured.

use std::{collections::HashMap, io, path::Path};

use serde::Serialize;

use crate::{
    journal::{
        RunId, Unreadable,
        table::Word,
        verdicts::{Judged, Verdicts, verdicts},
    },
    measure::Verdict,
};
use injector_spec::experiment::Fingerprint;

/// All lessons of a directory.
#[derive(Clone, Debug, Serialize)]
pub struct Lessons {
    /// Open ones first, those that deviated last in front.
    pub lessons: Vec<Lesson>,
    /// Runs that were looked at.
    pub runs: usize,
    /// Journals that cannot be read, and whose lessons are missing here.
    pub unreadable: Vec<Unreadable>,
    /// The version of the journals' table, where it is a later one than this program knows; it was not used then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_table: Option<u32>,
}

/// What one experiment has taught.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lesson {
    /// The experiment's name.
    pub name: String,
    /// The digest of what it asks.
    pub experiment: Fingerprint,
    /// Whether it is acted upon.
    #[serde(flatten)]
    pub state: State,
    /// How many runs deviated or hurt a bystander.
    pub times: usize,
    /// The first of them.
    pub first: Seen,
    /// The last of them.
    pub last: Seen,
    /// The verdict of the last of them, with the reason.
    #[serde(flatten)]
    pub verdict: Option<Verdict>,
    /// The last run that held before the deviation came again; absent where it was never mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_between: Option<Seen>,
}

/// Whether a lesson is acted upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// The last run that told anything deviated.
    Open,
    /// A run held after that.
    Done {
        /// The first one that did.
        by: Seen,
    },
}

/// A run and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The run.
    pub run: RunId,
    /// When it started, in milliseconds since 1970; to the second where only its name tells.
    pub unix_ms: u64,
}

impl Lessons {
    /// The lessons of a directory of journals. One that does not exist has none.
    pub fn look(directory: &Path) -> io::Result<Self> {
        let found = verdicts(directory)?;
        let mut by_experiment: HashMap<Fingerprint, Vec<&Judged>> = HashMap::new();
        for judged in &found.runs {
            if Told::by(judged.word).is_some() {
                by_experiment
                    .entry(judged.asked.key)
                    .or_default()
                    .push(judged);
            }
        }
        let mut lessons: Vec<Lesson> = by_experiment
            .values()
            .filter_map(|runs| of_one(runs, &found))
            .collect();
        lessons.sort_by(|a, b| {
            let order = |lesson: &Lesson| (lesson.is_open(), lesson.last.run.clone());
            order(b).cmp(&order(a))
        });
        Ok(Self {
            lessons,
            runs: found.runs.len(),
            unreadable: found.unreadable,
            newer_table: found.newer,
        })
    }

    /// Leaves the open ones.
    pub fn retain_open(&mut self) {
        self.lessons.retain(Lesson::is_open);
    }
}

impl Lesson {
    /// Whether it waits to be acted upon.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }
}

/// What a verdict tells of an experiment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Passed,
    Deviated,
}

impl Told {
    fn by(word: Word) -> Option<Self> {
        match word {
            Word::Held => Some(Self::Passed),
            Word::Deviated | Word::Unsafe => Some(Self::Deviated),
            Word::None | Word::Halted | Word::Inconclusive => None,
        }
    }
}

/// The lesson of one experiment, from those of its runs that tell something, oldest first.
fn of_one(runs: &[&Judged], found: &Verdicts) -> Option<Lesson> {
    let told = |judged: &Judged| Told::by(judged.word);
    let deviated = |judged: &&&Judged| told(judged) == Some(Told::Deviated);
    let first_at = runs.iter().position(|run| deviated(&run))?;
    let first = runs.get(first_at)?;
    let last_at = runs
        .iter()
        .rposition(|run| told(run) == Some(Told::Deviated))?;
    let last = runs.get(last_at)?;
    // The deviations without a pass between them that the last one belongs to.
    let (before, after) = runs.split_at(last_at);
    let passed = before
        .iter()
        .rposition(|run| told(run) == Some(Told::Passed));
    let held_between = passed
        .filter(|at| *at > first_at)
        .and_then(|at| runs.get(at));
    let listed = found.listed(last);
    let done = after.iter().find(|run| told(run) == Some(Told::Passed));
    Some(Lesson {
        name: listed
            .as_ref()
            .map(|listed| listed.name.clone())
            .unwrap_or_default(),
        experiment: last.asked.content,
        state: done.map_or(State::Open, |run| State::Done { by: seen(run) }),
        times: runs.iter().filter(deviated).count(),
        first: seen(first),
        last: seen(last),
        verdict: listed
            .and_then(|listed| listed.report)
            .and_then(|report| report.verdict().cloned()),
        held_between: held_between.map(|run| seen(run)),
    })
}

fn seen(judged: &Judged) -> Seen {
    Seen {
        run: judged.run.clone(),
        unix_ms: judged.run.started_unix_ms(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        account::tests::{experiment, records},
        journal::{self, Journal, Record},
        measure::Judgement,
        report::RunReport,
    };
    use injector_spec::config::Rule;

    const EVERYTHING: Rule = Rule {
        keep: usize::MAX,
        max_age: Duration::MAX,
    };

    fn run(number: u32) -> RunId {
        format!("r{number:08x}0001").parse().unwrap()
    }

    /// A stored run of an experiment of this name with this verdict.
    fn store(directory: &Path, number: u32, name: &str, verdict: Option<&Verdict>) {
        let mut experiment = experiment();
        experiment.name = name.to_owned();
        let mut journal = Journal::create_in(directory, &run(number)).unwrap();
        for (_, record) in records(&experiment, 0..0) {
            let record = match record {
                Record::Started {
                    by_uid,
                    by_pid,
                    experiment,
                    ..
                } => Record::Started {
                    run: run(number),
                    name: name.to_owned(),
                    by_uid,
                    by_pid,
                    login_uid: None,
                    config: None,
                    supervisor: None,
                    platform: None,
                    experiment,
                },
                Record::Ended { report } => Record::Ended {
                    report: RunReport {
                        run: run(number),
                        judgement: verdict.cloned().zip(report.judgement.clone()).map(
                            |(verdict, judgement)| {
                                Box::new(Judgement {
                                    verdict,
                                    ..*judgement
                                })
                            },
                        ),
                        ..report
                    },
                },
                other => other,
            };
            journal.append(&record).unwrap();
        }
    }

    fn held() -> Verdict {
        Verdict::Held
    }

    fn deviated() -> Verdict {
        Verdict::Deviated("it was late".into())
    }

    /// The lessons by journals alone; those by the table are the same.
    fn look(directory: &Path) -> Lessons {
        let told = |lessons: &Lessons| serde_json::to_value(lessons).unwrap();
        let read = Lessons::look(directory).unwrap();
        journal::tend(directory, EVERYTHING, journal::Look::Since).unwrap();
        let known = Lessons::look(directory).unwrap();
        assert_eq!(told(&read), told(&known));
        known
    }

    #[test]
    fn a_deviation_opens_a_lesson_and_a_pass_after_it_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(look(folder.path()).lessons, []);
        store(folder.path(), 1, "a", Some(&held()));
        assert_eq!(look(folder.path()).lessons, []);
        store(folder.path(), 2, "a", Some(&deviated()));
        let open = look(folder.path()).lessons;
        assert_eq!((open.len(), open[0].is_open(), open[0].times), (1, true, 1));
        assert_eq!(
            (open[0].name.as_str(), open[0].verdict.clone()),
            ("a", Some(deviated()))
        );
        assert_eq!(open[0].held_between, None);
        assert_eq!(open[0].last.unix_ms, 2_000);
        store(folder.path(), 3, "a", Some(&held()));
        let done = look(folder.path()).lessons;
        let State::Done { by } = &done[0].state else {
            panic!("{done:?}");
        };
        assert_eq!(by.run, run(3));
        // It comes again, and is named as the same one.
        store(
            folder.path(),
            4,
            "a",
            Some(&Verdict::Unsafe("a bystander".into())),
        );
        store(folder.path(), 5, "a", Some(&deviated()));
        let again = &look(folder.path()).lessons[0];
        assert!(again.is_open());
        assert_eq!(
            (again.times, &again.first.run, &again.last.run),
            (3, &run(2), &run(5))
        );
        assert_eq!(
            again.held_between.as_ref().map(|seen| &seen.run),
            Some(&run(3))
        );
    }

    #[test]
    fn what_tells_nothing_neither_opens_nor_closes() {
        let folder = tempfile::tempdir().unwrap();
        let why = || "so it was".to_owned();
        let mute = [
            None,
            Some(Verdict::Inconclusive(why())),
            Some(Verdict::Halted(why())),
        ];
        for (verdict, number) in mute.iter().zip(1..) {
            store(folder.path(), number, "a", verdict.as_ref());
        }
        assert_eq!(look(folder.path()).lessons, []);
        store(folder.path(), 10, "a", Some(&deviated()));
        for (verdict, number) in mute.iter().zip(11..) {
            store(folder.path(), number, "a", verdict.as_ref());
        }
        // One that broke off, and one that goes on.
        let mut broken = Journal::create_in(folder.path(), &run(20)).unwrap();
        broken.append(&records(&experiment(), 0..0)[0].1).unwrap();
        drop(broken);
        let _goes_on = Journal::create_in(folder.path(), &run(21)).unwrap();
        let lessons = look(folder.path()).lessons;
        assert_eq!(
            (lessons.len(), lessons[0].is_open(), lessons[0].times),
            (1, true, 1)
        );
    }

    #[test]
    fn another_name_or_another_content_is_another_experiment() {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path(), 1, "a", Some(&deviated()));
        store(folder.path(), 2, "b", Some(&held()));
        store(folder.path(), 3, "c", Some(&deviated()));
        let lessons = look(folder.path()).lessons;
        let names: Vec<&str> = lessons.iter().map(|lesson| lesson.name.as_str()).collect();
        assert_eq!(names, ["c", "a"]);
        assert!(lessons.iter().all(Lesson::is_open));
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path(), 1, "a", Some(&deviated()));
        std::fs::create_dir(folder.path().join(format!("{}.jsonl", run(2)))).unwrap();
        let lessons = Lessons::look(folder.path()).unwrap();
        assert_eq!((lessons.lessons.len(), lessons.unreadable.len()), (1, 1));
    }
}
