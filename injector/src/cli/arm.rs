//! Commands that arm: rehearsed, handed to the daemon where there is one, or carried out here.

use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Arming, Rehearsal, watch::Seat};
use injector_api::{Client, Lifetime, StartRequest, client::Told, socket_path};
use injector_engine::{
    dashboard::Wish,
    live,
    tell::{self, Narrator},
};
use injector_engine::{
    preflight::{self, Terms},
    supervisor,
    worker::{AskedBy, Job, Output, Showing, login_uid},
};
use injector_host::targets::process::TaskKey;
use injector_plan::policy::{Door, Override, Radius};
use injector_record::configuration;
use injector_record::journal::{self, Process, RunId, RunState};
use injector_spec::{
    config::Source,
    error::{Exit, Refusal},
    experiment::{Experiment, Placed},
    printable,
};

/// Does what was asked and returns the exit code.
pub fn arm(arming: Arming) -> Result<Exit, Refusal> {
    let Arming {
        experiment,
        rehearsal,
        overrides,
        config,
        output,
        showing,
    } = arming;
    let terms = terms(overrides, config);
    if rehearsal != Rehearsal::No {
        return Ok(rehearse(&experiment, &terms, rehearsal, output));
    }
    let runtime = super::runtime()?;
    if let Some(client) = runtime.block_on(Client::connect(&socket_path()))? {
        let overrides = terms.overrides;
        let asked = StartRequest {
            experiment,
            overrides,
        };
        return runtime.block_on(through(&client, &asked, (output, showing)));
    }
    drop(runtime);
    here(experiment, terms, (output, showing))
}

/// Who asks, under which limits.
pub(super) fn terms(overrides: Vec<Override>, config: Source) -> Terms {
    let (uid, pid) = (rustix::process::getuid().as_raw(), std::process::id());
    Terms {
        asked_by: AskedBy {
            uid,
            pid,
            login_uid: login_uid(pid, uid),
        },
        door: Door::OneShot,
        overrides,
        config,
        scheduled: None,
    }
}

/// Becomes the daemon's supervisor, where this host lets there be one.
pub fn daemon(config: Source, output: Output) -> Result<Exit, Refusal> {
    if !configuration::load(&config)?.daemon.enabled {
        return Err(Refusal::endangers(format!(
            "the daemon is not enabled on this host; set `enabled = true` under [daemon] in {} and list the \
             cgroups that it may touch (`allow`), or let root run commands that arm without a daemon.",
            config.path().display()
        )));
    }
    supervisor::run(&Job::Daemon { output, config })
}

/// What `--dry-run --json` prints.
#[derive(Serialize)]
struct Rehearsed<'a> {
    plan: Option<&'a str>,
    /// The same as data; without a plan, what was asked.
    faults: &'a [Placed],
    radius: Option<&'a Radius>,
    refusal: Option<&'a Refusal>,
}

/// Prints the plan, and the refusal that a run would meet: a fact about this machine at this moment, and
/// no failure of the experiment unless the person says so.
fn rehearse(experiment: &Experiment, terms: &Terms, rehearsal: Rehearsal, output: Output) -> Exit {
    let (plan, faults, radius, refusal) = match preflight::dry_run(experiment, terms) {
        Ok(dry_run) => {
            let radius = Some(dry_run.radius);
            (Some(dry_run.text), dry_run.faults, radius, dry_run.refusal)
        }
        Err(refusal) => (None, experiment.describe(), None, Some(refusal)),
    };
    match output {
        Output::Json => {
            tell::json(&Rehearsed {
                plan: plan.as_deref(),
                faults: &faults,
                radius: radius.as_ref(),
                refusal: refusal.as_ref(),
            });
        }
        Output::Text => {
            plan.iter().for_each(tell::result);
            match &refusal {
                Some(refusal) => tell::result(format!("a run would be refused now: {refusal}")),
                None => tell::result("a run could start now; nothing was touched"),
            }
        }
    }
    match refusal {
        Some(_) if rehearsal == Rehearsal::StrictDryRun => Exit::Unsafe,
        _ => Exit::Done,
    }
}

/// Becomes the run's supervisor.
fn here(
    experiment: Experiment,
    terms: Terms,
    (output, showing): (Output, Showing),
) -> Result<Exit, Refusal> {
    let pid = terms.asked_by.pid;
    let TaskKey { start_ticks, .. } = TaskKey::of(pid)?;
    let directory = journal::directory();
    if directory.to_str().is_none() {
        return Err(Refusal::usage(format!(
            "the state directory {} is not UTF-8, and journals are; set INJECTOR_STATE_DIR to another one.",
            printable::path(&directory)
        )));
    }
    supervisor::run(&Job::Run {
        experiment: Box::new(experiment),
        output,
        showing,
        terms,
        supervisor: Process { pid, start_ticks },
    })
}

/// Hands the run to the daemon, prints what it tells, and ends it when this command is ended.
async fn through(
    client: &Client,
    asked: &StartRequest,
    (output, showing): (Output, Showing),
) -> Result<Exit, Refusal> {
    let mut narrator = Narrator::of(&asked.experiment, output, showing);
    let mut seat = Seat::for_run(&asked.experiment, output, showing);
    let mut anew = super::watch::every(live::EVERY);
    // Both before the start: no turn may be missed, and this command must listen for Ctrl-C by then.
    let mut interrupts = Interrupts::new()?;
    let mut events = client.turns_and_progress().await?;
    // Killed without a word, this command takes its run along.
    let run = client.start(asked, Lifetime::Client).await?.run;
    let report = loop {
        let told = tokio::select! {
            told = events.next() => told?,
            _ = anew.tick() => {
                seat.draw();
                tell::draw_live();
                continue;
            }
            wish = seat.wish() => match wish {
                Wish::Halt => break client.stop(&run).await?,
                // The dashboard stays with its run, and its command does not stand still.
                Wish::Leave | Wish::Suspend => continue,
            },
            () = interrupts.next() => break client.stop(&run).await?,
        };
        match told {
            Some(Told::Event(event)) if event.run == run => {
                seat.turn(&event);
                narrator.turn(&event);
                if let injector_record::event::EventKind::Ended { report } = event.what {
                    break report;
                }
            }
            Some(Told::Event(_)) => {}
            // The end may be among what was lost.
            Some(Told::Lost) => {
                let listed = client.show(&run).await?;
                if listed.state != RunState::Running {
                    break listed.report.ok_or_else(|| no_report(&run))?;
                }
            }
            None => return Err(gone(&run)),
        }
    };
    drop(seat);
    tell::report(&report, output);
    Ok(report.exit())
}

fn no_report(run: &RunId) -> Refusal {
    Refusal::failed(format!(
        "the run {run} broke off without a report; `injector list` says how"
    ))
}

fn gone(run: &RunId) -> Refusal {
    Refusal::failed(format!(
        "the daemon has ended, and the run {run} with it; `injector list` says how the run ended"
    ))
}

/// The signals by which a person, a terminal or an init system ends a command.
pub(super) struct Interrupts([Signal; 4]);

impl Interrupts {
    pub(super) fn new() -> Result<Self, Refusal> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Refusal::failed(format!("signals cannot be listened to: {error}; try again"))
            })
        };
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            // Ctrl-\, which would leave the terminal in the dashboard's mode.
            SignalKind::quit(),
        ];
        let [interrupt, terminate, hangup, quit] = kinds.map(listen);
        Ok(Self([interrupt?, terminate?, hangup?, quit?]))
    }

    pub(super) async fn next(&mut self) {
        let [interrupt, terminate, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}
