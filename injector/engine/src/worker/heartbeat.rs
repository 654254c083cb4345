//! Tells the supervisor that the worker is alive, from an OS thread that nothing else can hold up.

use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use injector_common::lease::RENEW_EVERY_NS;

use crate::supervisor::link::WorkerEnd;
use injector_host::privilege;
use injector_spec::error::Refusal;

/// Breathes until it is dropped.
pub(super) struct Heartbeat(#[expect(dead_code, reason = "its Drop ends the thread")] Sender<()>);

/// Starts to send heartbeats.
pub(super) fn start(link: Arc<WorkerEnd>) -> Result<Heartbeat, Refusal> {
    let (alive, is_over) = mpsc::channel();
    std::thread::Builder::new()
        .name("heartbeat".into())
        .spawn(move || {
            let _locked = privilege::lock_stack();
            let every = Duration::from_nanos(RENEW_EVERY_NS);
            link.beat();
            while is_over.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                link.beat();
            }
        })
        .map_err(|error| Refusal::failed(format!("a thread cannot be started: {error}.")))?;
    Ok(Heartbeat(alive))
}
