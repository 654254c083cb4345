//! Bodies: in time, whole, of a kind that is known, and read as the document describes them.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use tokio::time::timeout;

use super::{
    HaltRequest, StartRequest,
    json::{self, JsonError},
    reply::Failure,
    wire::StartBody,
};
use injector_spec::{
    error::Refusal,
    experiment::{Values, file::Reading},
};

/// The longest that a body may take to arrive: it comes from this host, and is a megabyte at most.
const WITHIN: Duration = Duration::from_secs(5);

/// A body that has arrived whole and in time, and what it says that it is.
pub(super) struct Body {
    bytes: Bytes,
    headers: HeaderMap,
}

/// The kinds of bodies there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`: an experiment file.
    Yaml,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let headers = request.headers().clone();
        match timeout(WITHIN, Bytes::from_request(request, state)).await {
            Ok(bytes) => Ok(Self {
                bytes: bytes?,
                headers,
            }),
            Err(_) => Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive within 5 s; send it in one go",
            )),
        }
    }
}

impl Body {
    /// A request for a run, an experiment file read with these values.
    pub(super) fn start(&self, values: &Values) -> Result<StartRequest, Failure> {
        read(self.format()?, &self.bytes, values)
    }

    /// A request to halt; the body may be empty.
    pub(super) fn halt(&self) -> Result<HaltRequest, Failure> {
        if self.bytes.is_empty() {
            return Ok(HaltRequest::default());
        }
        if self.format()? != Format::Json {
            return Err(unknown_kind());
        }
        let asked: HaltRequest = json::read(&self.bytes).map_err(unread)?;
        match &asked.reason {
            Some(reason) if reason.chars().count() > HaltRequest::LONGEST => {
                Err(malformed(format!(
                    "the reason is longer than {} characters; write a shorter one",
                    HaltRequest::LONGEST
                )))
            }
            _ => Ok(asked),
        }
    }

    /// What it says that it is. One that says nothing could be anything.
    fn format(&self) -> Result<Format, Failure> {
        let mut said = self.headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(one), None) = (said.next(), said.next()) else {
            return Err(unknown_kind());
        };
        let kind = one.to_str().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/json" => Ok(Format::Json),
            "application/yaml" | "application/x-yaml" | "text/yaml" => Ok(Format::Yaml),
            _ => Err(unknown_kind()),
        }
    }
}

fn unknown_kind() -> Failure {
    let sentence = "the body is of a kind that is not read here; send JSON with the header \
                    `content-type: application/json`, or an experiment file to /v1/runs with \
                    `content-type: application/yaml`";
    Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence)
}

/// JSON that is no request, or one in which a text says nothing that it could say there: which durations or
/// conditions there are, no schema can tell.
fn unread(error: JsonError) -> Failure {
    match error {
        JsonError::Content(complaint) if complaint.is_of_a_text() => {
            Refusal::usage(complaint.to_string()).into()
        }
        JsonError::Content(_) | JsonError::Syntax { .. } => malformed(error),
    }
}

fn malformed(why: impl std::fmt::Display) -> Failure {
    let sentence = format!("{why} (/v1/openapi.json describes each request)");
    Failure::new(StatusCode::BAD_REQUEST, sentence)
}

/// An experiment as JSON, or as the YAML of a file.
pub fn read(format: Format, body: &[u8], values: &Values) -> Result<StartRequest, Failure> {
    if format == Format::Yaml {
        let text = std::str::from_utf8(body)
            .map_err(|_| malformed("the body is not UTF-8; send the experiment as UTF-8"))?;
        let (sets, parameters) = values.sorted();
        let reading = Reading {
            name: "experiment.yaml",
            selector: None,
            sets: &sets,
            profile: values.profile.as_deref(),
            stage: values.stage_choice(),
            parameters: &parameters,
            ..Reading::default()
        };
        return Ok(StartRequest {
            experiment: reading.text(text).map_err(Refusal::from)?,
            overrides: Vec::new(),
        });
    }
    let asked: StartBody = json::read(body).map_err(unread)?;
    Ok(asked.read(values).map_err(Refusal::from)?)
}
