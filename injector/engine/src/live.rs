//! The live line of a run: one line of a terminal that says how the run stands, rewritten in place.
//!
//! The worker says at most some times a second how the run stands ([`Live`]): times on the boot clock and numbers. The
//! process that writes to the terminal makes the line of it, and makes it anew while nothing is said. So the time that
//! is left goes down by the clock of a process that holds nothing of the run, and a worker that stands still is seen
//! by its lease, which runs out on the screen as it does in the kernel.
//!
//! Rejected: a line that the worker makes. It would stand there as it was when the worker was frozen, and say that the
//! lease is live.

mod rate;
mod screen;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthStr as _;

use crate::page::{Line, Look, Role};
use injector_spec::quantity::duration;

pub use rate::Rate;
pub(crate) use screen::Screen;

/// How often the line is made anew while nothing is said.
pub const EVERY: Duration = Duration::from_millis(250);

const SECOND: u64 = 1_000_000_000;

/// How a run stands. All times are on the boot clock, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Which step is on; absent where the run has one.
    pub step: Option<LiveStep>,
    /// When the run ends by itself.
    pub until_boot_ns: u64,
    /// What the faults have done; absent until it is known.
    pub met: Option<Met>,
}

/// A step of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveStep {
    /// Its name.
    pub name: String,
    /// Which it is, from 1.
    pub number: usize,
    /// Of how many.
    pub count: usize,
    /// When it ends.
    pub until_boot_ns: u64,
}

/// What the faults have done so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Met {
    /// How often they acted.
    pub hits: u64,
    /// How often a second of late.
    pub per_second: f64,
    /// When the lease ends unless it is renewed.
    pub lease_until_boot_ns: u64,
}

/// From all to the least: the first that fits is shown.
const DEPTHS: [Depth; 5] = [
    Depth::All,
    Depth::WithoutName,
    Depth::WithoutRate,
    Depth::StepAndLease,
    Depth::Least,
];

/// How much the line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    All,
    /// Not the name of the step.
    WithoutName,
    /// Nor how many hits come a second.
    WithoutRate,
    /// Nor hits, nor the time of the run where it has steps.
    StepAndLease,
    /// The time of the run alone.
    Least,
}

impl Live {
    /// The line at this moment, narrower than the terminal; none where the output takes no control sequence, or is too
    /// narrow for a word.
    pub fn line(&self, now_boot_ns: u64, look: Look) -> Option<String> {
        let Look::Full(width) = look else {
            return None;
        };
        DEPTHS
            .iter()
            .map(|depth| self.parts(*depth, now_boot_ns))
            .find(|line| line.text().width() < width)
            .map(|line| line.row(look))
    }

    fn parts(&self, depth: Depth, now: u64) -> Line {
        let mut parts: Vec<(Role, String)> = Vec::new();
        if let Some(step) = &self.step
            && depth <= Depth::StepAndLease
        {
            let name = match depth {
                Depth::All => format!(" {}", step.name),
                _ => String::new(),
            };
            let left = left(step.until_boot_ns, now);
            let LiveStep { number, count, .. } = step;
            parts.push((
                Role::Strong,
                format!("step {number}/{count}{name}, {left} left"),
            ));
        }
        let run = left(self.until_boot_ns, now);
        match &self.step {
            None => parts.push((Role::Strong, format!("{run} left"))),
            Some(_) if depth == Depth::StepAndLease => {}
            Some(_) => parts.push((Role::Plain, format!("run {run} left"))),
        }
        if let Some(met) = &self.met {
            if depth <= Depth::WithoutRate {
                let hits = if met.hits == 1 { "hit" } else { "hits" };
                let rate = if depth <= Depth::WithoutName {
                    format!(", {}/s", few(met.per_second))
                } else {
                    String::new()
                };
                parts.push((Role::Plain, format!("{} {hits}{rate}", met.hits)));
            }
            if depth <= Depth::StepAndLease {
                parts.push(lease(met.lease_until_boot_ns.saturating_sub(now)));
            }
        }
        let line = |line: Line, (at, (role, text)): (usize, (Role, String))| {
            let gap = if at == 0 { "" } else { " | " };
            line.and(Role::Dim, gap).and(role, text)
        };
        parts.into_iter().enumerate().fold(Line::new(), line)
    }
}

/// The time until then, in whole seconds that have begun.
pub(crate) fn left(until: u64, now: u64) -> String {
    duration::format(Duration::from_secs(
        until.saturating_sub(now).div_ceil(SECOND),
    ))
}

/// What is left of the lease.
pub(crate) fn lease(left: u64) -> (Role, String) {
    let tenths = left / (SECOND / 10);
    let text = format!("lease {}.{}s", tenths / 10, tenths % 10);
    match tenths {
        0 => (Role::Bad, "lease over".to_owned()),
        1..10 => (Role::Doubtful, text),
        _ => (Role::Good, text),
    }
}

/// A rate by two figures or by whole numbers.
pub(crate) fn few(rate: f64) -> String {
    if rate < 9.95 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

#[cfg(test)]
mod tests;
