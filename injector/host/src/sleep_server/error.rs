//! Why there is no park.

use std::io;

/// What went wrong while the park was set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This process lives in a PID namespace of its own.
    #[error(
        "threads cannot be put to sleep from inside a PID namespace, where process ids mean something else \
         to BPF programs; run the injector in the host's (`--pid=host`)"
    )]
    PidNamespace,
    /// There is no FUSE.
    #[error(
        "threads sleep in a FUSE file system, and /dev/fuse cannot be opened: {0}; load the module with \
         `modprobe fuse`, and pass /dev/fuse into the container if there is one"
    )]
    NoFuse(io::Error),
    /// The page holder ended before it was ready.
    #[error(
        "the process that holds the pages which threads sleep on ended before it was ready; its own \
         message, if any, is above; try again"
    )]
    NoPageHolder,
    /// More runs than there is room for.
    #[error(
        "{0} runs put threads to sleep already, and there is room for no more; end one of them"
    )]
    Full(usize),
    /// A system call failed.
    #[error("the park cannot {what}: {source}")]
    System {
        /// What was tried, as a sentence's rest.
        what: &'static str,
        /// The errno.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: a failed system call; `what` completes "the park cannot ...".
    pub(super) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System {
            what,
            source: source.into(),
        }
    }
}

impl From<Error> for injector_spec::error::Refusal {
    fn from(error: Error) -> Self {
        Self::usage(error.to_string())
    }
}
