//! One run on a thread of its own.

use std::{
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
};

use crate::{
    error::Refusal,
    event::RunEvent,
    executor::{self, Keeper, Listening, Order, Request},
    experiment::Experiment,
    journal::{Process, RunId},
    policy::Override,
    prepare::{Prepared, Terms, prepare},
    report::RunReport,
    watchdog::Brake,
};

/// A run that goes on.
pub(super) struct Running {
    /// Its name.
    pub(super) run: RunId,
    /// Ends its leases at once.
    pub(super) brake: Brake,
    /// Takes orders.
    pub(super) orders: Sender<Order>,
    /// Ends with the run.
    pub(super) thread: JoinHandle<Result<RunReport, Refusal>>,
}

/// Prepares a run and starts it. A refusal means that nothing was touched.
pub(super) fn start<K: Keeper + 'static>(
    experiment: Experiment,
    terms: &Terms,
    supervisor: Option<Process>,
    keeper: &Arc<K>,
    mut tell: impl FnMut(RunEvent) + Send + 'static,
) -> Result<Running, Refusal> {
    let (
        Prepared {
            experiment,
            targets,
            plan,
            verdict,
            budget,
            escalation,
            admission,
            config,
        },
        entrance,
    ) = prepare(experiment, terms)?;
    let lifted = |limit: &Override| (limit.clone(), verdict.lifted_by(limit));
    let overrides = terms.overrides.iter().map(lifted).collect();
    let brake = Brake::default();
    let run = RunId::generate()
        .map_err(|error| Refusal::failed(format!("a run cannot be named: {error}.")))?;
    let request = Request {
        run: run.clone(),
        experiment,
        targets,
        plan,
        asked_by: (terms.asked_by.uid, terms.asked_by.pid),
        login_uid: terms.asked_by.login_uid,
        config,
        overrides,
        radius: verdict.radius,
        budget,
        escalation,
        admission,
        brake: brake.clone(),
        supervisor,
        // Only the daemon has an audience for them.
        listening: if supervisor.is_none() {
            Listening::ToHits
        } else {
            Listening::ToTurns
        },
    };
    let (orders, inbox) = mpsc::channel();
    let keeper = Arc::clone(keeper);
    let thread = std::thread::Builder::new()
        .name("run".into())
        .spawn(move || executor::execute(request, entrance, keeper.as_ref(), &inbox, &mut tell))
        .map_err(|error| Refusal::failed(format!("a thread cannot be started: {error}.")))?;
    Ok(Running {
        run,
        brake,
        orders,
        thread,
    })
}
