//! Refusals as responses: `{"error": "...", "exit": N}` with the status that fits.

use axum::{
    Json,
    extract::rejection::BytesRejection,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::error::{Exit, Refusal};

/// A refusal and its status.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    status: StatusCode,
    refusal: Refusal,
}

impl Failure {
    pub(super) fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self {
            status,
            refusal: Refusal::usage(sentence),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.exit {
            Exit::Unsafe => StatusCode::FORBIDDEN,
            Exit::Usage => StatusCode::BAD_REQUEST,
            Exit::Failed | Exit::Done => StatusCode::INTERNAL_SERVER_ERROR,
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
        (self.status, Json(self.refusal)).into_response()
    }
}
