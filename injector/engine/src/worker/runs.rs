//! One run on a thread of its own.

use std::{
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
};

use crate::tell;
use crate::{
    executor::{self, Listening, Order, Request},
    guardian::Guardian,
    preflight::{Prepared, Terms, prepare},
    recorder::Recorder,
    supervisor::link::WorkerEnd,
    watchdog::Brake,
};
use injector_plan::policy::Override;
use injector_record::{
    event::RunEvent,
    journal::{Process, RunId},
    report::RunReport,
};
use injector_spec::{error::Refusal, experiment::Experiment};

/// The processes that a worker works with.
#[derive(Clone)]
pub struct Companions {
    /// The supervisor.
    pub link: Arc<WorkerEnd>,
    /// What writes to disks.
    pub recorder: Arc<Recorder>,
    /// What undoes changes where the worker cannot.
    pub guardian: Arc<Guardian>,
}

/// A run that goes on.
pub struct Running {
    /// Its name.
    pub run: RunId,
    /// Ends its leases at once.
    pub brake: Brake,
    /// Takes orders.
    pub orders: Sender<Order>,
    /// Ends with the run.
    pub thread: JoinHandle<Result<RunReport, Refusal>>,
}

/// Prepares a run and starts it. A refusal means that nothing was touched.
pub fn start(
    experiment: Experiment,
    terms: &Terms,
    supervisor: Option<Process>,
    companions: &Companions,
    mut tell: impl FnMut(RunEvent) + Send + 'static,
) -> Result<Running, Refusal> {
    let (
        Prepared {
            experiment,
            targets,
            plan,
            verdict,
            budget,
            opens_tls,
            escalation,
            chain,
            admission,
            config,
        },
        start_lock,
        swept,
    ) = prepare(experiment, terms, &companions.recorder)?;
    for left in swept {
        tell::aside(format!("injector: {left}."));
    }
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
        scheduled: terms.scheduled.clone(),
        radius: verdict.radius,
        budget,
        opens_tls,
        escalation,
        chain,
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
    let companions = companions.clone();
    let thread = std::thread::Builder::new()
        .name("run".into())
        .spawn(move || {
            let surroundings = executor::Surroundings {
                fd_store: companions.link.as_ref(),
                recorder: &companions.recorder,
                guardian: companions.guardian,
            };
            executor::execute(request, start_lock, surroundings, &inbox, &mut tell)
        })
        .map_err(|error| Refusal::failed(format!("a thread cannot be started: {error}.")))?;
    Ok(Running {
        run,
        brake,
        orders,
        thread,
    })
}
