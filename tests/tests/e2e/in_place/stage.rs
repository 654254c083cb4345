//! A server and agents that are Python's, with OpenSSL's library.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Injector, Running};
use serde::Deserialize;
use serde_json::Value;

use crate::certificates::certificate;
use crate::observe::{Text, text_of};

const SCRIPT: &str = include_str!("agent.py");

/// A server, and an injector.
pub(super) struct Stage {
    pub(super) injector: Injector,
    _folder: tempfile::TempDir,
    _server: Script,
    port: u16,
}

/// A script of Python's, killed when dropped.
pub(super) struct Script {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

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

impl Script {
    fn start(words: &[&str]) -> Result<Self> {
        let mut child = Command::new("python3")
            .args(["-c", SCRIPT])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start python3")?;
        let asks = child.stdin.take().context("no stdin")?;
        let says = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self { child, asks, says })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Has it make a request.
    pub(super) fn ask(&mut self, asked: &Value) -> Result<Came> {
        writeln!(self.asks, "{asked}")?;
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("an agent says {line:?}"))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What stands where its library's `SSL_write_ex` begins.
    pub(super) fn text(&self) -> Result<Text> {
        text_of(self.pid())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Stage {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        certificate(folder.path(), "server")?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut server = Script::start(&["server", &at("server.pem"), &at("server.key")])?;
        let port = server.line()?.parse().context("the server says no port")?;
        Ok(Self {
            injector: Injector::new()?,
            _folder: folder,
            _server: server,
            port,
        })
    }

    /// An agent that is ready to ask.
    pub(super) fn agent(&self, mode: &str) -> Result<Script> {
        let mut agent = Script::start(&[mode, &self.port.to_string()])?;
        ensure!(agent.line()? == "ready", "the agent is not ready");
        Ok(agent)
    }

    /// Arms a fault of the family on an agent.
    pub(super) fn arm(&self, agent: &Script, fault: &str) -> Result<Running> {
        let words = words(agent, fault);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.injector.arm(&words)
    }
}

/// The words of a command of the family on an agent.
pub(super) fn words(agent: &Script, fault: &str) -> Vec<String> {
    let pid = agent.pid().to_string();
    let words = ["llm"].into_iter().chain(fault.split(' '));
    let words = words.chain(["--pid", &pid, "--duration", "60s", "--json"]);
    words.map(str::to_owned).collect()
}
