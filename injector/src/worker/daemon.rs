//! The daemon: runs on behalf of others, asked for over the socket.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Sender},
};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::{broadcast, watch},
    task::spawn_blocking,
};

use super::{AskedBy, Output, runs};
use crate::{
    api::{self, Access, Control, StartRequest},
    cli::tell,
    config::Source,
    error::{Exit, Refusal},
    event::{RunEvent, What},
    executor::Order,
    journal::{self, Journal, Record, RunId},
    lever::{self, Halt, LeverError},
    policy::Door,
    prepare::Terms,
    privilege,
    report::RunReport,
    supervisor::link::WorkerEnd,
    watchdog::Brake,
};

/// How many things that happen a slow listener may fall behind before it misses some.
const BACKLOG: usize = 4_096;

/// How many requests may wait for the disk or for a run to be armed at once, each on a thread of its own.
const BLOCKING: usize = 16;

/// Serves requests until it is told to end, then ends its runs.
pub(super) fn run(output: Output, config: Source, link: &Arc<WorkerEnd>) -> Result<Exit, Refusal> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()
        .map_err(|error| broken("the runtime cannot be started", &error))?;
    runtime.block_on(async {
        let path = api::socket_path();
        let access = Access::of(&config.load()?.socket)?;
        let listener = api::bind(&path, access)?;
        listener
            .set_nonblocking(true)
            .map_err(|error| broken("the socket cannot be used", &error))?;
        let listener = tokio::net::UnixListener::from_std(listener)
            .map_err(|error| broken("the socket cannot be used", &error))?;
        let mut term = signal(SignalKind::terminate())
            .map_err(|error| broken("signals cannot be listened to", &error))?;
        link.serving()?;
        let (events, _) = broadcast::channel(BACKLOG);
        let daemon = Daemon {
            link: Arc::clone(link),
            config,
            runs: Arc::default(),
            events,
        };
        if output == Output::Text {
            tell::result(format!("listening on {}", path.display()));
        }
        let served = api::serve(listener, daemon.clone(), access, async move {
            term.recv().await;
        })
        .await;
        // The runs end whether or not serving them did so well.
        let stopped = daemon.stop_all().await;
        let _ = std::fs::remove_file(&path);
        served.map_err(|error| broken("the socket broke", &error))?;
        stopped.map(|_| Exit::Done)
    })
}

fn broken(what: &str, error: &io::Error) -> Refusal {
    Refusal::failed(format!("{what}: {error}."))
}

/// A run's end, once it is there.
type End = Option<Result<RunReport, Refusal>>;

/// A run that the daemon carries out.
struct Entry {
    brake: Brake,
    orders: Sender<Order>,
    end: watch::Receiver<End>,
}

/// A run that was just started.
struct Launched {
    run: RunId,
    /// Becomes true when it is armed.
    armed: watch::Receiver<bool>,
    end: watch::Receiver<End>,
}

/// The daemon, as its requests share it.
#[derive(Clone)]
struct Daemon {
    link: Arc<WorkerEnd>,
    /// Read anew for each run.
    config: Source,
    runs: Arc<Mutex<BTreeMap<RunId, Entry>>>,
    events: broadcast::Sender<RunEvent>,
}

impl Daemon {
    fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Entry>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a run on threads of its own. Returns its name, and what becomes true when it is armed.
    fn launch(&self, asked: StartRequest, by: AskedBy) -> Result<Launched, Refusal> {
        let StartRequest {
            experiment,
            overrides,
        } = asked;
        let terms = Terms {
            asked_by: by,
            door: Door::Daemon,
            overrides,
            config: self.config.clone(),
        };
        let (armed, is_armed) = watch::channel(false);
        let (ended, end) = watch::channel(None);
        let events = self.events.clone();
        let running = runs::start(experiment, &terms, None, &self.link, move |event| {
            if matches!(event.what, What::Armed { .. }) {
                armed.send_replace(true);
            }
            // Nobody has to listen.
            let _ = events.send(event);
        })?;
        let run = running.run.clone();
        let entry = Entry {
            brake: running.brake.clone(),
            orders: running.orders,
            end: end.clone(),
        };
        self.runs().insert(run.clone(), entry);
        let daemon = self.clone();
        let name = run.clone();
        let waiter = std::thread::Builder::new()
            .name("run-end".into())
            .spawn(move || {
                let result = running.thread.join().unwrap_or_else(|_| {
                    Err(Refusal::failed(
                        "the run broke; what it had armed ended with it.",
                    ))
                });
                daemon.runs().remove(&name);
                privilege::give_back();
                ended.send_replace(Some(result));
            });
        waiter.map_err(|error| broken("a thread cannot be started", &error))?;
        Ok(Launched {
            run,
            armed: is_armed,
            end,
        })
    }

