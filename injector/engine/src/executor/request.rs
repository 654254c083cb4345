//! What a run is made from, and what it may be told.

use std::sync::Arc;

use injector_host::targets::ResolvedTarget;
use injector_plan::{
    Plan,
    policy::{Override, Radius},
};
use injector_record::{
    journal::{Process, RunId},
    scheduled::Scheduled,
};
use injector_spec::{
    config::{ConfigFile, Escalation, OpensTls},
    experiment::Experiment,
};

use super::budget::Budget;
use crate::{
    admission::Admission, effects::namespace::Listening, escalation::Chain, fd_store::FdStore,
    guardian::Guardian, recorder::Recorder, watchdog::Brake,
};

/// What a run is made from.
pub struct Request {
    /// Its name.
    pub run: RunId,
    /// What was asked.
    pub experiment: Experiment,
    /// The targets, in the experiment's order.
    pub targets: Vec<ResolvedTarget>,
    /// How it will be done.
    pub plan: Plan,
    /// Who asked: user id and process id.
    pub asked_by: (u32, u32),
    /// The user who logged in and became theirs.
    pub login_uid: Option<u32>,
    /// The file that set the limits.
    pub config: Option<ConfigFile>,
    /// The limits of this host that they lifted, with what each would have refused.
    pub overrides: Vec<(Override, Option<String>)>,
    /// What the schedule has drawn, where it asked.
    pub scheduled: Option<Scheduled>,
    /// How far it reaches.
    pub radius: Radius,
    /// What it may use up.
    pub budget: Budget,
    /// What the relay opens TLS by.
    pub opens_tls: Option<OpensTls>,
    /// Who is told where it is halted or breaks.
    pub escalation: Escalation,
    /// Whom decisions are asked of.
    pub chain: Chain,
    /// How targets that are made again are let in.
    pub admission: Admission,
    /// What ends its leases at once.
    pub brake: Brake,
    /// The process to signal to stop it; `None` in the daemon.
    pub supervisor: Option<Process>,
    /// What `tell` is to be told.
    pub listening: Listening,
}

/// The processes that stand beside a run.
pub struct Surroundings<'s> {
    /// Keeps what must not vanish with this process.
    pub fd_store: &'s dyn FdStore,
    /// Writes to the disk.
    pub recorder: &'s Recorder,
    /// Undoes what this process cannot.
    pub guardian: Arc<Guardian>,
}

/// What a run may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End now, in good order.
    Stop,
}
