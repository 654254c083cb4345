//! Commands that make several runs and say what they show together: `run --repeat`, `suite`, `search`.
//!
//! Runs are made one after the other, each in a process of its own ([`injector_engine::trial`]). What a run says is in
//! its journal as that of any other; what several say together is judged by [`injector_record::trials`].
//!
//! Invariants:
//! - No run begins after a signal that would end the command, after a run that was refused, halted, stopped or unsafe,
//!   or after one that could not put everything back. A search alone goes on after one that a condition halted or that
//!   was unsafe, with a milder value: that such a value breaks is what it looks for.
//! - The exit code is 0 only where every run held, or was without a hypothesis and completed.

mod progress;
mod repeat;
mod row;
mod search;
mod suite;
#[cfg(test)]
mod tests;

pub(crate) use repeat::Times;
pub use repeat::repeat;
pub(crate) use search::SearchFlags;
pub use search::{Wanted as SearchWanted, search};
pub(crate) use suite::SuiteFlags;
pub use suite::{Wanted as SuiteWanted, suite};

use injector_engine::trial::{self, Asked, Wish};
use injector_record::trials::Trial;
use injector_spec::{config::Source, error::Refusal};
use progress::Progress;

/// What makes runs, and shows how it stands.
struct Runs<'c> {
    maker: trial::Trials,
    config: &'c Source,
    progress: Progress,
}

/// What ends a command beside its runs.
const ASKED_TO_END: &str = "the command was asked to end";

/// Why no more runs are made.
enum Next {
    /// They may be.
    GoOn,
    /// They may not, for this reason.
    End(String),
}

impl<'c> Runs<'c> {
    /// `count` runs are to come, or fewer.
    fn begin(config: &'c Source, count: usize) -> Result<Self, Refusal> {
        Ok(Self {
            maker: trial::Trials::begin()?,
            config,
            progress: Progress::of(count),
        })
    }

    /// Makes one, whatever came of those before; `name` is what it is called meanwhile.
    fn one(&mut self, asked: &Asked, name: &str) -> Trial {
        let length = asked.experiment.duration();
        self.progress.enter(name, length);
        let progress = &self.progress;
        let trial = self.maker.run(asked, self.config, &mut || progress.tick());
        self.progress.leave();
        trial
    }

    /// The same, and whether more may follow.
    fn make(&mut self, asked: &Asked, name: &str) -> (Trial, Next) {
        let trial = self.one(asked, name);
        let next = match (trial.forbids_more(), self.maker.wish()) {
            (Some(why), _) => Next::End(why),
            (None, Wish::End) => Next::End(ASKED_TO_END.to_owned()),
            (None, Wish::GoOn) => Next::GoOn,
        };
        (trial, next)
    }
}
