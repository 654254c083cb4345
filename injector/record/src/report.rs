//! What a run did: to which targets, how often, and whether it had any effect.

mod connection;
mod fail_on;
mod note;
mod plugins;
mod reaction;
mod signs;
mod words;

pub use connection::{Connection, ConnectionState, MOST_NAMED};
pub use fail_on::FailOn;
use injector_common::rule::Counters;
use injector_plan::Picked;
pub use plugins::{MOST_ORPHANS, ORPHAN_MS, Orphan, PluginReaction, UNNOTICED_MS};
pub use reaction::{HUNG_MS, Left, REST_MS, Reaction, STORM};
use serde::{Deserialize, Serialize};
pub use signs::{Claimed, Handoff, Signs};

use crate::gate::GateReport;
use crate::journal::RunId;
use crate::measure::{Judgement, Verdict};
use crate::notice::Notice;
use crate::rollback::RolledBack;
use injector_spec::{
    error::Exit,
    experiment::{Described, Fault, Flaw, Target},
};

/// The report of one run. Its JSON is what `--json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// The experiment's name.
    pub name: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// From the first fault armed to the last one gone, in milliseconds.
    pub armed_for_ms: u64,
    /// Each fault, in the order of the experiment.
    pub faults: Vec<FaultReport>,
    /// What a person should know about the run as a whole.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// What the run says of its hypothesis; absent where the experiment has no steady state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Box<Judgement>>,
    /// What could not be restored; empty when everything was.
    pub undo_errors: Vec<String>,
    /// What became of the flaws on which the experiment fails, where it names some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_on: Option<Box<FailOn>>,
    /// What declared signs have told: whether a target handed over, and whether its success is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signs: Option<Box<Signs>>,
    /// How it was halted, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<Box<HaltReport>>,
    /// What its random picks came to, in the order of the targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub picked: Vec<Picked>,
    /// What became of the gates at which it has waited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateReport>,
    /// What the commands of its rollback came to, where it ended by a breach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollback: Vec<RolledBack>,
    /// Who was told of its end, and who could not be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Notice>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It took its whole time.
    Completed,
    /// A person ended it.
    Stopped,
    /// A target has ended, and `on-target-exit` says that the run ends then.
    #[serde(rename = "target-ended")]
    TargetEnded {
        /// Which, when, and how.
        why: String,
    },
    /// The steady state did not hold before the first fault, so there was none.
    Unsteady {
        /// What was wrong.
        why: String,
    },
    /// A gate stayed shut for all its time.
    #[serde(rename = "gate-shut")]
    GateShut {
        /// Which, and what was waited for.
        why: String,
    },
    /// A condition of the experiment, or a watchdog, ended it.
    Halted {
        /// Which, and why.
        why: String,
    },
    /// It broke.
    Failed {
        /// What, and why.
        why: String,
    },
}

/// How a word about a run is to be taken. A reader is shown it by colour, and never by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It is as it should be.
    Good,
    /// It proves nothing, or ended early.
    Doubtful,
    /// It is not as it should be.
    Bad,
    /// It goes on.
    Open,
}

impl Outcome {
    /// How it is to be taken.
    pub const fn tone(&self) -> Tone {
        match self {
            Self::Completed => Tone::Good,
            Self::Stopped
            | Self::TargetEnded { .. }
            | Self::Unsteady { .. }
            | Self::GateShut { .. } => Tone::Doubtful,
            Self::Halted { .. } | Self::Failed { .. } => Tone::Bad,
        }
    }
}

/// How fast a halted run came to its end. All times are from when the reason was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltReport {
    /// The condition; absent where a person halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// When it was seen, on the boot clock, in nanoseconds; where a person halted, when the last lease was
    /// ended.
    pub seen_boot_ns: u64,
    /// Until the last lease was ended in the kernel, in microseconds.
    pub disarmed_after_us: u64,
    /// Until the last hit, in microseconds; absent where none came after it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_hit_after_us: Option<u64>,
}

/// What one fault did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Its step.
    pub step: String,
    /// Its name, as in `net.delay`.
    pub fault: String,
    /// The name of its target.
    pub target: String,
    /// The mechanism that the planner chose.
    pub mechanism: String,
    /// Packets or calls that came from the target while it was on. A packet is an skb as the hook sees
    /// it, up to 64 KiB.
    pub seen: u64,
    /// Those that passed its filters.
    pub matched: u64,
    /// Those that it acted on.
    pub hit: u64,
    /// Those that it chose but could not act on; they went through unharmed.
    #[serde(default)]
    pub missed: u64,
    /// The first connections that it has hit, each as it was the moment before: of `net.reset`, 32 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<Connection>,
    /// What the target did about the requests that it met; of faults on requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaction: Option<Reaction>,
    /// What the target did about plug-ins of its that died, and what became of them where it ended; of `plugin` faults and
    /// `proc.kill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugins: Option<Box<PluginReaction>>,
    /// What a person should know about these numbers.
    pub note: Option<String>,
    /// What it was: all parameters and filters in force; empty in reports of earlier versions.
    #[serde(flatten)]
    pub described: Described,
}

