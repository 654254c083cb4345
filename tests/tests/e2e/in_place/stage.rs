//! A server and agents that are Python's, with OpenSSL's library.

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Injector, Running};
use injector_tests::place::Place;
use serde::Deserialize;
use serde_json::Value;

use crate::certificates::certificate;
use crate::observe::{Text, text_of};
use crate::script::Script;

const SCRIPT: &str = include_str!("agent.py");

/// A server, and an injector.
pub(super) struct Stage {
    pub(super) injector: Injector,
    _folder: tempfile::TempDir,
    _server: Script,
    port: u16,
}

/// An agent.
pub(super) struct Agent(Script);

/// What came of a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Came {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) served: Option<u64>,
    pub(super) error_type: Option<String>,
    pub(super) retry_after: Option<String>,
    pub(super) length_fits: bool,
    pub(super) closes: bool,
    pub(super) content: String,
    /// Bytes that were read behind the answer.
    pub(super) surplus: u64,
    error: Option<String>,
}

impl Came {
    /// Whether it is what the server has answered.
    pub(super) fn is_real(&self) -> bool {
        self.status == 200 && self.served.is_some() && self.error.is_none()
    }

    /// Whether it is a whole answer that is made up and says this status.
    pub(super) fn is_made_up(&self, status: u16) -> bool {
        let is_whole = self.length_fits && self.closes && self.served.is_none();
        self.status == status && is_whole && self.error.is_none()
    }
}

impl Agent {
    /// Has it make a request.
    pub(super) fn ask(&mut self, asked: &Value) -> Result<Came> {
        self.0.ask(&asked.to_string())
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// What stands where its library's `SSL_write_ex` begins.
    pub(super) fn text(&self) -> Result<Text> {
        text_of(self.pid())
    }
}

fn start(words: &[&str]) -> Result<Script> {
    Script::start(Place::default(), SCRIPT, words)
}

impl Stage {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        certificate(folder.path(), "server")?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut server = start(&["server", &at("server.pem"), &at("server.key")])?;
        let port = server.line()?.parse().context("the server says no port")?;
        Ok(Self {
            injector: Injector::new()?,
            _folder: folder,
            _server: server,
            port,
        })
    }

    /// An agent that is ready to ask.
    pub(super) fn agent(&self, mode: &str) -> Result<Agent> {
        let mut agent = start(&[mode, &self.port.to_string()])?;
        ensure!(agent.line()? == "ready", "the agent is not ready");
        Ok(Agent(agent))
    }

    /// Arms a fault of the family on an agent.
    pub(super) fn arm(&self, agent: &Agent, fault: &str) -> Result<Running> {
        let words = words(agent, fault);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.injector.arm(&words)
    }
}

/// The words of a command of the family on an agent.
pub(super) fn words(agent: &Agent, fault: &str) -> Vec<String> {
    let pid = agent.pid().to_string();
    let words = ["llm"].into_iter().chain(fault.split(' '));
    let words = words.chain(["--pid", &pid, "--duration", "60s", "--json"]);
    words.map(str::to_owned).collect()
}
