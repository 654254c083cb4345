//! What a request is checked for before a route sees it: the client's version, the host that it names, and
//! the caller's right.

use axum::{
    Extension,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{VERSION, VERSION_HEADER, access::Right, reply::Failure};
use injector_spec::error::Refusal;

/// Lets those who may only look do nothing else.
///
/// Methods are the line: GET changes nothing in this interface. Without a right there is no extension,
/// and the request is refused by axum itself.
pub(super) async fn only_what_is_allowed(
    Extension(right): Extension<Right>,
    request: Request,
    next: Next,
) -> Response {
    let only_looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if right == Right::ReadOnly && !only_looks {
        let sentence = "you are in the group that may look and not act; use sudo, or ask for membership of \
                        the group that may";
        return Failure::from(Refusal::endangers(sentence)).into_response();
    }
    next.run(request).await
}

/// Refuses a request that names two hosts, or none, as RFC 9112 (section 3.2) asks of a server. Which one it
/// names says nothing on a socket that has a path: any will do.
pub(super) async fn one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    // HTTP/1.0 has no such field.
    if hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11 {
        return next.run(request).await;
    }
    let sentence = "a request has one field `host`, and this one has none or several; send one";
    Failure::new(StatusCode::BAD_REQUEST, sentence).into_response()
}

/// Tells our version, and refuses a client that says it is of another.
pub(super) async fn compare_versions(request: Request, next: Next) -> Response {
    let theirs = request
        .headers()
        .get(VERSION_HEADER)
        // What is no text could be anything; it is a version that is not ours.
        .map(|value| value.to_str().unwrap_or("?"));
    let mut response = match theirs {
        Some(theirs) if theirs != VERSION => {
            let theirs: String = theirs.chars().take(32).collect();
            let sentence = format!(
                "the daemon is version {VERSION} and this command is version {theirs}; restart the daemon \
                 from the same build"
            );
            Failure::new(StatusCode::BAD_REQUEST, sentence).into_response()
        }
        _ => next.run(request).await,
    };
    response
        .headers_mut()
        .insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    response
}
