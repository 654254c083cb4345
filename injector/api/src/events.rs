//! The stream of events: one JSON object a line, for as long as the client listens.

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use http_body_util::channel::{Channel, Sender};
use serde::Serialize;
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};

use injector_record::{event::RunEvent, journal::RunId};

/// Lines that wait for a slow reader before it loses some.
const BUFFER: usize = 64;

/// Which events are wanted.
pub(super) struct Filter {
    pub(super) run: Option<RunId>,
    pub(super) hits: bool,
    pub(super) progress: bool,
}

/// In place of events that a slow reader has lost. A client that waits for an end should ask for the run.
#[derive(Serialize)]
struct Lost {
    lost: u64,
}

impl Filter {
    fn lets_through(&self, event: &RunEvent) -> bool {
        let is_hit = event.what.is_of_hits();
        let is_progress = event.what.is_progress();
        (self.hits || !is_hit)
            && (self.progress || !is_progress)
            && self.run.as_ref().is_none_or(|run| *run == event.run)
    }
}

/// A response that goes on until the reader leaves or the daemon ends.
pub(super) fn stream(
    events: Receiver<RunEvent>,
    filter: Filter,
    is_ending: watch::Receiver<bool>,
) -> Response {
    let (sender, body) = Channel::<Bytes>::new(BUFFER);
    tokio::spawn(pump(events, filter, is_ending, sender));
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::new(body),
    )
        .into_response()
}

async fn pump(
    mut events: Receiver<RunEvent>,
    filter: Filter,
    mut is_ending: watch::Receiver<bool>,
    mut sender: Sender<Bytes>,
) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            // An error means that the server is gone, which is an end as well.
            _ = is_ending.wait_for(|ending| *ending) => return,
        };
        let line = match &event {
            Ok(event) if filter.lets_through(event) => line(event),
            Ok(_) => continue,
            Err(RecvError::Lagged(lost)) => line(&Lost { lost: *lost }),
            Err(RecvError::Closed) => return,
        };
        let sent = tokio::select! {
            sent = sender.send_data(line) => sent,
            _ = is_ending.wait_for(|ending| *ending) => return,
        };
        if sent.is_err() {
            // The reader has left.
            return;
        }
    }
}

fn line(value: &impl Serialize) -> Bytes {
    // Our own types always serialise; an empty line is none to the reader.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
