//! `injector lessons`: which experiments have deviated, and whether a run of them has held since.

use std::fmt::Write as _;

use clap::Args;

use super::{flags::OutputFlags, stored};
use injector_engine::{
    page::{Line, Page, Role},
    tell,
    worker::Output,
};
use injector_record::{
    journal,
    lessons::{Lesson, Lessons, State},
    measure::Verdict,
};
use injector_spec::{
    error::{Exit, Refusal},
    printable,
    quantity::count,
};

/// `injector lessons`.
#[derive(Args, Debug)]
pub(crate) struct LessonsFlags {
    /// Only the open ones; exits with 1 where there are any, for a pipeline that deploys
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    output: OutputFlags,
}

/// Which lessons are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// All of them.
    All,
    /// Those that are open, which is a failure where there are any.
    Open,
}

impl LessonsFlags {
    pub(super) fn split(self) -> (Told, Output) {
        let told = if self.open { Told::Open } else { Told::All };
        (told, self.output.output())
    }
}

/// Looks at the stored runs, and tells.
pub fn lessons(told: Told, output: Output) -> Result<Exit, Refusal> {
    let directory = journal::directory();
    let mut found =
        Lessons::look(&directory).map_err(|error| stored::unreadable(&directory, &error))?;
    if told == Told::Open {
        found.retain_open();
    }
    match output {
        Output::Json => tell::json(&found),
        Output::Text => tell::page(page(&found, told)),
    }
    if let Some(version) = found.newer_table {
        tell::aside(format!(
            "injector: the table of the journals, ended.table, has version {version}, which is of a newer injector; \
             the journals were read instead, and it was left as it is"
        ));
    }
    stored::tell_unreadable(&found.unreadable);
    let is_failed = match told {
        Told::All => !found.unreadable.is_empty(),
        // What cannot be read may be one.
        Told::Open => !found.lessons.is_empty() || !found.unreadable.is_empty(),
    };
    Ok(if is_failed { Exit::Failed } else { Exit::Done })
}

fn page(found: &Lessons, told: Told) -> Page {
    let mut page = Page::default();
    let runs = count(found.runs, "stored run", "stored runs");
    if found.lessons.is_empty() {
        let none = match told {
            Told::All => "no lessons: no experiment has deviated",
            Told::Open => "no open lessons",
        };
        page.push(Line::all(Role::Good, none).and(Role::Plain, format!(" ({runs})")));
        return page;
    }
    let open = found
        .lessons
        .iter()
        .filter(|lesson| lesson.is_open())
        .count();
    let total = count(found.lessons.len(), "lesson", "lessons");
    page.push(Line::all(
        Role::Dim,
        format!("{total}, {open} open, from {runs}"),
    ));
    for lesson in &found.lessons {
        push(&mut page, lesson);
    }
    page
}

fn push(page: &mut Page, lesson: &Lesson) {
    let (role, word) = match lesson.state {
        State::Open => (Role::Bad, "open"),
        State::Done { .. } => (Role::Good, "done"),
    };
    let first = Line::all(role, word).and(
        Role::Plain,
        format!(
            "  {} ({}): {}",
            lesson.name,
            lesson.experiment,
            story(lesson)
        ),
    );
    page.push(first);
    if let Some(why) = lesson.verdict.as_ref().and_then(Verdict::why) {
        let word = lesson.verdict.as_ref().map_or("", Verdict::name);
        page.push(Line::plain(format!("      {word}: {why}")));
    }
    if lesson.is_open() {
        let hint = format!(
            "      `injector postmortem {}` has the facts",
            lesson.last.run
        );
        page.push(Line::all(Role::Dim, hint));
    }
}

/// `again, 3rd time since 2026-01-31T08:30:00Z, after r... had held`: what happened, on one line.
fn story(lesson: &Lesson) -> String {
    let time = |unix_ms| journal::time(unix_ms);
    let (first, last) = (&lesson.first, &lesson.last);
    let mut said = match lesson.times {
        0 | 1 => format!("deviated in {} at {}", last.run, time(last.unix_ms)),
        times => format!(
            "again, {} time since {}, last in {} at {}",
            ordinal(times),
            time(first.unix_ms),
            last.run,
            time(last.unix_ms)
        ),
    };
    if let Some(held) = &lesson.held_between {
        let _ = write!(said, ", although {} had held", held.run);
    }
    if let State::Done { by } = &lesson.state {
        let _ = write!(said, "; held in {} at {}", by.run, time(by.unix_ms));
    }
    printable::line(&said).into_owned()
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`.
fn ordinal(number: usize) -> String {
    let is_teen = (11..=13).contains(&(number % 100));
    let ending = match number % 10 {
        1 if !is_teen => "st",
        2 if !is_teen => "nd",
        3 if !is_teen => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_record::lessons::Seen;

    fn seen(number: u32) -> Seen {
        Seen {
            run: format!("r{number:012x}").parse().unwrap(),
            unix_ms: 1_769_848_200_000,
        }
    }

    #[test]
    fn a_deviation_that_comes_again_is_named_as_one() {
        let mut lesson = Lesson {
            name: "slow\u{1b}[m".into(),
            experiment: "0123456789abcdef".parse().unwrap(),
            state: State::Open,
            times: 1,
            first: seen(1),
            last: seen(1),
            verdict: Some(Verdict::Deviated("it was late".into())),
            held_between: None,
        };
        assert_eq!(
            story(&lesson),
            "deviated in r000000000001 at 2026-01-31T08:30:00Z"
        );
        lesson.times = 3;
        lesson.last = seen(3);
        lesson.held_between = Some(seen(2));
        assert_eq!(
            story(&lesson),
            "again, 3rd time since 2026-01-31T08:30:00Z, last in r000000000003 at 2026-01-31T08:30:00Z, although \
             r000000000002 had held"
        );
        lesson.state = State::Done { by: seen(4) };
        assert!(story(&lesson).ends_with("; held in r000000000004 at 2026-01-31T08:30:00Z"));
        let mut page = Page::default();
        push(&mut page, &lesson);
        let text = super::super::report::rows(&page);
        assert!(
            text.starts_with("done  slow\\u{1b}[m (0123456789abcdef): again"),
            "{text}"
        );
        assert!(text.contains("deviated: it was late"), "{text}");
        assert!(!text.contains("postmortem"), "{text}");
    }

    #[test]
    fn numbers_have_their_endings() {
        let told: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 112]
            .into_iter()
            .map(ordinal)
            .collect();
        assert_eq!(
            told,
            [
                "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"
            ]
        );
    }
}
