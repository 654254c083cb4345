//! Refusals as responses: `{"error": "...", "exit": N}` with the status that fits.
//!
//! 400 is for what is no request of this interface, as its document describes them. 422 is for one that is,
//! and cannot be carried out: what no document can say, and what this host does not allow.

use axum::{
    Json,
    extract::rejection::BytesRejection,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use injector_spec::error::{Exit, Ground, Refusal};

/// A refusal and its status.
#[derive(Clone, Debug)]
pub struct Failure {
    status: StatusCode,
    refusal: Refusal,
}

impl Failure {
    /// The sentences.
    pub fn message(&self) -> &str {
        &self.refusal.message
    }

    pub(super) fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self {
            status,
            refusal: Refusal::usage(sentence),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = match (refusal.ground, refusal.exit) {
            (Ground::Clash, _) => StatusCode::CONFLICT,
            (Ground::Request, Exit::Unsafe) => StatusCode::FORBIDDEN,
            (Ground::Request, Exit::Usage) => StatusCode::UNPROCESSABLE_ENTITY,
            (Ground::Request, Exit::Failed | Exit::Done | Exit::Inconclusive) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self { status, refusal }
    }
}

impl From<BytesRejection> for Failure {
    fn from(rejection: BytesRejection) -> Self {
        let sentence = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                "the body is larger than 256 KiB; send a smaller experiment"
            }
            _ => "the body did not arrive whole; send it again",
        };
        Self::new(rejection.status(), sentence)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self.refusal)).into_response();
        response.extensions_mut().insert(self.refusal);
        response
    }
}
