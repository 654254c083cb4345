//! What there is to say of one run: its journal, put in order for people and programs.
//!
//! An [`Account`] is made from a journal alone, in whatever state a crash has left it: a run without an end is told as
//! aborted, or as running where a process holds its journal. Times count from arming, on the boot clock; the wall
//! clock is a label. [`markdown`], [`html`] and [`junit`] make texts of it; as JSON it is the account itself.
//!
//! Rejected: renderers that read records. Each would have to know what a torn journal lacks, and two of them would
//! tell the same run in two ways.

mod again;
mod chart;
mod environment;
mod headline;
pub mod html;
pub mod junit;
pub mod markdown;
mod moment;
mod origin;
mod scale;
mod series;
mod steps;
mod window;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod tests;

use serde::Serialize;

pub use again::{Again, quoted};
pub use headline::Headline;
pub use moment::{Happened, Moment};
pub use series::{Grade, Point, Series};
pub use window::Window;

use crate::{
    journal::{Asked, Damaged, HostChange, ListedRun, Record, Replay, RunId, RunState},
    measure::{Judgement, Verdict},
    platform::Platform,
    report::RunReport,
};
use injector_plan::{Picked, policy::Override};
use injector_spec::experiment::{Experiment, Fingerprint, Placed};
use origin::Origin;

/// All that a journal says of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    /// The run.
    pub run: RunId,
    /// The experiment's name; empty where that record is damaged.
    pub name: String,
    /// Whether it lives, and if not, how it ended.
    #[serde(flatten)]
    pub state: RunState,
    /// What was expected, in a person's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypothesis: Option<String>,
    /// When it started, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_unix_ms: Option<u64>,
    /// When it was armed, in milliseconds since 1970; absent where it never was. All other times count from here, or
    /// from the start where this is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub armed_unix_ms: Option<u64>,
    /// Who asked for it, and under which limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// The kernel and the program; absent in journals of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Limits of the host that were lifted for it.
    pub overrides: Vec<Override>,
    /// What was asked; absent where that record is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
    /// The digest of what was asked, by which runs of the same experiment are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// The plan, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// What its random picks came to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub picked: Vec<Picked>,
    /// Its faults, with all that is in force.
    pub faults: Vec<Placed>,
    /// When which faults were on.
    pub windows: Vec<Window>,
    /// What happened, in order.
    pub timeline: Vec<Moment>,
    /// Each probe with its answers: those of the steady state first.
    pub probes: Vec<Series>,
    /// What the run says at its end; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<RunReport>,
    /// Host settings that may still have the run's value.
    pub to_restore: Vec<HostChange>,
    /// Lines of the journal that could not be read.
    pub damaged: Vec<Damaged>,
}

impl Account {
    /// The account of a run that was [read](crate::journal::read).
    pub fn of(listed: ListedRun, replay: &Replay) -> Self {
        let origin = Origin::of(replay);
        let records = || replay.records.iter().map(|stamped| &stamped.record);
        let started = records().find_map(|record| match record {
            Record::Started {
                experiment,
                platform,
                ..
            } => Some((Experiment::clone(experiment), platform.clone())),
            _ => None,
        });
        let (experiment, platform) = started.unzip();
        let plan = records().find_map(|record| match record {
            Record::Planned { text, picked, .. } => Some((text.clone(), picked.clone())),
            _ => None,
        });
        let (plan, picked) = plan.unzip();
        let overrides = records().filter_map(|record| match record {
            Record::Overridden { limit, .. } => Some(limit.clone()),
            _ => None,
        });
        let judgement = listed
            .report
            .as_ref()
            .and_then(|report| report.judgement.as_deref());
        let windows = window::windows(replay, experiment.as_ref(), &listed.faults, &origin);
        let probes = series::series(replay, experiment.as_ref(), judgement, &origin);
        let timeline = moment::timeline(replay, judgement, &probes, &origin);
        Self {
            run: listed.run,
            name: listed.name,
            state: listed.state,
            hypothesis: experiment
                .as_ref()
                .and_then(|experiment| experiment.hypothesis.clone()),
            started_unix_ms: listed.started_unix_ms,
            armed_unix_ms: origin.armed_unix_ms(),
            asked: listed.asked,
            platform: platform.flatten(),
            overrides: overrides.collect(),
            fingerprint: experiment.as_ref().map(Experiment::fingerprint),
            plan,
            picked: picked.unwrap_or_default(),
            faults: listed.faults,
            windows,
            timeline,
            probes,
            report: listed.report,
            to_restore: listed.to_restore,
            damaged: replay.damaged.clone(),
            experiment,
        }
    }

    /// What the run says of its hypothesis.
    pub fn judgement(&self) -> Option<&Judgement> {
        self.report.as_ref()?.judgement.as_deref()
    }

    /// What the run says, of its hypothesis or of flaws of its target.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.report.as_ref()?.verdict()
    }

    /// What was measured beside recoveries, a line each: the spread of the impact, the detection, the ledgers. They are
    /// not escaped.
    pub fn beside(&self) -> Vec<String> {
        self.judgement().map_or_else(Vec::new, Judgement::beside)
    }

    /// The recovery time objective, in milliseconds; absent where the experiment has no steady state.
    pub fn rto_ms(&self) -> Option<u64> {
        let judgement = self.judgement();
        judgement.map(|judgement| judgement.rto_ms).or_else(|| {
            let steady_state = self.experiment.as_ref()?.steady_state.as_ref()?;
            u64::try_from(steady_state.objectives.rto.as_millis()).ok()
        })
    }

    /// The last time of which the journal says anything, in microseconds from arming: of a run that broke off, its
    /// last sign of life.
    pub fn last_sign_us(&self) -> Option<i64> {
        let answers = self.probes.iter().filter_map(|probe| probe.answers.last());
        let answered = answers.map(Point::end_us);
        let happened = self.timeline.iter().filter(|moment| match moment.what {
            // The process that cleans up may come days later.
            // So may people who answer.
            Happened::Aborted { .. }
            | Happened::RestoreFailed { .. }
            | Happened::Escalated { .. } => false,
            Happened::Started { .. }
            | Happened::LimitLifted { .. }
            | Happened::Scheduled { .. }
            | Happened::Planned
            | Happened::Armed
            | Happened::StepStarted { .. }
            | Happened::StepEnded { .. }
            | Happened::FirstHit
            | Happened::Impact { .. }
            | Happened::Recovered { .. }
            | Happened::Detected { .. }
            | Happened::TargetEnded { .. }
            | Happened::TargetMet { .. }
            | Happened::TargetNotMet { .. }
            | Happened::GateWaits { .. }
            | Happened::GateEnded { .. }
            | Happened::RolledBack { .. }
            | Happened::Told { .. }
            | Happened::Ended { .. } => true,
        });
        happened
            .map(|moment| moment.at_us)
            .chain(answered)
            .chain(self.windows.iter().filter_map(|window| window.to_us))
            .max()
    }
}
