//! The rows of each section. Each says less where the terminal is narrow, and no word is cut.

use std::time::Duration;

use injector_spec::quantity::{bytes, duration, duration::nanos};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{
    HeldTo,
    board::{Acted, Asking, Board, Viewer},
    trace::Trace,
};
use crate::{
    live::{few, lease, left},
    page::{Line, Role},
};

/// What stands for the rest of a name.
const MORE: char = '…';

/// The longest name that is shown whole where there is room, in columns.
const LONGEST_NAME: usize = 32;

/// The least room for bars.
const FEWEST_BARS: usize = 8;

/// Columns of a probe's last answer, so that those of several stand below each other.
const LAST: usize = 11;

/// Columns of what a probe is held to, for the same reason.
const FAILS: usize = 12;

/// Columns of the bar of a step.
const STEP_BAR: u64 = 20;

/// The first that fits, or the last cut at a word.
fn first_that_fits(width: usize, lines: impl IntoIterator<Item = Line>) -> Line {
    let mut last = Line::new();
    for line in lines {
        if line.width() <= width {
            return line;
        }
        last = line;
    }
    let text = last.text();
    last.parts()
        .next()
        .map_or_else(Line::new, |(role, _)| Line::all(role, words(&text, width)))
}

/// As many whole words as fit, with a mark for the others.
pub(super) fn words(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for word in text.split_inclusive(' ') {
        // The mark follows the space behind the last word.
        if kept.width() + word.trim_end().width() + 2 > width {
            break;
        }
        kept.push_str(word);
    }
    if kept.trim().is_empty() {
        return name(text.trim_start(), width);
    }
    if !kept.ends_with(' ') {
        kept.push(' ');
    }
    kept.push(MORE);
    kept
}

/// A name in at most so many columns.
fn name(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(character);
    }
    if width > 0 {
        kept.push(MORE);
    }
    kept
}

/// A name in exactly so many columns.
fn padded(text: &str, width: usize) -> String {
    let text = name(text, width);
    let rest = width.saturating_sub(text.width());
    text + &" ".repeat(rest)
}

/// The columns that a list of names gets.
fn column<T: AsRef<str>>(names: impl Iterator<Item = T>, width: usize) -> usize {
    let widest = names.map(|name| name.as_ref().width()).max().unwrap_or(0);
    widest.min(LONGEST_NAME).min((width / 4).max(4))
}

impl Board {
    /// What runs, on what.
    pub(super) fn title(&self, width: usize) -> Vec<Line> {
        let run = self
            .run
            .as_ref()
            .map_or(String::new(), |run| format!("  run {run}"));
        let name = || Line::all(Role::Strong, &self.outline.name);
        let first = first_that_fits(width, [name().and(Role::Plain, run), name()]);
        let targets = &self.outline.targets;
        let count = targets.len();
        let named = match count {
            0 => "on no target".to_owned(),
            _ => format!("on {}", targets.join("; ")),
        };
        let second = first_that_fits(
            width,
            [
                Line::all(Role::Dim, named),
                Line::all(
                    Role::Dim,
                    match count {
                        1 => "on 1 target".to_owned(),
                        _ => format!("on {count} targets"),
                    },
                ),
            ],
        );
        vec![first, second]
    }

    /// The time that is left, and what the faults do.
    pub(super) fn status(&self, now: u64, width: usize) -> Line {
        let run = match self.asking {
            Asking::Halting => (Role::Doubtful, "ending".to_owned()),
            Asking::Nothing | Asking::ToHalt if self.is_between && self.left_ns(now) == 0 => {
                (Role::Doubtful, "ending".to_owned())
            }
            Asking::Nothing | Asking::ToHalt => {
                (Role::Strong, format!("{} left", left(self.left_ns(now), 0)))
            }
        };
        let mut parts = vec![run];
        parts.extend(
            self.lease_until_ns
                .map(|until| lease(until.saturating_sub(now))),
        );
        let hits = self.met.map(|(hits, per_second, _)| {
            let noun = if hits == 1 { "hit" } else { "hits" };
            (Role::Plain, format!("{hits} {noun}, {}/s", few(per_second)))
        });
        parts.extend(hits);
        let line = |count: usize| {
            let parts = parts.iter().take(count).enumerate();
            parts.fold(Line::new(), |line, (at, (role, text))| {
                let gap = if at == 0 { "" } else { " | " };
                line.and(Role::Dim, gap).and(*role, text)
            })
        };
        first_that_fits(width, (1..=parts.len()).rev().map(line))
    }

