//! What can go wrong with the delay line, in sentences for people.

use std::io;

/// Why the delay line could not be set up or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The TUN driver's device node cannot be opened.
    #[error(
        "/dev/net/tun cannot be opened ({0}), so frames cannot be held; load the `tun` module, or \
         pass the device into the container that the injector runs in"
    )]
    NoTun(#[source] io::Error),
    /// A step of setting the TAP device up failed.
    #[error(
        "the delay line's TAP device could not be set up: {step}: {source}; CAP_NET_ADMIN in the \
         target's network namespace is needed"
    )]
    Tap {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The thread or what it needs could not be made.
    #[error("the delay line could not be started: {step}: {source}")]
    Start {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The thread has ended; frames sent to the TAP now are lost.
    #[error(
        "the delay line has stopped by itself ({0}); disarm at once, what it held is lost, and start \
         a new run"
    )]
    Stopped(String),
}

impl From<Error> for injector_spec::error::Refusal {
    fn from(error: Error) -> Self {
        Self::usage(error.to_string())
    }
}
