//! What a person asks for, validated: targets, steps, faults.
//!
//! An [`Experiment`] is the same whether it came from one command, from a file or through the API. It
//! says nothing about this machine: that names resolve and mechanisms exist is the planner's to find out.
//!
//! Invariants, which [`Experiment::check`] enforces wherever one enters the program: one to
//! [`SCOPES`] targets with distinct names, or none where commands are all that is tried; one to [`MOST_STEPS`] steps, one
//! of them with a fault or a command; every duration
//! between 1 ms and [`LONGEST`]; every fault's target exists; a target has at most [`SLOTS`] faults; there are
//! at most [`MOST_CONDITIONS`] halt conditions; no name is longer than [`LONGEST_NAME`].
//!
//! Rejected: types whose fields are private and whose constructors validate. The planner, the report
//! and the tests all take experiments apart; one check at each door costs less than forty getters.

mod blast_radius;
mod call;
mod check;
mod describe;
mod document;
mod fault;
pub mod file;
mod filters;
mod fingerprint;
pub mod flaw;
mod gate;
pub mod head;
pub(crate) mod host;
pub mod ledger;
pub(crate) mod method;
pub mod operation;
mod path;
mod pick;
mod probe_mode;
pub mod quality;
mod ramp;
pub mod rollback;
pub(crate) mod settings;
pub mod sign;
pub mod stage;
pub mod steady_state;
mod target;
pub(crate) mod timing;
mod traffic;
mod tried;
mod varied;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

pub use blast_radius::BlastRadius;
pub use call::{CallFaultError, CallMechanism, Calls, FdKind};
pub use check::CheckError;
pub use describe::{Described, Placed};
pub use document::Document;
pub use fault::Fault;
pub use filters::{FilterError, LONGEST_HOLD};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use flaw::Flaw;
pub use gate::{Gate, GateError};
pub use head::{Assignment, HeadError, Variables};
pub use host::HostError;
pub use injector_common::{SCOPES, SLOTS};
pub use ledger::{Ledger, LedgerError, Rpo, Source};
pub use operation::{NamedOperation, OperationKind, Ratio, RatioError};
pub use path::{Depth, FilePattern, Presence};
pub use pick::Pick;
pub use probe_mode::{Phase, ProbeMode};
pub use quality::{Latency, Quantile};
pub(crate) use ramp::decided;
pub use ramp::{Amount, CannotRamp, Parameter, Ramp, RampError, Shape};
pub use rollback::{RollbackCommand, RollbackError};
pub use settings::Settings;
pub use sign::{Declared, Sign, SignError, Success};
pub use stage::{Earlier, Ground, Stage, StageError};
pub use steady_state::{Detect, NamedProbe, Objectives, ProbeRole, SteadyState, SteadyStateError};
pub use target::{Follow, Many, OnTargetExit, Selector, Target};
pub use timing::{Span, TimingError};
pub use traffic::{Activity, Chance, Connections, Direction, GUARDED_PORTS, Protocol, Traffic};
pub use varied::{ParameterPath, Setting, Values, Varied, VariedError, WhichFault};

pub use crate::faults::{
    About, ActsOn, CallDamage, CallDelay, CallError, Fate, FaultKind, Filling, Interface,
    LONGEST_CHAIN, LONGEST_SLEEP, ModelRequests, OnCalls, OnLookUps, OnModels, OnPackets,
    OnPlugins, OnProcesses, OnRequests, OnTools, PluginNameError, PluginNames, Plugins,
    ProcessFaultError, Provider, Realism, RequestsBy, Respawn, SleepAt, Sleeps, THROUGH_THE_RELAY,
    ToolCallError, ToolCalls,
    dns_delay::DnsDelay,
    dns_error::{DnsAnswer, DnsError},
    io_corrupt::IoCorrupt,
    io_error::IoError,
    io_latency::IoLatency,
    io_short::CallShort,
    llm_cut::{Cut, Ending},
    llm_empty::Empty,
    llm_error::ModelError,
    llm_malformed::Malformed,
    llm_overload::Overload,
    llm_rate_limit::{Limit, RateLimit},
    llm_slow::Slow,
    llm_stall::Stall,
    llm_timeout::{Fulfilment, Timeout},
    llm_wrong_model::WrongModel,
    net_bandwidth::Bandwidth,
    net_connect::Connect,
    net_corrupt::{Corrupt, CorruptMode},
    net_delay::{Delay, Distribution},
    net_loss::Loss,
    net_partition::{Partition, Peer},
    net_reorder::Reorder,
    pipe_corrupt::PipeCorrupt,
    pipe_delay::PipeDelay,
    pipe_error::PipeError,
    pipe_stall::PipeStall,
    plugin_crash_loop::PluginCrashLoop,
    plugin_hang::PluginHang,
    plugin_kill::PluginKill,
    plugin_pipe_held_death::PluginPipeHeldDeath,
    plugin_slow_start::PluginSlowStart,
    plugin_torn_line::PluginTornLine,
    proc_kill::{Interval, Kill},
    proc_kill_at_call::KillAtCall,
    proc_pause::{Pause, Pulse},
    proc_starve::Starve,
    sys_delay::SysDelay,
    sys_error::SysError,
    tool_corrupt::{Damage, ToolCorrupt},
    tool_empty::ToolEmpty,
    tool_error::{RpcCode, ToolError},
    tool_inject::ToolInject,
    tool_is_error::ToolIsError,
    tool_schema_mismatch::{ShapeChange, ToolSchemaMismatch},
    tool_slow::ToolSlow,
    tool_stale::ToolStale,
    tool_timeout::ToolTimeout,
};
pub use crate::quantity::duration::LONGEST;
use crate::{condition::Condition, config::Channel, escalation::EscalationStep};