    /// The steps; which is at hand.
    pub(super) fn steps(&self, now: u64, width: usize) -> (Vec<Line>, usize) {
        let steps = &self.outline.steps;
        let widest = column(steps.iter().map(|step| step.name.as_str()), width);
        let digits = steps.len().to_string().len();
        let row = |(index, step): (usize, &super::StepOutline)| {
            let number = index + 1;
            let whole = duration::format(step.duration);
            let (role, mark, said, bar) = if number < self.begun
                || (number == self.begun && self.is_between)
            {
                (Role::Dim, ' ', format!("{whole}, over"), None)
            } else if number == self.begun {
                let rest = self.step_left_ns(now);
                let said = match &self.waits {
                    Some(_) => format!("waits, at most {} more", left(rest, 0)),
                    None => format!("{} of {whole} left", left(rest, 0)),
                };
                let length = nanos(step.duration).max(1);
                let done = STEP_BAR
                    - (rest.min(length) / 1_000).saturating_mul(STEP_BAR) / (length / 1_000).max(1);
                (
                    Role::Strong,
                    '>',
                    said,
                    Some(usize::try_from(done.min(STEP_BAR)).unwrap_or(0)),
                )
            } else {
                (Role::Plain, ' ', whole, None)
            };
            let head = format!("{mark} {number:>digits$} ");
            let named = Line::all(
                role,
                format!("{head} {}  {said}", padded(&step.name, widest)),
            );
            let mut lines = Vec::new();
            if let Some(done) = bar {
                let rest = usize::try_from(STEP_BAR).unwrap_or(0) - done;
                lines.push(
                    named
                        .clone()
                        .and(Role::Plain, "  ")
                        .and(Role::Strong, "━".repeat(done))
                        .and(Role::Dim, "─".repeat(rest)),
                );
            }
            lines.push(named);
            lines.push(Line::all(role, format!("{head} {said}")));
            first_that_fits(width, lines)
        };
        let rows = steps.iter().enumerate().map(row).collect();
        (rows, self.begun.saturating_sub(1))
    }

    /// Probes of this kind, a row each.
    pub(super) fn probes(&self, is_wanted: impl Fn(&Trace) -> bool, width: usize) -> Vec<Line> {
        let widest = column(
            self.traces.iter().map(|trace| trace.probe.name.as_str()),
            width,
        );
        let wanted = self.traces.iter().filter(|trace| is_wanted(trace));
        wanted.map(|trace| probe(trace, widest, width)).collect()
    }

    /// Faults with their hits; the first of the step at hand.
    pub(super) fn hits(&self, width: usize) -> (Vec<Line>, usize) {
        let is_on = |fault: &Acted| {
            let until_now = self.outline.steps[..self.begun.min(self.outline.steps.len())].iter();
            let since = until_now
                .rev()
                .position(|step| step.name == fault.placed.step);
            !self.is_between && since.is_some_and(|steps| steps <= fault.placed.stays_on)
        };
        let faults = || self.faults.iter();
        let widest = column(faults().map(|fault| fault.placed.fault.as_str()), width);
        let digits = faults().map(|fault| fault.hits.to_string().len()).max();
        let digits = digits.unwrap_or(1);
        let row = |fault: &Acted| {
            let role = if is_on(fault) {
                Role::Strong
            } else {
                Role::Dim
            };
            let named = padded(&fault.placed.fault, widest);
            let noun = if fault.hits == 1 { "hit" } else { "hits" };
            let hits = match self.met {
                Some(_) if self.faults.len() <= injector_record::event::MOST_TOLD => {
                    format!("{:>digits$} {noun}", fault.hits)
                }
                _ => "hits are told at the end".to_owned(),
            };
            let rate = self.met.map_or(String::new(), |_| {
                format!(", {:<7}", format!("{}/s", few(fault.per_second)))
            });
            let budget = fault.placed.described.chance.get("max-hits");
            let budget = budget.map_or(String::new(), |most| format!(" of {most}"));
            let on = format!("on {}, step {}", fault.placed.target, fault.placed.step);
            let parameters = fault.placed.described.parameters.to_string();
            let colon = if parameters.is_empty() { "" } else { ": " };
            let head = format!("  {named}  {hits}{budget}");
            let line = |text: String| Line::all(role, text);
            first_that_fits(
                width,
                [
                    line(format!("{head}{rate}  {on}{colon}")).and(Role::Dim, parameters),
                    line(format!("{head}{rate}  {on}")),
                    line(format!("{head}{rate}")),
                    line(head.clone()),
                    line(format!("  {hits}")),
                ],
            )
        };
        let focus = self.faults.iter().position(is_on).unwrap_or(0);
        (faults().map(row).collect(), focus)
    }

    /// What the run has used up of what it may.
    pub(super) fn used_up(&self, width: usize) -> Vec<Line> {
        let (_, per_second, used) = self.met.unwrap_or_default();
        let mut parts = Vec::new();
        if let Some(most) = self.limits.hits_a_second {
            parts.push(match self.met {
                Some(_) => format!("{} of {most} hits/s", few(per_second)),
                None => format!("{most} hits/s"),
            });
        }
        if let Some(most) = self.limits.bytes {
            let most = bytes::format(most);
            parts.push(match self.met {
                Some(_) => format!("{} of {most} hit", bytes::format(used)),
                None => format!("{most} hit"),
            });
        }
        if let Some(most) = self.limits.processes {
            parts.push(format!("{most} processes"));
        }
        if parts.is_empty() {
            return Vec::new();
        }
        let line = |count: usize| Line::plain(format!("  {}", parts[..count].join(" | ")));
        vec![first_that_fits(width, (1..=parts.len()).rev().map(line))]
    }

