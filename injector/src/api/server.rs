//! The server.

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use tokio::{net::UnixListener, sync::watch, time::timeout};

use super::{
    Control,
    peer::{Peer, admit, compare_versions},
    reply::Failure,
    routes::{Daemon, routes, stream},
};

/// The largest body: an experiment with the most rules is a tenth of it.
const BODY_LIMIT: usize = 1024 * 1024;

/// The longest that a request may take, its body included. Ending a run may take 8 s.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The longest that the server waits for its clients when it ends.
const ENDING_LIMIT: Duration = Duration::from_secs(2);

/// Serves until `end` comes to pass, then ends the streams of events and the idle connections.
///
/// `control` is shared with the caller, who goes on to stop its runs.
pub async fn serve<C: Control>(
    listener: UnixListener,
    control: C,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (ending, is_ending) = watch::channel(false);
    let mut ended = is_ending.clone();
    let service = router(Arc::new(Daemon { control, is_ending }))
        .into_make_service_with_connect_info::<Peer>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        end.await;
        // Nobody may listen any more; then there is nobody to tell.
        let _ = ending.send(true);
    });
    let server = server.into_future();
    tokio::pin!(server);
    tokio::select! {
        result = &mut server => return result,
        _ = ended.wait_for(|ending| *ending) => {}
    }
    // A client that neither reads nor leaves must not keep the daemon.
    timeout(ENDING_LIMIT, server).await.unwrap_or(Ok(()))
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
        .layer(from_fn(compare_versions))
        .layer(from_fn(admit))
        .with_state(daemon)
}

async fn in_time(request: Request, next: Next) -> Response {
    timeout(REQUEST_LIMIT, next.run(request)).await.unwrap_or_else(|_| {
        let sentence = "the request took longer than 30 s and was given up; `injector status` tells what \
                        became of it";
        Failure::new(StatusCode::REQUEST_TIMEOUT, sentence).into_response()
    })
}

async fn nothing_here() -> Failure {
    let sentence = "there is nothing at this path; /v1/openapi.json describes what there is";
    Failure::new(StatusCode::NOT_FOUND, sentence)
}

async fn wrong_method() -> Failure {
    let sentence =
        "this path does not know this method; /v1/openapi.json describes those that it knows";
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, sentence)
}
