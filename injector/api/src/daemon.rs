//! The daemon: runs on behalf of others, asked for over the socket, and of its own schedule.

mod schedule;

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Sender},
};

use tokio::{
    runtime::Builder,
    sync::{broadcast, watch},
};

use crate::{Access, Bound, Control, Lanes, ScheduleStatus, StartRequest, Tie};
use injector_engine::{
    executor::Order,
    kill_switch,
    preflight::Terms,
    recorder::Recorder,
    schedule as scheduling, tell,
    watchdog::Brake,
    worker::{AskedBy, Companions, Endings, Output, login_uid, start},
};
use injector_host::{other_end, privilege};
use injector_plan::policy::Door;
use injector_record::{
    configuration,
    event::{EventKind, RunEvent},
    halt::Halt,
    journal::{self, Record, RunId},
    report::RunReport,
    scheduled::Scheduled,
};
use injector_spec::{
    config::Source,
    error::{Exit, Refusal},
};

/// How many things that happen a slow listener may fall behind before it misses some.
const BACKLOG: usize = 4_096;

/// Serves requests until it is told to end, then ends its runs.
pub fn run(output: Output, config: Source, companions: &Companions) -> Result<Exit, Refusal> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(crate::THREADS)
        .build()
        .map_err(|error| broken("the runtime cannot be started", &error))?;
    runtime.block_on(async {
        // Before the socket is there: from then on others take it for a daemon that ends in good order.
        let mut endings = Endings::listen()?;
        let path = crate::socket_path();
        let configured = configuration::load(&config)?;
        let access = Access::of(&configured.socket)?;
        let scheduled = scheduling::checked(&configured, &config)?;
        let Bound { listener, file } = crate::bind(&path, access)?;
        let listener = tokio::net::UnixListener::from_std(listener)
            .map_err(|error| broken("the socket cannot be used", &error))?;
        for left in companions.recorder.sweep()? {
            tell::aside(format!("injector: {left}."));
        }
        companions.link.serving()?;
        let (events, _) = broadcast::channel(BACKLOG);
        let daemon = Daemon {
            companions: companions.clone(),
            config,
            runs: Arc::default(),
            lanes: Lanes::default(),
            events,
            // Before it is asked for the first time: one that is on is never told as off.
            schedule: Arc::new(Mutex::new(scheduled.as_ref().map(schedule::undrawn))),
        };
        let scheduled = scheduled.map(|it| tokio::spawn(daemon.clone().keep_schedule(it)));
        if output == Output::Text {
            tell::result(format!("listening on {}", path.display()));
        }
        let served = crate::serve(listener, daemon.clone(), access, async move {
            endings.next().await;
        })
        .await;
        // It starts no run between the end of all others and that of the process.
        if let Some(scheduled) = scheduled {
            scheduled.abort();
            daemon.settle_schedule().await;
        }
        // The runs end whether or not serving them did so well.
        let stopped = daemon.stop_all().await;
        // One that stays is replaced by the next daemon.
        let _ = file.remove();
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
    companions: Companions,
    /// Read anew for each run.
    config: Source,
    runs: Arc<Mutex<BTreeMap<RunId, Entry>>>,
    lanes: Lanes,
    events: broadcast::Sender<RunEvent>,
    /// What the schedule is at; `None` where it is off.
    schedule: Arc<Mutex<Option<ScheduleStatus>>>,
}

impl Daemon {
    fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Entry>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a run on threads of its own. Returns its name, and what becomes true when it is armed.
    fn launch(
        &self,
        asked: StartRequest,
        by: AskedBy,
        tie: Tie,
        scheduled: Option<Scheduled>,
    ) -> Result<Launched, Refusal> {
        let by = AskedBy {
            login_uid: login_uid(by.pid, by.uid),
            ..by
        };
        let StartRequest {
            experiment,
            overrides,
        } = asked;
        let terms = Terms {
            asked_by: by,
            door: Door::Daemon,
            overrides,
            config: self.config.clone(),
            scheduled,
        };
        let (armed, is_armed) = watch::channel(false);
        let (ended, end) = watch::channel(None);
        let events = self.events.clone();
        let running = start(experiment, &terms, None, &self.companions, move |event| {
            if matches!(event.what, EventKind::Armed { .. }) {
                armed.send_replace(true);
            }
            // No client has to listen.
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
        if let Tie::Process(process) = tie {
            tokio::spawn(self.clone().end_with(process, run.clone(), end.clone()));
        }
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

    /// Ends a run when the process behind a pidfd ends, if that comes first.
    async fn end_with(self, process: OwnedFd, run: RunId, mut end: watch::Receiver<End>) {
        // One that cannot be watched could end unseen, which is worse than a run that ends early.
        let gone = other_end::ended(process);
        let is_over = async { drop(end.wait_for(Option::is_some).await) };
        let is_abandoned = tokio::select! {
            () = gone => true,
            () = is_over => false,
        };
        if is_abandoned {
            // One that ended meanwhile by itself is no failure.
            let _ = self.end(&run).await;
        }
    }

    /// Orders an end and waits for it.
    async fn end(&self, run: &RunId) -> Result<RunReport, Refusal> {
        let entry = self
            .runs()
            .get(run)
            .map(|entry| (entry.orders.clone(), entry.end.clone()));
        let Some((orders, mut end)) = entry else {
            return Err(Refusal::clash(format!(
                "the run {run} is over already; `injector list` says how it ended"
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

/// Puts it on record, after the fact: the kill switch does not wait for a disk.
fn note(recorder: &Recorder, record: &Record) {
    recorder.note(&kill_switch::journal(&journal::directory()), record);
}

impl Control for Daemon {
    fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    async fn start(&self, asked: StartRequest, by: AskedBy, tie: Tie) -> Result<RunId, Refusal> {
        let daemon = self.clone();
        let launch = move || daemon.launch(asked, by, tie, None);
        let launched = self.lanes.start.run(launch).await;
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

    fn carries_out(&self, run: &RunId) -> bool {
        self.runs().contains_key(run)
    }

    async fn stop(&self, run: &RunId) -> Result<RunReport, Refusal> {
        self.end(run).await
    }

    async fn stop_all(&self) -> Result<Vec<RunReport>, Refusal> {
        let names: Vec<RunId> = {
            let runs = self.runs();
            // Together, so that no run's end waits for another's.
            for entry in runs.values() {
                let _ = entry.orders.send(Order::Stop);
            }
            runs.keys().cloned().collect()
        };
        let mut reports = Vec::new();
        for run in names {
            // One that ended meanwhile by itself is no failure.
            if let Ok(report) = self.end(&run).await {
                reports.push(report);
            }
        }
        Ok(reports)
    }

    /// The leases come first: the kill switch's disk may be slow, full, or gone.
    async fn halt(&self, halt: Halt) -> Result<Halt, Refusal> {
        self.pull_brakes();
        let recorder = Arc::clone(&self.companions.recorder);
        let pulled = self
            .lanes
            .kill_switch
            .run(move || -> Result<Halt, Refusal> {
                let pulled = recorder.pull_kill_switch(&journal::directory(), &halt)?;
                // The first is on record already.
                if pulled == halt {
                    note(&recorder, &Record::Halted { halt });
                }
                Ok(pulled)
            })
            .await;
        // And those that were armed meanwhile.
        self.pull_brakes();
        let broke = |error| {
            Refusal::failed(format!(
                "pulling the kill switch broke: {error}; the daemon's runs have ended"
            ))
        };
        pulled.map_err(broke)?
    }

    async fn resume(&self, by: AskedBy) -> Result<Option<Halt>, Refusal> {
        let recorder = Arc::clone(&self.companions.recorder);
        let released = self
            .lanes
            .kill_switch
            .run(move || -> Result<Option<Halt>, Refusal> {
                let released = recorder.release_kill_switch(&journal::directory())?;
                if released.is_some() {
                    let AskedBy { uid, pid, .. } = by;
                    let record = Record::Resumed {
                        by_uid: uid,
                        by_pid: pid,
                    };
                    note(&recorder, &record);
                }
                Ok(released)
            })
            .await;
        let broke = |error| {
            Refusal::failed(format!(
                "releasing the kill switch broke: {error}; try again"
            ))
        };
        released.map_err(broke)?
    }

    fn schedule(&self) -> Option<ScheduleStatus> {
        self.standing().clone()
    }

    fn events(&self) -> broadcast::Receiver<RunEvent> {
        self.events.subscribe()
    }
}
