//! The steady state: what is measured around the faults, and what the hypothesis is held against.
//!
//! The quiet steps in front of the first fault are the **baseline**, those behind the last one the **recovery**.
//! A run that has a steady state is judged: [`injector_record::measure`] has the definitions.
//!
//! Rejected: probes and the lists that name them as they stand in the file. Here a probe has one role, so that no
//! name leads nowhere and none is asked for nothing.

use std::{collections::HashSet, time::Duration};

use injector_common::threshold::Threshold;
use serde::{Deserialize, Serialize};

use super::{
    Experiment, LONGEST_NAME, NamedOperation, Step,
    head::is_line,
    ledger::{self, Ledger, LedgerError},
    operation::MOST_OPERATIONS,
    probe_mode::ProbeMode,
    quality::Latency,
};
use crate::{
    condition::Question,
    quantity::{Percent, duration},
};

/// Each probe has a thread.
pub const MOST_PROBES: usize = 32;

/// The most answers of a run: each is kept until it is judged, 24 bytes in locked memory, and about 60 in the journal.
/// One probe has as many in a day when it is asked ten times a second.
pub const MOST_ANSWERS: u128 = 1_000_000;

/// A recovery counts from its first good answer where so many come without a bad one...
pub const CALM_ANSWERS: u32 = 10;
/// ... and for so long; a baseline needs as much.
pub const CALM_TIME: Duration = Duration::from_secs(5);

/// A probe must be asked so many times within the recovery time objective.
pub const ASKED_WITHIN_RTO: u32 = 10;

/// What is measured, and what it is held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SteadyState {
    /// What is asked; one of them, or of the operations, is about the steady state.
    pub probes: Vec<NamedProbe>,
    /// Operations of targets that are watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<NamedOperation>,
    /// What counts as good enough.
    #[serde(default)]
    pub objectives: Objectives,
    /// What tells that the target's own alarm has noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect: Option<Detect>,
    /// What was acknowledged and what is kept, each by the name of a ledger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledgers: Vec<Ledger>,
}

/// The probe of the alarm, under its name: its first right answer behind the first hit is the detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detect {
    /// What reports call it.
    pub name: String,
    /// What is asked; JSON has its line.
    pub question: Question,
}

/// A probe under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedProbe {
    /// What reports call it.
    pub name: String,
    /// What its answers are about.
    pub role: ProbeRole,
    /// When it is asked.
    #[serde(default, skip_serializing_if = "ProbeMode::is_usual")]
    pub mode: ProbeMode,
    /// What is asked, and how often it may fail; JSON has its line.
    pub question: Question,
}

/// What the answers of a probe are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeRole {
    /// The target: its steady state.
    SteadyState,
    /// A bystander, which no fault may reach.
    Control,
}

/// What counts as good enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// The recovery time objective: the longest time, from the first bad answer on, in which the steady state may
    /// be lost.
    #[serde(with = "crate::quantity::duration")]
    pub rto: Duration,
    /// The longest time from the impact until the target's own alarm has noticed; absent where it is told alone.
    #[serde(
        default,
        with = "duration::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub detect: Option<Duration>,
    /// The share of the answers behind the first hit that is right at least; absent where it is told by no objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Percent>,
    /// What a quantile of their times may be, a wrong answer being later than any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

impl Default for Objectives {
    fn default() -> Self {
        Self {
            rto: Duration::from_mins(1),
            detect: None,
            success: None,
            latency: None,
        }
    }
}

