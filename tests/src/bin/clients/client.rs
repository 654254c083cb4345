//! The clients, and what runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// What a client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Models,
    Tools,
}

/// A client of a package registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// A package of Python's.
    Python(&'static str, Family),
    /// A package of Node's.
    Node(&'static str, Family),
}

/// In the order of the book.
pub(crate) const CLIENTS: [Client; 9] = [
    Client::Python("openai", Family::Models),
    Client::Python("anthropic", Family::Models),
    Client::Python("google-genai", Family::Models),
    Client::Python("litellm", Family::Models),
    Client::Python("langchain-openai", Family::Models),
    Client::Node("openai", Family::Models),
    Client::Node("anthropic", Family::Models),
    Client::Python("mcp", Family::Tools),
    Client::Node("mcp", Family::Tools),
];

/// What runs clients.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Runtimes {
    /// The scripts that make the calls.
    #[arg(long, value_name = "FOLDER")]
    scripts: PathBuf,
    /// A Python that has the packages.
    #[arg(long, value_name = "FILE")]
    python: PathBuf,
    /// A folder with the packages of Node; without it its clients are left out.
    #[arg(long, value_name = "FOLDER")]
    node: Option<PathBuf>,
}

/// What came of a call.
#[derive(Debug, Deserialize)]
pub(crate) struct Came {
    /// The text of the answer.
    pub(crate) returned: Option<String>,
    /// The model that the answer names.
    pub(crate) model: Option<String>,
    /// The class of the exception.
    pub(crate) raised: Option<String>,
    /// The package's version.
    pub(crate) version: String,
    /// How long the call took, in milliseconds.
    pub(crate) ms: u64,
}

impl Client {
    pub(crate) const fn family(self) -> Family {
        match self {
            Self::Python(_, family) | Self::Node(_, family) => family,
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Python(package, _) | Self::Node(package, _) => package,
        }
    }

    /// `Python openai`.
    pub(crate) fn name(self) -> String {
        let runtime = match self {
            Self::Python(..) => "Python",
            Self::Node(..) => "Node",
        };
        format!("{runtime} {}", self.package())
    }

    pub(crate) fn is_named(self, text: &str) -> bool {
        self.name().to_lowercase().contains(&text.to_lowercase())
    }
}

impl Runtimes {
    pub(crate) const fn have(&self, client: Client) -> bool {
        match client {
            Client::Python(..) => true,
            Client::Node(..) => self.node.is_some(),
        }
    }

    /// A script of Python's.
    pub(crate) fn python(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(self.scripts.join(script));
        command
    }

    /// The command that has a client make a call, but for port, way and deadline.
    pub(crate) fn command(&self, client: Client) -> Command {
        let mut command = match client {
            Client::Python(..) => self.python("ask.py"),
            Client::Node(..) => {
                let mut command = Command::new("node");
                command.arg(self.scripts.join("ask.mjs"));
                command.current_dir(self.node.as_deref().unwrap_or_else(|| Path::new(".")));
                command
            }
        };
        command.arg(client.package());
        command
    }
}
