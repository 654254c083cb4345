//! The server: takes connections, finds out who calls, and serves or refuses them.
//!
//! Nothing here may slow what is armed. The watchdog and the runs have threads of their own; this is one
//! thread, with a bounded number of connections, each with bounded buffers and bounded time.
//!
//! Rejected: `axum::serve`, which sets no limits on connections, headers or time.

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    Access, Control,
    admission::{Admission, Admitted},
    connection::{self, Client},
    peer::Caller,
    permission::{compare_versions, one_host, only_what_is_allowed},
    reply::Failure,
    routes::{Daemon, routes, stream},
    survey::Survey,
    words,
};

/// The largest body: an experiment with the most rules is a tenth of it.
const BODY_LIMIT: usize = 256 * 1024;

/// The longest that a request may take, its body included. Ending a run may take 8 s.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The longest that the server waits for its clients when it ends.
const ENDING_LIMIT: Duration = Duration::from_secs(2);

/// How long to wait where no connection can be taken: there are no descriptors left, say.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `end` comes to pass, then ends the streams of events and the idle connections.
///
/// `control` is shared with the caller, who goes on to stop its runs.
pub async fn serve<C: Control>(
    listener: UnixListener,
    control: C,
    access: Access,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (ending, is_ending) = watch::channel(false);
    let router = router(Arc::new(Daemon {
        control,
        survey: Survey::default(),
        is_ending,
    }));
    let admission = Admission::default();
    let connections = GracefulShutdown::new();
    tokio::pin!(end);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut end => break,
        };
        match accepted {
            Ok((stream, _)) => receive(stream, &router, &access, &admission, &connections),
            Err(error) if is_passing(&error) => sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
    // There may be no connection left; then there is none to tell.
    let _ = ending.send(true);
    // A client that neither reads nor leaves must not keep the daemon.
    let _ = timeout(ENDING_LIMIT, connections.shutdown()).await;
    Ok(())
}

/// Decides what becomes of a connection; never waits.
fn receive(
    stream: UnixStream,
    router: &Router,
    access: &Access,
    admission: &Admission,
    connections: &GracefulShutdown,
) {
    let ours = rustix::process::geteuid().as_raw();
    // A caller that the kernel does not name has no right.
    let caller = Caller::of(&stream).ok();
    let right = caller
        .as_ref()
        .and_then(|caller| access.right(caller, ours));
    match (admission.admit(right), caller) {
        (Admitted::Served(right, place), Some(Caller { asked_by, .. })) => {
            let client = Client { asked_by, right };
            let (router, watcher) = (router.clone(), connections.watcher());
            tokio::spawn(connection::serve(stream, router, client, place, watcher));
        }
        (Admitted::InCrowd(right, failure, place), Some(Caller { asked_by, .. })) => {
            let client = Client { asked_by, right };
            let router = router.clone();
            tokio::spawn(connection::serve_an_end(
                stream, router, client, failure, place,
            ));
        }
        (Admitted::Refused(failure, place), _) => {
            tokio::spawn(connection::refuse(stream, failure, place));
        }
        (Admitted::Closed | Admitted::Served(..) | Admitted::InCrowd(..), _) => {}
    }
}

/// Whether accept(2) may work again later: too many open files, no memory, or a client that has left.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EMFILE
                | libc::ENFILE
                | libc::ENOMEM
                | libc::ENOBUFS
                | libc::ECONNABORTED
                | libc::EINTR
        )
    )
}

fn router<C: Control>(daemon: Arc<Daemon<C>>) -> Router {
    let add = |router: Router<_>, (path, methods)| router.route(path, methods);
    let (path, events) = stream();
    let timed = routes()
        .into_iter()
        .fold(Router::new(), add)
        .layer(from_fn(in_time));
    timed
        .route(path, events)
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(only_what_is_allowed))
        .layer(from_fn(one_host))
        .layer(from_fn(compare_versions))
        .layer(from_fn(words::of_the_client))
        .with_state(daemon)
}

async fn in_time(request: Request, next: Next) -> Response {
    timeout(REQUEST_LIMIT, next.run(request)).await.unwrap_or_else(|_| {
        let sentence = "the request took longer than 30 s and was given up; `injector status` tells what \
                        became of it";
        Failure::new(StatusCode::REQUEST_TIMEOUT, sentence).into_response()
    })
}

async fn nothing_here(request: Request) -> Failure {
    let path = request.uri().path();
    let version = path.split('/').nth(1).unwrap_or_default();
    let is_version = version.len() > 1
        && version.starts_with('v')
        && version[1..].bytes().all(|byte| byte.is_ascii_digit());
    let sentence = if is_version && version != "v1" {
        "this daemon speaks version v1 of the interface and no other; use a client of the daemon's version, \
         or restart the daemon from the client's build"
    } else {
        "there is nothing at this path; /v1/openapi.json describes what there is"
    };
    Failure::new(StatusCode::NOT_FOUND, sentence)
}

async fn wrong_method() -> Failure {
    let sentence =
        "this path does not know this method; /v1/openapi.json describes those that it knows";
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, sentence)
}
