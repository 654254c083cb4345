//! The routes, each a few lines between HTTP and [`Control`].

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{FromRequest, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use serde::Deserialize;
use tokio::{sync::watch, time::timeout};

use super::{
    Control, HaltRequest, OPENAPI, Resumed, StartRequest, Status, VERSION, events, foreground,
    reply::Failure,
};
use crate::{
    error::Refusal,
    experiment::file,
    journal::{self, ListedRun, RunId, RunState},
    kernel::capability::Capability,
    lever::Halt,
    report::RunReport,
    worker::AskedBy,
};

/// The longest that a body may take to arrive: it comes from this host, and is a megabyte at most.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// A body that has arrived whole and in time.
struct Body(Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match timeout(BODY_WITHIN, Bytes::from_request(request, state)).await {
            Ok(body) => Ok(Self(body?)),
            Err(_) => Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive within 5 s; send it in one go",
            )),
        }
    }
}

/// What the routes share.
pub(super) struct Daemon<C> {
    pub(super) control: C,
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

async fn list<C: Control>(State(daemon): Shared<C>) -> Result<Json<Vec<ListedRun>>, Failure> {
    Ok(Json(daemon.control.list().await?))
}

async fn show<C: Control>(
    State(daemon): Shared<C>,
    Path(run): Path<String>,
) -> Result<Json<ListedRun>, Failure> {
    find(&daemon.control, &run).await.map(Json)
}

async fn start<C: Control>(
    State(daemon): Shared<C>,
    Extension(by): Extension<AskedBy>,
    headers: HeaderMap,
    body: Result<Body, Failure>,
) -> Result<Response, Failure> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let asked = read(content_type, &body?.0)?;
    let run = daemon.control.start(asked, by).await?;
    let listed = find(&daemon.control, run.as_str()).await?;
    Ok((StatusCode::CREATED, Json(listed)).into_response())
}

async fn stop<C: Control>(
    State(daemon): Shared<C>,
    Path(run): Path<String>,
) -> Result<Json<RunReport>, Failure> {
    let listed = find(&daemon.control, &run).await?;
    if listed.state != RunState::Running {
        let sentence = format!("the run {run} is over already; `injector list` says how it ended");
        return Err(Failure::new(StatusCode::CONFLICT, sentence));
    }
    let Some(supervisor) = listed.supervisor else {
        return Ok(Json(daemon.control.stop(&listed.run).await?));
    };
    // A run in the foreground of somebody's terminal.
    let stop = move || foreground::stop(&journal::directory(), &listed, supervisor);
    let stopped = tokio::task::spawn_blocking(stop).await;
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
    let HaltRequest { reason } = halting(&body?.0)?;
    let halt = Halt {
        by_uid: by.uid,
        by_pid: by.pid,
        since_unix_ms: journal::unix_ms(),
        reason,
    };
    Ok(Json(daemon.control.halt(halt).await?))
}

fn halting(body: &[u8]) -> Result<HaltRequest, Refusal> {
    if body.is_empty() {
        return Ok(HaltRequest::default());
    }
    let asked: HaltRequest = serde_json::from_slice(body).map_err(|error| {
        Refusal::usage(format!(
            "the body is no request to halt: {error}; send `{{\"reason\": \"...\"}}`, or nothing"
        ))
    })?;
    match &asked.reason {
        Some(reason) if reason.len() > HaltRequest::LONGEST => Err(Refusal::usage(format!(
            "the reason is longer than {} bytes; write a shorter one",
            HaltRequest::LONGEST
        ))),
        _ => Ok(asked),
    }
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
    }))
}

async fn doctor<C: Control>(State(daemon): Shared<C>) -> Result<Json<Vec<Capability>>, Failure> {
    Ok(Json(daemon.control.capabilities().await?))
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// Which events are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only those of this run.
    run: Option<RunId>,
    /// Hits too; they may be many.
    #[serde(default = "yes")]
    hits: bool,
}

const fn yes() -> bool {
    true
}

async fn events<C: Control>(
    State(daemon): Shared<C>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Failure> {
    let Query(Wanted { run, hits }) = wanted.map_err(|error| {
        let sentence = format!(
            "{}; write `run=RUN` and `hits=true` or `hits=false`",
            error.body_text()
        );
        Failure::new(StatusCode::BAD_REQUEST, sentence)
    })?;
    let filter = events::Filter { run, hits };
    Ok(events::stream(
        daemon.control.events(),
        filter,
        daemon.is_ending.clone(),
    ))
}

async fn find<C: Control>(control: &C, run: &str) -> Result<ListedRun, Failure> {
    let known = control
        .list()
        .await?
        .into_iter()
        .find(|listed| listed.run.as_str() == run);
    known.ok_or_else(|| {
        let sentence =
            format!("there is no run `{run}`; `injector list` shows those that are known");
        Failure::new(StatusCode::NOT_FOUND, sentence)
    })
}

/// An experiment as JSON, or as the YAML of a file where the content type says so:
/// `curl --data-binary @FILE -H 'content-type: application/yaml'`.
pub(crate) fn read(content_type: Option<&str>, body: &[u8]) -> Result<StartRequest, Refusal> {
    if content_type.is_some_and(|content_type| content_type.contains("yaml")) {
        let text = std::str::from_utf8(body)
            .map_err(|_| Refusal::usage("the body is not UTF-8; send the experiment as UTF-8"))?;
        return Ok(StartRequest {
            experiment: file::parse(text, "experiment.yaml", None)?,
            overrides: Vec::new(),
        });
    }
    let asked: StartRequest = serde_json::from_slice(body).map_err(|error| {
        let sentence = "the body is no request for a run";
        Refusal::usage(format!(
            "{sentence}: {error}; /v1/openapi.json describes one"
        ))
    })?;
    asked
        .experiment
        .check()
        .map_err(|error| Refusal::usage(error.to_string()))?;
    Ok(asked)
}