    /// What was told last.
    pub(super) fn told(&self, width: usize) -> Vec<Line> {
        let news = self.news.iter();
        news.map(|sentence| {
            Line::plain(words(
                &format!("  {}", injector_spec::printable::line(sentence)),
                width,
            ))
        })
        .collect()
    }

    /// What the gate at hand waits for.
    pub(super) fn gate(&self, width: usize) -> Option<Line> {
        let until = self.waits.as_ref()?;
        let text = format!("waits for {until}");
        Some(Line::all(
            Role::Doubtful,
            words(&injector_spec::printable::line(&text), width),
        ))
    }

    /// The last row.
    pub(super) fn keys(&self, width: usize) -> Line {
        let key = |line: Line, key: &str, does: &str| {
            line.and(Role::Strong, key)
                .and(Role::Dim, format!(" {does}"))
        };
        let lines = match (self.asking, self.viewer) {
            (Asking::Nothing, Viewer::Owner) => vec![
                key(Line::new(), "q", "halt this run   ")
                    .and(Role::Strong, "Ctrl-C")
                    .and(Role::Dim, " halt it at once"),
                key(Line::new(), "q", "halt this run"),
                key(Line::new(), "q", "halt"),
            ],
            (Asking::Nothing, Viewer::Reader) => vec![
                key(
                    key(Line::new(), "q", "leave, and the run goes on   "),
                    "h",
                    "halt this run",
                ),
                key(key(Line::new(), "q", "leave   "), "h", "halt"),
                key(Line::new(), "q", "leave"),
            ],
            (Asking::ToHalt, Viewer::Owner | Viewer::Reader) => vec![
                Line::all(Role::Doubtful, "halt this run? y/n"),
                Line::all(Role::Doubtful, "halt? y/n"),
            ],
            (Asking::Halting, Viewer::Owner | Viewer::Reader) => vec![
                Line::all(Role::Doubtful, "halting: everything is put back"),
                Line::all(Role::Doubtful, "halting"),
            ],
        };
        first_that_fits(width, lines)
    }
}

fn probe(trace: &Trace, widest: usize, width: usize) -> Line {
    let of = &trace.probe;
    let named = format!("  {}  ", padded(&of.name, widest));
    let Some((took, is_right)) = trace.last() else {
        return first_that_fits(
            width,
            [
                Line::plain(format!("{named}no answer yet")),
                Line::plain(named.trim_end()),
            ],
        );
    };
    let last = if is_right {
        let within = of
            .within
            .map(|within| format!(" of {}", duration::format(within)));
        let text = format!("{:>5}{}", measured(took), within.unwrap_or_default());
        (Role::Plain, format!("{text:>LAST$}"))
    } else {
        (Role::Bad, format!("{:>LAST$}", "wrong"))
    };
    let wrong = match of.held_to {
        HeldTo::Fails { .. } => format!("{:>3} of {} wrong", trace.wrong, trace.count),
        // Of many operations in a second not all are told here.
        HeldTo::Share(_) => format!("{:>3} bad", trace.wrong),
    };
    let wrong = (
        if trace.wrong == 0 {
            Role::Dim
        } else {
            Role::Bad
        },
        wrong,
    );
    let fails = match of.held_to {
        HeldTo::Fails { count: 1, of: 1 } => "fails 1".to_owned(),
        HeldTo::Fails { count, of } if count == of => format!("fails {count}"),
        HeldTo::Fails { count, of } => format!("fails {count} of {of}"),
        HeldTo::Share(ratio) => ratio.to_string(),
    };
    let fails = format!("{fails:<FAILS$}");
    let behind = [last, wrong, (Role::Dim, fails)];
    let behind = |count: usize| {
        let parts = behind.iter().take(count);
        parts.fold(Line::new(), |line, (role, text)| {
            line.and(Role::Plain, "  ").and(*role, text)
        })
    };
    for count in (0..=3).rev() {
        let behind = behind(count);
        let bars = width.saturating_sub(named.width() + behind.width());
        if bars >= FEWEST_BARS || (count == 0 && bars > 0) {
            let line = trace.bars(Line::plain(&named), bars);
            return behind
                .parts()
                .fold(line, |line, (role, text)| line.and(role, text));
        }
    }
    Line::plain(words(&named, width))
}

/// A latency by at most three figures.
fn measured(took: Duration) -> String {
    let micros = took.as_micros();
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..10_000_000 => format!("{}ms", micros / 1_000),
        _ => format!("{}s", took.as_secs()),
    }
}
