//! One connection: HTTP/1 with limits on everything that the other end decides.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    response::IntoResponse,
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::Watcher,
    service::TowerToHyperService,
};
use tokio::net::UnixStream;

use super::{
    access::Right,
    admission::Place,
    patience::{Patience, STALL_LIMIT},
    reply::Failure,
};
use crate::worker::AskedBy;

/// The longest that the header of a request may take to arrive. It runs while a connection is idle, too,
/// so it is also the longest that a connection may say nothing.
const HEADER_LIMIT: Duration = Duration::from_secs(5);

/// The same for a caller that is not served anyway.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// The most bytes of a request's header, and of what is read ahead.
const BUFFER: usize = 16 * 1024;

/// The most fields of a header.
const FIELDS: usize = 64;

/// Serves a caller until it leaves, breaks a limit, or the server ends.
pub(super) async fn serve(
    stream: UnixStream,
    router: Router,
    caller: AskedBy,
    right: Right,
    place: Place,
    watcher: Watcher,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(right);
        router.call(request)
    });
    let io = TokioIo::new(Patience::new(stream, STALL_LIMIT));
    let connection = http(HEADER_LIMIT).serve_connection(io, service);
    // A connection that breaks is the other end's affair.
    let _ = watcher.watch(connection).await;
    drop(place);
}

/// Answers the first request with the refusal, and closes.
pub(super) async fn refuse(stream: UnixStream, failure: Failure, place: Place) {
    let service = service_fn(move |_: Request<Incoming>| {
        let response: Response<Body> = failure.clone().into_response();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let io = TokioIo::new(Patience::new(stream, REFUSAL_LIMIT));
    let connection = http(REFUSAL_LIMIT)
        .keep_alive(false)
        .serve_connection(io, service);
    let _ = connection.await;
    drop(place);
}

fn http(header_limit: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(header_limit)
        .max_buf_size(BUFFER)
        .max_headers(FIELDS);
    builder
}