/// Why a steady state cannot be judged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum SteadyStateError {
    #[error(
        "no probe is about the steady state, nor any operations, so nothing could be judged; name at least one under \
         `steady-state`"
    )]
    NoProbe,
    #[error("the experiment has {0} probes; leave at most {MOST_PROBES}")]
    TooMany(usize),
    #[error(
        "the probes would be asked {0} times in this run; at most {MOST_ANSWERS} answers are kept, so raise `every`, \
         or let the steps be shorter"
    )]
    TooOften(u128),
    #[error("the experiment watches {0} streams of operations; leave at most {MOST_OPERATIONS}")]
    TooManyOperations(usize),
    #[error("operations `{name}` are of `{of}`, and no target is called so; name one")]
    NoSuchTarget { name: String, of: String },
    #[error(
        "operations `{name}`: `within` is a time between 1ms and {}; correct it",
        duration::format(*.rto)
    )]
    Within { name: String, rto: Duration },
    #[error("a probe's name has 1 to {LONGEST_NAME} characters; correct `{0}`")]
    Name(String),
    #[error("two probes or operations are called `{0}`; give each a name of its own")]
    SameName(String),
    #[error(
        "probe `{probe}` takes up to {} for an answer, which cannot tell a recovery time objective of {}: it \
         has to be asked {ASKED_WITHIN_RTO} times within it. Lower its `every` and `within` to {}, or raise `rto`",
        duration::format(*.pace), duration::format(*.rto), duration::format(*.rto / ASKED_WITHIN_RTO)
    )]
    TooSlow {
        probe: String,
        pace: Duration,
        rto: Duration,
    },
    #[error("`rto` is a time between 1s and {}, and not {}; correct it",
        duration::format(duration::LONGEST), duration::format(*.0))]
    Rto(Duration),
    #[error(
        "the control `{0}` has a mode, and no fault may reach a bystander at any time; leave `mode` out"
    )]
    ModeOfControl(String),
    #[error("the objective `success` is none; write the share that has to be right, as in `99%`")]
    NoSuccess,
    #[error("the objective `latency` is a time between 1ms and {}, and not {}; correct it",
        duration::format(duration::LONGEST), duration::format(*.0))]
    Latency(Duration),
    #[error(
        "the objective `detect` needs a probe that tells of the alarm; name it, as in `detect: alarm`"
    )]
    NoDetect,
    #[error("the objective `detect` is a time between 1s and {}, and not {}; correct it",
        duration::format(duration::LONGEST), duration::format(*.0))]
    DetectTime(Duration),
    #[error(
        "probe `{probe}` takes up to {} for an answer, which cannot tell a detection within {}: it has to be asked \
         {ASKED_WITHIN_RTO} times within it. Lower its `every` and `within` to {}, or raise the objective `detect`",
        duration::format(*.pace), duration::format(*.within), duration::format(*.within / ASKED_WITHIN_RTO)
    )]
    DetectTooSlow {
        probe: String,
        pace: Duration,
        within: Duration,
    },
    /// A ledger that cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(
        "the quiet time {place} is {}, too short for `{probe}`: it takes {CALM_ANSWERS} answers and {} at \
         least. Make it {} or longer, or ask more often",
        duration::format(*.lasts), duration::format(CALM_TIME), duration::format(*.least)
    )]
    TooShort {
        place: &'static str,
        lasts: Duration,
        probe: String,
        least: Duration,
    },
}

impl NamedProbe {
    /// The longest time from one answer to the next.
    pub fn pace(&self) -> Duration {
        pace(&self.question)
    }

    /// The shortest quiet time in which it can be judged.
    pub fn calm(&self) -> Duration {
        CALM_TIME.max(self.pace() * CALM_ANSWERS)
    }
}

impl Detect {
    /// The longest time from one answer to the next.
    pub fn pace(&self) -> Duration {
        pace(&self.question)
    }
}

fn pace(question: &Question) -> Duration {
    question.pace.every.max(question.pace.patience())
}

impl SteadyState {
    /// Checks what the types alone do not say.
    pub(super) fn check(&self, experiment: &Experiment) -> Result<(), SteadyStateError> {
        let rto = self.objectives.rto;
        if !(Duration::from_secs(1)..=duration::LONGEST).contains(&rto) {
            return Err(SteadyStateError::Rto(rto));
        }
        if self
            .objectives
            .success
            .is_some_and(|share| share.0 == Threshold::NEVER)
        {
            return Err(SteadyStateError::NoSuccess);
        }
        let latency = self.objectives.latency.map(|latency| latency.within);
        let sensible = Duration::from_millis(1)..=duration::LONGEST;
        if let Some(within) = latency.filter(|within| !sensible.contains(within)) {
            return Err(SteadyStateError::Latency(within));
        }
        let probes = self.probes.len() + usize::from(self.detect.is_some());
        if probes > MOST_PROBES {
            return Err(SteadyStateError::TooMany(probes));
        }
        let length = experiment.duration().as_millis();
        let asked = |question: &Question| length / question.pace.every.as_millis().max(1);
        let questions = self.probes.iter().map(|probe| &probe.question);
        let of_detect = self.detect.iter().map(|detect| &detect.question);
        let answers = questions.chain(of_detect).map(asked).sum();
        if answers > MOST_ANSWERS {
            return Err(SteadyStateError::TooOften(answers));
        }
        self.check_operations(experiment)?;
        let roles = self.probes.iter().map(|probe| probe.role);
        let roles = roles.chain(self.operations.iter().map(|operation| operation.role));
        if !roles.into_iter().any(|role| role == ProbeRole::SteadyState) {
            return Err(SteadyStateError::NoProbe);
        }
        let mut names = HashSet::new();
        let operations = self.operations.iter().map(|operation| &operation.name);
        for name in self
            .probes
            .iter()
            .map(|probe| &probe.name)
            .chain(operations)
        {
            if !is_line(name) {
                return Err(SteadyStateError::Name(name.clone()));
            }
            if !names.insert(name) {
                return Err(SteadyStateError::SameName(name.clone()));
            }
        }
        for probe in &self.probes {
            let pace = probe.pace();
            if probe.mode != ProbeMode::Continuous {
                if probe.role == ProbeRole::Control {
                    return Err(SteadyStateError::ModeOfControl(probe.name.clone()));
                }
                // It is held to no time.
                continue;
            }
            if pace * ASKED_WITHIN_RTO > rto {
                return Err(SteadyStateError::TooSlow {
                    probe: probe.name.clone(),
                    pace,
                    rto,
                });
            }
            check_quiet(experiment, &probe.name, probe.calm())?;
        }
        self.check_detect(&names)?;
        ledger::check(&self.ledgers)?;
        Ok(())
    }