    /// Ends the leases of every run of the daemon at once; the runs notice and end in good order.
    fn pull_brakes(&self) {
        let brakes: Vec<Brake> = self
            .runs()
            .values()
            .map(|entry| entry.brake.clone())
            .collect();
        brakes.iter().for_each(Brake::pull);
    }

    /// Orders an end and waits for it.
    async fn end(&self, run: &RunId) -> Result<RunReport, Refusal> {
        let entry = self
            .runs()
            .get(run)
            .map(|entry| (entry.orders.clone(), entry.end.clone()));
        let Some((orders, mut end)) = entry else {
            return Err(Refusal::usage(format!(
                "the daemon has no run {run}; `injector list` shows those that there are"
            )));
        };
        // A run that is about to end takes no orders.
        let _ = orders.send(Order::Stop);
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| end.clone()).unwrap_or_else(|| {
            Err(Refusal::failed(format!(
                "the run {run} broke; what it had armed ended with it."
            )))
        })
    }
}

/// Puts it on record, after the fact: the lever does not wait for a disk.
fn note(record: &Record) {
    if let Err(error) = Journal::note(&lever::journal(&journal::directory()), record) {
        tell::aside(format!("injector: this is not on record: {error}"));
    }
}

impl Control for Daemon {
    async fn start(&self, asked: StartRequest, by: AskedBy) -> Result<RunId, Refusal> {
        let daemon = self.clone();
        let launched = spawn_blocking(move || daemon.launch(asked, by)).await;
        let Launched {
            run,
            mut armed,
            mut end,
        } = launched.map_err(|error| {
            Refusal::failed(format!(
                "starting the run broke: {error}; nothing is armed."
            ))
        })??;
        tokio::select! {
            // The sender goes with the run's thread; then the other branch has the reason.
            Ok(_) = armed.wait_for(|armed| *armed) => Ok(run),
            ended = end.wait_for(Option::is_some) => {
                match ended.ok().and_then(|end| end.clone()) {
                    Some(Err(refusal)) => Err(refusal),
                    _ => Ok(run),
                }
            }
        }
    }

    async fn stop(&self, run: &RunId) -> Result<RunReport, Refusal> {
        self.end(run).await
    }

    async fn stop_all(&self) -> Result<Vec<RunReport>, Refusal> {
        let names: Vec<RunId> = self.runs().keys().cloned().collect();
        let mut reports = Vec::new();
        for run in names {
            // One that ended meanwhile by itself is no failure.
            if let Ok(report) = self.end(&run).await {
                reports.push(report);
            }
        }
        Ok(reports)
    }

    /// The leases come first: the lever's disk may be slow, full, or gone.
    async fn halt(&self, halt: Halt) -> Result<Halt, Refusal> {
        self.pull_brakes();
        let pulled = spawn_blocking(move || -> Result<Halt, LeverError> {
            let directory = journal::directory();
            let pulled = lever::pull(&directory, halt.clone())?;
            // Whoever was first has it on record.
            if pulled == halt {
                note(&Record::Halted { halt });
            }
            Ok(pulled)
        })
        .await;
        // And those that were armed meanwhile.
        self.pull_brakes();
        let broke = |error| {
            Refusal::failed(format!(
                "pulling the lever broke: {error}; the daemon's runs have ended"
            ))
        };
        Ok(pulled.map_err(broke)??)
    }

    async fn resume(&self, by: AskedBy) -> Result<Option<Halt>, Refusal> {
        let released = spawn_blocking(move || -> Result<Option<Halt>, LeverError> {
            let released = lever::release(&journal::directory())?;
            if released.is_some() {
                let AskedBy { uid, pid } = by;
                note(&Record::Resumed {
                    by_uid: uid,
                    by_pid: pid,
                });
            }
            Ok(released)
        })
        .await;
        let broke =
            |error| Refusal::failed(format!("releasing the lever broke: {error}; try again"));
        Ok(released.map_err(broke)??)
    }

    fn events(&self) -> broadcast::Receiver<RunEvent> {
        self.events.subscribe()
    }
}
