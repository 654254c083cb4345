//! What faults on files share: `io.error`, `io.latency`, `io.corrupt`, `io.short`.

use clap::Args;

use crate::{
    experiment::{
        Calls,
        method::{FileMethod, Method},
    },
    grammar::PathFlags,
};

#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub(super) struct FileFlags {
    #[command(flatten)]
    paths: PathFlags,
    /// Only of threads with such a name, as in `tokio-*`
    #[arg(long, value_name = "GLOB")]
    thread: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct MethodFlags {
    /// What is done with them; repeatable
    #[arg(
        long,
        value_name = "METHOD",
        value_enum,
        value_delimiter = ',',
        default_value = "read,write"
    )]
    methods: Vec<FileMethod>,
}

impl MethodFlags {
    /// The names of the calls.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static &'static str> {
        self.methods.iter().flat_map(|method| method.calls())
    }
}

impl FileFlags {
    /// Calls of these names about these files.
    pub(super) fn calls<'n>(self, names: impl IntoIterator<Item = &'n &'n str>) -> Calls {
        self.paths.narrow(Calls::named(names, self.thread))
    }
}
