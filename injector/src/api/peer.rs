//! Who is calling, as the kernel tells it.

use std::sync::Arc;

use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    middleware::Next,
    response::{IntoResponse, Response},
    serve::IncomingStream,
};
use tokio::net::UnixListener;

use super::{VERSION, VERSION_HEADER, reply::Failure};
use crate::{error::Refusal, worker::AskedBy};

/// The caller of a connection; `None` where the kernel would not say.
#[derive(Clone, Debug)]
pub(super) struct Peer(Option<Arc<AskedBy>>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred().ok();
        Self(credentials.map(|credentials| {
            // A process that our PID namespace does not show has no id here, and no ancestors to protect.
            let pid = credentials
                .pid()
                .and_then(|pid| u32::try_from(pid).ok())
                .unwrap_or(0);
            Arc::new(AskedBy {
                uid: credentials.uid(),
                pid,
            })
        }))
    }
}

/// Lets root and the daemon's own user in, and nobody else; passes the caller on to the routes.
pub(super) async fn admit(
    ConnectInfo(Peer(caller)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let ours = rustix::process::geteuid().as_raw();
    match caller {
        Some(caller) if caller.uid == 0 || caller.uid == ours => {
            request.extensions_mut().insert(*caller);
            next.run(request).await
        }
        _ => {
            let sentence = "this socket serves root and the daemon's own user only; use sudo";
            Failure::from(Refusal::endangers(sentence)).into_response()
        }
    }
}

/// Tells our version, and refuses a client that says it is of another.
pub(super) async fn compare_versions(request: Request, next: Next) -> Response {
    let theirs = request
        .headers()
        .get(VERSION_HEADER)
        .map(|value| value.to_str().unwrap_or("?"));
    let mut response = match theirs {
        Some(theirs) if theirs != VERSION => {
            let sentence = format!(
                "the daemon is version {VERSION} and this command is version {theirs}; restart the daemon \
                 from the same build"
            );
            Failure::from(Refusal::usage(sentence)).into_response()
        }
        _ => next.run(request).await,
    };
    response.headers_mut().insert(
        VERSION_HEADER,
        axum::http::HeaderValue::from_static(VERSION),
    );
    response
}