impl RunReport {
    /// The report of a run that ended so, and of which nothing else is to be said.
    pub fn of(run: RunId, name: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            run,
            name: name.into(),
            outcome,
            armed_for_ms: 0,
            faults: Vec::new(),
            remarks: Vec::new(),
            judgement: None,
            undo_errors: Vec::new(),
            fail_on: None,
            signs: None,
            halt: None,
            picked: Vec::new(),
            gates: Vec::new(),
            rollback: Vec::new(),
            told: Vec::new(),
        }
    }

    /// The report with what could not be restored.
    #[must_use]
    pub fn with_undo_errors(mut self, errors: Vec<String>) -> Self {
        self.undo_errors.extend(errors);
        if let (Some(judgement), Some(error)) = (&mut self.judgement, self.undo_errors.first()) {
            judgement.verdict = Verdict::Unsafe(format!("not restored: {error}"));
        }
        self
    }

    /// In a word and with its reason, how it ended by a breach: it was halted, it broke, or it was unsafe. `None` where
    /// it ended otherwise, and there is nothing to put right.
    pub fn breach(&self) -> Option<(&'static str, &str)> {
        match &self.outcome {
            Outcome::Halted { why } => return Some(("halted", why)),
            Outcome::Failed { why } => return Some(("failed", why)),
            Outcome::Completed
            | Outcome::Stopped
            | Outcome::TargetEnded { .. }
            | Outcome::Unsteady { .. }
            | Outcome::GateShut { .. } => {}
        }
        match self.verdict() {
            Some(Verdict::Unsafe(why)) => Some(("unsafe", why)),
            Some(
                Verdict::Held
                | Verdict::Deviated(_)
                | Verdict::Halted(_)
                | Verdict::Inconclusive(_),
            )
            | None => self.undo_errors.first().map(|why| ("unsafe", why.as_str())),
        }
    }

    /// The exit code of a command that ends with this report: with a verdict, a pipeline is never green on nothing.
    pub fn exit(&self) -> Exit {
        if !self.undo_errors.is_empty() {
            return Exit::Failed;
        }
        match (&self.outcome, self.verdict()) {
            (Outcome::Failed { .. } | Outcome::Halted { .. }, _) => Exit::Failed,
            (_, Some(Verdict::Deviated(_) | Verdict::Halted(_) | Verdict::Unsafe(_))) => {
                Exit::Failed
            }
            (Outcome::Unsteady { .. } | Outcome::GateShut { .. }, _)
            | (_, Some(Verdict::Inconclusive(_))) => Exit::Inconclusive,
            (
                Outcome::Completed | Outcome::Stopped | Outcome::TargetEnded { .. },
                None | Some(Verdict::Held),
            ) => Exit::Done,
        }
    }
}

impl FaultReport {
    /// The report of a fault, with the note that its counters call for.
    pub fn new(
        step: &str,
        (fault, described): (&Fault, &Described),
        target: &Target,
        mechanism: &str,
        counted: Counters,
    ) -> Self {
        Self {
            step: step.to_owned(),
            fault: fault.kind.name().to_owned(),
            target: target.name.clone(),
            mechanism: mechanism.to_owned(),
            seen: counted.seen,
            matched: counted.matched,
            hit: counted.hit,
            missed: counted.missed,
            connections: Vec::new(),
            reaction: None,
            plugins: None,
            note: note::note(fault, counted),
            described: described.clone(),
        }
    }

    /// What the target did about it, in words.
    pub fn reactions(&self) -> Vec<String> {
        let of_requests = self.reaction.iter().flat_map(Reaction::words);
        let of_plugins = self.plugins.iter().flat_map(|reaction| reaction.words());
        of_requests.chain(of_plugins).collect()
    }

    /// What the target did wrong about it.
    pub fn flaws(&self) -> Vec<Flaw> {
        let of_requests = self.reaction.iter().flat_map(Reaction::flaws);
        let of_plugins = self.plugins.iter().flat_map(|reaction| reaction.flaws());
        of_requests.chain(of_plugins).collect()
    }

    /// Whether the target was brought into a place where it could show this flaw.
    pub(crate) fn could_show(&self, flaw: Flaw) -> bool {
        let of_requests = self.reaction.is_some_and(|one| one.could_show(flaw));
        of_requests || self.plugins.iter().any(|one| one.could_show(flaw))
    }

    /// The report with the connections that were hit.
    #[must_use]
    pub fn on_connections(mut self, connections: Vec<Connection>) -> Self {
        self.connections = connections;
        self
    }
}
