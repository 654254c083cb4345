//! What is shown while the run lasts: a live line on a terminal, else a line for each finished phase.

use std::io::{Write, stdout};

use injector_tests::boot_clock::now_ns;

use crate::story::{Phase, Story};
use crate::style::{Look, is_live, paint, time};

/// Draws progress.
pub(crate) struct Ticker {
    live: bool,
}

impl Ticker {
    pub(crate) fn new() -> Self {
        Self { live: is_live() }
    }

    /// Draws the phase that is on.
    pub(crate) fn tick(&self, story: &Story) {
        if !self.live {
            return;
        }
        if let Some(phase) = story.phases.last().filter(|phase| phase.is_on()) {
            print!("\r\x1b[K{}", line(phase, story));
            // A line that is drawn late is drawn again soon.
            let _not_drawn = stdout().flush();
        }
    }

    /// Leaves the line of a phase that has ended.
    pub(crate) fn phase_is_over(&self, story: &Story) {
        if let Some(phase) = story.phases.last() {
            let back = if self.live { "\r\x1b[K" } else { "" };
            println!("{back}{}", line(phase, story));
        }
    }

    /// Clears what is left of the live line.
    pub(crate) fn finish(&self) {
        if self.live {
            print!("\r\x1b[K");
        }
    }
}

fn line(phase: &Phase, story: &Story) -> String {
    let end = if phase.is_on() {
        now_ns()
    } else {
        phase.end_ns
    };
    let seconds = injector_tests::measure::millis(end.saturating_sub(phase.start_ns)) / 1000.0;
    let agent = phase.figures(&story.agent);
    let bystander = phase.figures(&story.bystander);
    let (mark, look) = if phase.is_on() {
        (">", Look::Strong)
    } else {
        ("-", Look::Faint)
    };
    format!(
        "  {} {:<11} {seconds:>4.1} s   agent {:>5} calls, {:>9}   bystander {:>5} calls, {:>9}",
        paint(look, mark),
        phase.name,
        agent.calls,
        time(agent.p50_ns),
        bystander.calls,
        time(bystander.p50_ns),
    )
}
