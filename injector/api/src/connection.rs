//! One connection: HTTP/1 with limits on everything that the other end decides.
//!
//! It ends with the other end, not with what that sends: see [`OtherEnd`].

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response},
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
use injector_engine::worker::AskedBy;
use injector_host::other_end::OtherEnd;

/// The longest that the header of a request may take to arrive. It runs while a connection is idle, too,
/// so it is also the longest that a connection may say nothing.
const HEADER_LIMIT: Duration = Duration::from_secs(5);

/// The same for a caller that is not served anyway.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// The most bytes of a request's header, and of what is read ahead.
const BUFFER: usize = 16 * 1024;

/// The most fields of a header.
const FIELDS: usize = 64;

/// Who asks on a connection.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) asked_by: AskedBy,
    pub(super) right: Right,
}

impl Client {
    fn sign(&self, request: &mut Request<Incoming>, other_end: &OtherEnd) {
        let extensions = request.extensions_mut();
        extensions.insert(self.asked_by);
        extensions.insert(self.right);
        extensions.insert(other_end.clone());
    }
}

/// Serves a client until it leaves, breaks a limit, or the server ends.
pub(super) async fn serve(
    stream: UnixStream,
    router: Router,
    client: Client,
    place: Place,
    watcher: Watcher,
) {
    // Where no descriptor is left, the client is not served.
    let Ok(other_end) = OtherEnd::of(&stream) else {
        return;
    };
    let router = TowerToHyperService::new(router);
    let end = other_end.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        client.sign(&mut request, &end);
        router.call(request)
    });
    let io = TokioIo::new(Patience::new(stream, STALL_LIMIT));
    let connection = http(HEADER_LIMIT).serve_connection(io, service);
    tokio::select! {
        // A connection that breaks is the other end's affair.
        _ = watcher.watch(connection) => {}
        () = other_end.gone() => {}
    }
    drop(place);
}

/// Serves the first request where it ends something, and refuses any other; then closes.
pub(super) async fn serve_an_end(
    stream: UnixStream,
    router: Router,
    client: Client,
    failure: Failure,
    place: Place,
) {
    let Ok(other_end) = OtherEnd::of(&stream) else {
        return;
    };
    let end = other_end.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        client.sign(&mut request, &end);
        let refused = (!ends_something(&request)).then(|| failure.clone());
        let router = router.clone();
        async move {
            match refused {
                Some(failure) => Ok(failure.into_response()),
                None => router.call(request).await,
            }
        }
    });
    once(stream, service, &other_end).await;
    drop(place);
}

/// Answers the first request with the refusal, and closes.
pub(super) async fn refuse(stream: UnixStream, failure: Failure, place: Place) {
    let Ok(other_end) = OtherEnd::of(&stream) else {
        return;
    };
    let service = service_fn(move |_: Request<Incoming>| {
        let response: Response<Body> = failure.clone().into_response();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    once(stream, service, &other_end).await;
    drop(place);
}

/// One request, which has to come soon.
async fn once<S>(stream: UnixStream, service: S, other_end: &OtherEnd)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    let io = TokioIo::new(Patience::new(stream, REFUSAL_LIMIT));
    let connection = http(REFUSAL_LIMIT)
        .keep_alive(false)
        .serve_connection(io, service);
    tokio::select! {
        _ = connection => {}
        () = other_end.gone() => {}
    }
}

/// Whether a request is one for which there is always a place: it ends a run, all runs, or everything.
fn ends_something<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    match *request.method() {
        Method::DELETE => path == "/v1/runs" || path.starts_with("/v1/runs/"),
        Method::POST => path == "/v1/halt",
        _ => false,
    }
}

fn http(header_limit: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(header_limit)
        .half_close(true)
        .max_buf_size(BUFFER)
        .max_headers(FIELDS);
    builder
}
