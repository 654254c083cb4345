//! The routes, each a few lines between HTTP and [`Control`].

use std::{os::fd::OwnedFd, sync::Arc};

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use tokio::sync::watch;

use super::{
    Control, Lifetime, OPENAPI, Resumed, Status, VERSION,
    body::Body,
    control::Tie,
    events, foreground,
    lanes::Lane,
    query::{Starting, Wanted},
    reply::Failure,
    survey::Survey,
};
use injector_engine::worker::AskedBy;
use injector_host::kernel::capability::Capability;
use injector_host::other_end::OtherEnd;
use injector_record::halt::Halt;
use injector_record::{
    journal::{self, ListedRun, RunId, RunState},
    report::RunReport,
};
use injector_spec::error::Refusal;

/// What the routes share.
pub(super) struct Daemon<C> {
    pub(super) control: C,
    /// What this machine offers.
    pub(super) survey: Survey,
    /// True once the server is told to end.
    pub(super) is_ending: watch::Receiver<bool>,
}

type Shared<C> = State<Arc<Daemon<C>>>;

/// Every route. The stream of events stands apart, since it alone has no time limit.
pub(super) fn routes<C: Control>() -> Vec<(&'static str, MethodRouter<Arc<Daemon<C>>>)> {
    vec![
        (
            "/v1/runs",
            get(list::<C>).post(start::<C>).delete(stop_all::<C>),
        ),
        ("/v1/runs/{id}", get(show::<C>).delete(stop::<C>)),
        ("/v1/halt", post(halt::<C>).delete(resume::<C>)),
        ("/v1/status", get(status::<C>)),
        ("/v1/doctor", get(doctor::<C>)),
        ("/v1/openapi.json", get(openapi)),
    ]
}

/// The stream of events.
pub(super) fn stream<C: Control>() -> (&'static str, MethodRouter<Arc<Daemon<C>>>) {
    ("/v1/events", get(events::<C>))
}

/// Many runs make a long text: it is made where journals are read, and not on the thread of the server.
async fn list<C: Control>(State(daemon): Shared<C>) -> Result<Response, Failure> {
    let runs = daemon.control.list().await?;
    let written = move || serde_json::to_vec(&runs);
    if let Ok(Ok(body)) = daemon.control.lanes().look.run(written).await {
        return Ok(json(Bytes::from(body)));
    }
    let sentence = "the list could not be written; the daemon's log says how";
    Err(Refusal::failed(sentence).into())
}

async fn show<C: Control>(
    State(daemon): Shared<C>,
    Path(run): Path<String>,
) -> Result<Json<ListedRun>, Failure> {
    let control = &daemon.control;
    find(control, &control.lanes().look, &run).await.map(Json)
}

async fn start<C: Control>(
    State(daemon): Shared<C>,
    Extension(by): Extension<AskedBy>,
    Extension(other_end): Extension<OtherEnd>,
    starting: Starting,
    body: Result<Body, Failure>,
) -> Result<Response, Failure> {
    let asked = body?.start(&starting.values)?;
    let tie = match starting.lifetime {
        Lifetime::Detached => Tie::None,
        Lifetime::Client => Tie::Process(client(&other_end, by)?),
    };
    let control = &daemon.control;
    let run = control.start(asked, by, tie).await?;
    let listed = find(control, &control.lanes().start, run.as_str()).await?;
    Ok((StatusCode::CREATED, Json(listed)).into_response())
}

/// The process that asks.
fn client(other_end: &OtherEnd, by: AskedBy) -> Result<OwnedFd, Refusal> {
    other_end.process(by.pid).map_err(|error| {
        Refusal::usage(format!(
            "the kernel does not tell whose end is to be the end of the run: {error}; start it without \
             `lifetime=client`, or from this host's own processes"
        ))
    })
}

/// A run of the daemon's own is ended without a look at any journal.
async fn stop<C: Control>(
    State(daemon): Shared<C>,
    Path(run): Path<String>,
) -> Result<Json<RunReport>, Failure> {
    let control = &daemon.control;
    if let Ok(run) = run.parse()
        && control.carries_out(&run)
    {
        return Ok(Json(control.stop(&run).await?));
    }
    let listed = find(control, &control.lanes().end, &run).await?;
    let (RunState::Running, Some(supervisor)) = (&listed.state, listed.supervisor) else {
        let sentence = format!("the run {run} is over already; `injector list` says how it ended");
        return Err(Refusal::clash(sentence).into());
    };
    // A run of a command in the foreground of a terminal.
    let stop = move || foreground::stop(&journal::directory(), &listed, supervisor);
    let stopped = control.lanes().end.run(stop).await;
    let broke =
        |_| Refusal::failed("ending the run broke; `injector list` tells whether it goes on");
    Ok(Json(stopped.map_err(broke)??))
}

async fn stop_all<C: Control>(State(daemon): Shared<C>) -> Result<Json<Vec<RunReport>>, Failure> {
    Ok(Json(daemon.control.stop_all().await?))
}

/// The body may be empty.
async fn halt<C: Control>(
    State(daemon): Shared<C>,
    Extension(by): Extension<AskedBy>,
    body: Result<Body, Failure>,
) -> Result<Json<Halt>, Failure> {
    let halt = Halt {
        by_uid: by.uid,
        by_pid: by.pid,
        login_uid: by.login_uid,
        since_unix_ms: journal::unix_ms(),
        reason: body?.halt()?.reason,
    };
    Ok(Json(daemon.control.halt(halt).await?))
}

async fn resume<C: Control>(
    State(daemon): Shared<C>,
    Extension(by): Extension<AskedBy>,
) -> Result<Json<Resumed>, Failure> {
    let was_halted = daemon.control.resume(by).await?;
    Ok(Json(Resumed { was_halted }))
}

async fn status<C: Control>(State(daemon): Shared<C>) -> Result<Json<Status>, Failure> {
    let mut running = daemon.control.list().await?;
    running.retain(|listed| listed.state == RunState::Running);
    Ok(Json(Status {
        version: VERSION.to_owned(),
        pid: std::process::id(),
        running,
        halted: daemon.control.halted().await?,
        schedule: daemon.control.schedule(),
    }))
}

async fn doctor<C: Control>(State(daemon): Shared<C>) -> Result<Json<Vec<Capability>>, Failure> {
    let control = Arc::clone(&daemon);
    let survey = move || async move { control.control.capabilities().await };
    Ok(Json(daemon.survey.ask(survey).await?))
}

async fn openapi() -> Response {
    json(OPENAPI)
}

fn json(body: impl Into<axum::body::Body>) -> Response {
    let body: axum::body::Body = body.into();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn events<C: Control>(
    State(daemon): Shared<C>,
    Wanted {
        run,
        hits,
        progress,
    }: Wanted,
) -> Result<Response, Failure> {
    let filter = events::Filter {
        run,
        hits,
        progress,
    };
    Ok(events::stream(
        daemon.control.events(),
        filter,
        daemon.is_ending.clone(),
    ))
}

async fn find<C: Control>(control: &C, lane: &Lane, run: &str) -> Result<ListedRun, Failure> {
    let known = match run.parse::<RunId>() {
        Ok(run) => control.find(&run, lane).await?,
        Err(_) => None,
    };
    known.ok_or_else(|| {
        let sentence =
            format!("there is no run `{run}`; `injector list` shows those that are known");
        Failure::new(StatusCode::NOT_FOUND, sentence)
    })
}
