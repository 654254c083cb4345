//! A bar on standard error while runs are made: how many are over, and how long the rest takes. Where standard error
//! is no terminal there is none, for the rows say the same.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use injector_engine::page::Look;
use injector_spec::{printable, quantity::duration};

/// What a run takes beside its steps: to arm, to undo, and to be reported.
const AROUND: Duration = Duration::from_millis(700);

/// How often the bar is drawn anew in a second.
const REDRAWN: u8 = 4;

/// Parts of a run that the bar tells apart.
const PARTS: u64 = 100;

/// How far the runs are.
pub(super) struct Progress {
    bar: ProgressBar,
    /// When the run began that is made now, and how long it takes.
    now: Option<(Instant, Duration)>,
    over: u64,
    count: u64,
}

impl Progress {
    /// So many runs.
    pub(super) fn of(count: usize) -> Self {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let target = match Look::of(std::io::stderr()) {
            Look::Full(_) => ProgressDrawTarget::stderr_with_hz(REDRAWN),
            Look::Bare(_) | Look::Pipe => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(count.saturating_mul(PARTS)), target);
        // A template of this program's own; the plain bar takes its place where it could not be read.
        let style = ProgressStyle::with_template("{prefix} [{bar:20}] {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        Self {
            bar,
            now: None,
            over: 0,
            count,
        }
    }

    /// A run begins, whose steps take so long.
    pub(super) fn enter(&mut self, name: &str, length: Duration) {
        self.now = Some((Instant::now(), length + AROUND));
        let number = self.over + 1;
        let name = printable::line(name);
        let count = self.count;
        self.bar
            .set_prefix(format!("run {number} of {count}: {name}"));
        self.tick();
    }

    /// Time goes on.
    pub(super) fn tick(&self) {
        let Some((began, length)) = self.now else {
            return;
        };
        let gone = began.elapsed().min(length);
        let part = gone.as_millis() * u128::from(PARTS) / length.as_millis().max(1);
        let part = u64::try_from(part).unwrap_or(PARTS);
        self.bar.set_position(self.over * PARTS + part);
        let rest = u32::try_from(self.count.saturating_sub(self.over + 1)).unwrap_or(u32::MAX);
        let left = length.saturating_sub(gone) + length.saturating_mul(rest);
        let left = duration::format(Duration::from_secs(left.as_secs()));
        self.bar.set_message(format!("about {left} left"));
    }

    /// The run is over, and rows may be printed.
    pub(super) fn leave(&mut self) {
        self.now = None;
        self.over += 1;
        self.bar.set_position(self.over * PARTS);
    }

    /// Prints while the bar is out of the way.
    pub(super) fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
