//! What faults on pipes and unix sockets share: `pipe.error`, `pipe.delay`, `pipe.stall`, `pipe.corrupt`.

use clap::{Args, ValueEnum};

use crate::experiment::{
    Calls, FdKind,
    method::{Method, PipeMethod},
};

#[derive(Args, Debug)]
#[command(next_help_heading = "Pipes")]
pub(super) struct NarrowFlags {
    /// Only of threads with such a name, as in `tokio-*`
    #[arg(long, value_name = "GLOB")]
    thread: Option<String>,
    /// Only pipes, or only unix sockets
    #[arg(long, value_name = "KIND", value_enum)]
    fd_kind: Option<PipeKind>,
}

/// What lies between two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PipeKind {
    /// Pipes and FIFOs
    Pipe,
    /// Unix sockets
    Unix,
}

impl From<PipeKind> for FdKind {
    fn from(kind: PipeKind) -> Self {
        match kind {
            PipeKind::Pipe => Self::Pipe,
            PipeKind::Unix => Self::Unix,
        }
    }
}

impl NarrowFlags {
    /// Calls on these pipes by which this is done.
    pub(super) fn calls(self, methods: &[PipeMethod]) -> Calls {
        let names = methods.iter().flat_map(|method| method.calls());
        Calls {
            kinds: self.fd_kind.into_iter().map(FdKind::from).collect(),
            ..Calls::named(names, self.thread)
        }
    }
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Pipes")]
pub(super) struct PipeFlags {
    /// What is done with them; repeatable
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        value_delimiter = ',',
        default_value = "read,write"
    )]
    methods: Vec<PipeMethod>,
    #[command(flatten)]
    narrow: NarrowFlags,
}

impl PipeFlags {
    /// The calls.
    pub(super) fn calls(self) -> Calls {
        self.narrow.calls(&self.methods)
    }
}
