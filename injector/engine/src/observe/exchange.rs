//! One request and its answer, as they are told.

use std::time::Duration;

use serde::Serialize;

use super::body::Mark;

/// A request that has come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When the target began to write it, on the boot clock, in nanoseconds.
    pub began_ns: u64,
    /// The process.
    pub pid: u32,
    /// The name of the thread that wrote it.
    pub name: String,
    /// How it was heard.
    pub through: Through,
    /// The method, as in `POST`.
    pub method: String,
    /// The server, as the request names it; with its port where that is named.
    pub host: Option<String>,
    /// The path, without its query.
    pub path: String,
    /// The model that is asked, where it was found.
    pub model: Option<String>,
    /// The answer's status.
    pub status: Option<u16>,
    /// From the request's beginning to the answer's first byte.
    pub first_byte: Option<Duration>,
    /// From the request's beginning to its end.
    pub took: Duration,
    /// Where the answer was a stream.
    pub stream: Option<Streamed>,
    /// How it ended.
    pub end: End,
    /// What the server said of when to come again: seconds, or a date.
    pub retry_after: Option<String>,
    /// Where the same was asked before, and failed.
    pub retry: Option<Retry>,
}

/// How a request was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// Through a TLS library.
    Tls,
    /// In plain text.
    Plain,
}

/// A stream of records: Server-Sent Events, or JSON in lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// How many records came.
    pub records: u64,
    /// Whether there may have been more, in bytes that were not looked at.
    pub is_partial: bool,
    /// From the request's beginning to the first record.
    pub first_record: Option<Duration>,
    /// From the first record to the last.
    pub lasted: Duration,
    /// What marked the stream's end.
    pub mark: Option<Mark>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The answer was read to its end.
    Clean,
    /// The connection ended within the answer.
    Cut,
    /// The connection ended without an answer.
    NoAnswer,
    /// The target asked for something else on the connection before the answer was over.
    GivenUp,
    /// The connection became one of another protocol, as WebSocket.
    Upgraded,
    /// It was open still when the look ended.
    Open,
}

/// A request that was made before, and failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The how manieth repetition it is, from 1.
    pub number: u32,
    /// From the failure to this request.
    pub gap: Duration,
}

impl Exchange {
    /// Whether the target did not get what it asked for.
    pub fn is_failed(&self) -> bool {
        let refused = self.status.is_some_and(|status| status >= 400);
        refused
            || match self.end {
                End::Cut | End::NoAnswer => true,
                End::Clean | End::GivenUp | End::Upgraded | End::Open => false,
            }
    }

    /// Records a second, where there were several.
    pub fn records_a_second(&self) -> Option<f64> {
        let stream = self.stream?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate that is told with one digit behind the point"
        )]
        let gaps = stream.records.checked_sub(1).filter(|gaps| *gaps > 0)? as f64;
        let seconds = stream.lasted.as_secs_f64();
        (seconds > 0.0).then(|| gaps / seconds)
    }
}