    fn check_detect(&self, names: &HashSet<&String>) -> Result<(), SteadyStateError> {
        let Some(detect) = &self.detect else {
            return match self.objectives.detect {
                Some(_) => Err(SteadyStateError::NoDetect),
                None => Ok(()),
            };
        };
        let name = &detect.name;
        if !is_line(name) {
            return Err(SteadyStateError::Name(name.clone()));
        }
        if names.contains(name) {
            return Err(SteadyStateError::SameName(name.clone()));
        }
        let Some(within) = self.objectives.detect else {
            return Ok(());
        };
        if !(Duration::from_secs(1)..=duration::LONGEST).contains(&within) {
            return Err(SteadyStateError::DetectTime(within));
        }
        let pace = detect.pace();
        if pace * ASKED_WITHIN_RTO > within {
            return Err(SteadyStateError::DetectTooSlow {
                probe: name.clone(),
                pace,
                within,
            });
        }
        Ok(())
    }

    fn check_operations(&self, experiment: &Experiment) -> Result<(), SteadyStateError> {
        if self.operations.len() > MOST_OPERATIONS {
            return Err(SteadyStateError::TooManyOperations(self.operations.len()));
        }
        let rto = self.objectives.rto;
        for operation in &self.operations {
            let name = operation.name.clone();
            let mut targets = experiment.targets.iter();
            if !targets.any(|target| target.name == operation.of) {
                let of = operation.of.clone();
                return Err(SteadyStateError::NoSuchTarget { name, of });
            }
            let within = operation.within;
            if within.is_some_and(|time| !(Duration::from_millis(1)..=rto).contains(&time)) {
                return Err(SteadyStateError::Within { name, rto });
            }
            check_quiet(experiment, &operation.name, CALM_TIME)?;
        }
        Ok(())
    }

    /// The operations of a target.
    pub fn operations_of<'s>(
        &'s self,
        target: &'s str,
    ) -> impl Iterator<Item = &'s NamedOperation> {
        let operations = self.operations.iter();
        operations.filter(move |operation| operation.of == target)
    }
}

/// Checks that the quiet times in front of the first fault and behind the last one are long enough for this.
fn check_quiet(
    experiment: &Experiment,
    name: &str,
    least: Duration,
) -> Result<(), SteadyStateError> {
    for (place, lasts) in [
        ("in front of the first fault", experiment.baseline()),
        ("behind the last fault", experiment.recovery()),
    ] {
        if lasts < least {
            return Err(SteadyStateError::TooShort {
                place,
                lasts,
                probe: name.to_owned(),
                least,
            });
        }
    }
    Ok(())
}

impl Step {
    /// How long it takes; none that is sure where it is a gate, which may open at once.
    fn sure_time(&self) -> Option<Duration> {
        self.gate.is_none().then_some(self.duration)
    }
}

impl Experiment {
    /// How long it is quiet in front of the first fault, or of the first command where those are tried.
    pub fn baseline(&self) -> Duration {
        let steps = self.steps.iter().enumerate();
        let quiet = steps.take_while(|(index, _)| !self.tries(*index));
        quiet.filter_map(|(_, step)| step.sure_time()).sum()
    }

    /// How long it is quiet behind the last of them.
    pub fn recovery(&self) -> Duration {
        let steps = self.steps.iter().enumerate().rev();
        // Commands at the very end try nothing.
        let steps = steps.skip_while(|(_, step)| step.runs());
        let quiet = steps.take_while(|(index, _)| !self.tries(*index));
        quiet.filter_map(|(_, step)| step.sure_time()).sum()
    }
}
