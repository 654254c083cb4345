//! Tells the people of one's own run how it goes: what is armed, its turns, the live line, the card.
//!
//! Where a terminal shows the live line, it stands for the lines of steps; where there is none, each turn is a line.

use crate::{
    dashboard::Outline,
    live::{Live, LiveStep, Met, Rate},
    page::{Line, Page, Readers, Role},
    tell::{self, Stream},
    worker::{Output, Showing},
};
use injector_host::kernel::clock::boot_ns;
use injector_record::{
    event::{EventKind, RunEvent},
    journal::RunId,
};
use injector_spec::{
    experiment::{Experiment, Placed, Step},
    quantity::{duration, duration::nanos},
};

/// One run, as it is told.
#[derive(Debug)]
pub struct Narrator {
    output: Output,
    /// Who reads the lines of steps.
    of_steps: Readers,
    /// What is armed, in half a line.
    headline: String,
    /// Name and length of each step, in nanoseconds.
    steps: Vec<(String, u64)>,
    /// How many steps have begun.
    begun: usize,
    rate: Rate,
}

impl Narrator {
    /// Makes ready to tell of a run of this experiment. To be called before anything is armed: it may wait for the
    /// recorder, which the other functions do not while the run is on.
    pub fn of(experiment: &Experiment, output: Output, showing: Showing) -> Self {
        match (output, showing) {
            (Output::Json, _) | (Output::Text, Showing::Lines) => {}
            (Output::Text, Showing::LiveLine) => tell::begin_live(None),
            (Output::Text, Showing::Dashboard) => {
                let outline = Outline::of(experiment);
                tell::begin_live(outline.has_much_to_show().then_some(outline));
            }
        }
        let targets: Vec<_> = experiment
            .targets
            .iter()
            .map(|target| target.selector.to_string())
            .collect();
        let duration = duration::format(experiment.duration());
        let step = |step: &Step| {
            let length = nanos(step.duration);
            (step.name.clone(), length)
        };
        Self {
            output,
            // Where there is no live line, each turn is a line.
            of_steps: match showing {
                Showing::Lines => Readers::All,
                Showing::LiveLine | Showing::Dashboard => Readers::WithoutLiveLine,
            },
            headline: format!(
                "{} on {} for {duration}",
                experiment.name,
                targets.join("; ")
            ),
            steps: experiment.steps.iter().map(step).collect(),
            begun: 0,
            rate: Rate::since(boot_ns()),
        }
    }

    /// Tells a turn, as it comes. Single hits are for `injector events`, the end for [`tell::report`].
    pub fn turn(&mut self, event: &RunEvent) {
        let what = &event.what;
        if what.is_of_hits() {
            return;
        }
        if self.output == Output::Text {
            tell::turn(event);
        }
        match (self.output, what) {
            (Output::Json, EventKind::Progress { .. } | EventKind::Sampled { .. })
            | (Output::Text, EventKind::Sampled { .. }) => {}
            (Output::Json, _) => tell::line(Stream::Aside, &tell::as_json(event)),
            (Output::Text, EventKind::Armed { faults, .. }) => {
                tell::page(self.armed(&event.run, faults));
            }
            (
                Output::Text,
                EventKind::Progress {
                    hits,
                    step_until_boot_ns,
                    lease_until_boot_ns,
                    ..
                },
            ) => {
                let met = Met {
                    hits: *hits,
                    per_second: self.rate.now(event.boot_ns, *hits),
                    lease_until_boot_ns: *lease_until_boot_ns,
                };
                self.live(*step_until_boot_ns, Some(met));
            }
            (Output::Text, EventKind::Ended { .. }) => tell::live_over(),
            (Output::Text, EventKind::StepStarted { .. }) => {
                let length = self.steps.get(self.begun).map_or(0, |(_, length)| *length);
                self.begun += 1;
                self.live(event.boot_ns.saturating_add(length), None);
                tell::aside_as(Role::Plain, self.of_steps, &tell::sentence(what));
            }
            (Output::Text, EventKind::StepEnded { .. }) => {
                tell::aside_as(Role::Plain, self.of_steps, &tell::sentence(what));
            }
            (Output::Text, what) => {
                tell::aside_as(Role::Plain, Readers::All, &tell::sentence(what));
            }
        }
    }

    /// What is armed, and each fault with all that is in force.
    fn armed(&self, run: &RunId, faults: &[Placed]) -> Page {
        let headline = &self.headline;
        let line = Line::all(Role::Strong, "armed").and(
            Role::Plain,
            format!(" {headline} (run {run}); Ctrl-C ends it"),
        );
        let faults = faults.iter().map(|fault| Line::plain(format!("  {fault}")));
        std::iter::once(line).chain(faults).collect()
    }

    /// The step that has begun last ends then, and the run after those that follow.
    fn live(&self, step_until_boot_ns: u64, met: Option<Met>) {
        let after = self.steps.get(self.begun..).unwrap_or_default();
        let after: u64 = after.iter().map(|(_, length)| *length).sum();
        let step = self.begun.checked_sub(1).and_then(|at| self.steps.get(at));
        let several = step.filter(|_| self.steps.len() > 1);
        tell::live(Live {
            step: several.map(|(name, _)| LiveStep {
                name: name.clone(),
                number: self.begun,
                count: self.steps.len(),
                until_boot_ns: step_until_boot_ns,
            }),
            until_boot_ns: step_until_boot_ns.saturating_add(after),
            met,
        });
    }
}