/// The most steps: each has records in the journal, and rows in the report.
pub const MOST_STEPS: usize = 1000;

/// The most halt conditions: each probe among them has a thread.
pub const MOST_CONDITIONS: usize = 32;

/// The longest name of an experiment, a target or a step, in characters.
pub const LONGEST_NAME: usize = 128;

/// A validated experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What reports and lists call it.
    pub name: String,
    /// What is expected to hold, in a person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypothesis: Option<String>,
    /// Whom to ask about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it is found by: a key and a value each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The values that its file was read with; absent where that has no variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<Box<Variables>>,
    /// The stage of its file that it is; absent where that has no stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Box<Stage>>,
    /// What is measured around the faults; where it is there, the run is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady_state: Option<Box<SteadyState>>,
    /// How far it may reach by its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast_radius: Option<Box<BlastRadius>>,
    /// Who is put through it; the position is the scope.
    pub targets: Vec<Target>,
    /// What happens, one after the other.
    pub steps: Vec<Step>,
    /// What ends it before its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub halt: Vec<Condition>,
    /// What it does when a target has ended.
    #[serde(default, skip_serializing_if = "OnTargetExit::is_usual")]
    pub on_target_exit: OnTargetExit,
    /// What is run, one after the other, where it ended by a breach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollback: Vec<RollbackCommand>,
    /// Which notifiers of the host hear of a breach; none are named where all of them do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Channel>,
    /// Flaws of a target on which the run fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fail_on: Vec<Flaw>,
    /// What is declared of the targets, so that their silence and their claims can be judged; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Box<Declared>>,
    /// Whom decisions about it are asked of, in order; where none are named, those whom the host's configuration names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate: Vec<EscalationStep>,
}

/// Faults that are on together, for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the journal and the report call it.
    pub name: String,
    /// How long the faults stay on, counted from when the first of them is armed.
    #[serde(with = "crate::quantity::duration")]
    pub duration: Duration,
    /// The faults; none means a quiet time, to measure a baseline or a recovery.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What it waits for, where it is a gate step, and the command of a step that runs one: it has no faults then, and its duration is how long it waits at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

impl Experiment {
    /// The time that all steps take together.
    pub fn duration(&self) -> Duration {
        self.steps.iter().map(|step| step.duration).sum()
    }

    /// The time that a fault has, which begins with this step.
    pub fn span(&self, step: usize, fault: &Fault) -> Span {
        let from = || self.steps.iter().skip(step).map(|step| step.duration);
        Span {
            on: from().take(fault.stays_on.saturating_add(1)).sum(),
            left: from().sum(),
        }
    }

    /// The time of the steps behind one, until the end of another.
    pub fn between(&self, step: usize, last: usize) -> Duration {
        let behind = self.steps.iter().skip(step.saturating_add(1));
        let behind = behind.take(last.saturating_sub(step));
        behind.map(|step| step.duration).sum()
    }

    /// Whether no fault is on in a step: none begins with it, and none stays on from an earlier one.
    pub fn is_quiet(&self, step: usize) -> bool {
        let until = self.steps.iter().enumerate().take(step + 1);
        let mut last =
            until.flat_map(|(own, step)| step.faults.iter().map(move |one| one.last_step(own)));
        last.all(|last| last < step)
    }

    /// Every fault with its step, in the order of the file.
    pub fn faults(&self) -> impl Iterator<Item = (&Step, &Fault)> {
        self.placed().map(|(_, step, fault)| (step, fault))
    }

    /// The same, with the place of the step.
    pub fn placed(&self) -> impl Iterator<Item = (usize, &Step, &Fault)> {
        let steps = self.steps.iter().enumerate();
        steps.flat_map(|(index, step)| step.faults.iter().map(move |fault| (index, step, fault)))
    }

    /// What is seen where a target hands over to a person, where that is declared.
    pub fn handoff(&self) -> Option<&Sign> {
        self.declared.as_ref()?.handoff.as_ref()
    }

    /// What success is, where that is declared.
    pub fn success(&self) -> Option<&Success> {
        self.declared.as_ref()?.success.as_ref()
    }

    /// The signs that are looked for: how a target hands over, how it claims success, and the effects of that.
    pub fn signs(&self) -> impl Iterator<Item = &Sign> {
        let success = self.success().into_iter();
        let claimed = success.flat_map(|success| success.claim.iter().chain(&success.effects));
        self.handoff().into_iter().chain(claimed)
    }

    /// Whether a fault may end processes of a target, by its place.
    pub fn may_end(&self, target: usize) -> bool {
        let mut its = self.faults().filter(|(_, fault)| fault.target == target);
        its.any(|(_, fault)| fault.kind.may_end_processes())
    }
}
