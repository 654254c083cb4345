//! The signals that end a process, heard on a runtime: each is an end in good order.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::supervisor::ENDING;
use injector_spec::error::Refusal;

/// Hears every signal that would end this process.
pub struct Endings(Vec<Signal>);

impl Endings {
    /// Begins to listen; needs a runtime.
    pub fn listen() -> Result<Self, Refusal> {
        let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
        ENDING
            .into_iter()
            .chain(real_time)
            .map(|number| signal(SignalKind::from_raw(number)))
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(|error| {
                Refusal::failed(format!(
                    "signals cannot be listened to: {error}; try again."
                ))
            })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        poll_fn(|context| {
            let came = self.0.iter_mut().any(|signal| {
                let next = pin!(signal.recv());
                next.poll(context).is_ready()
            });
            if came { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
