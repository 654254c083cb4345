//! What the scenes are played on: a model API, an agent that calls it, and a folder of journals.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{paths::Project, process, root::Root};

/// What stands in a scene for the agent's process id, and for the newest run.
pub(super) const PLACEHOLDERS: [&str; 2] = ["{pid}", "{run}"];

/// The running programs, gone when dropped.
pub(super) struct Stage {
    agent: Victim,
    _api: Victim,
    state: TempDir,
}

/// A program of the tests package that is killed when dropped.
struct Victim(Child);

/// The first line of a server among the victims; only what is read here.
#[derive(Deserialize)]
struct Ready {
    address: Option<String>,
}

/// One of `injector list --json`; only what is read here.
#[derive(Deserialize)]
struct Listed {
    run: String,
}

impl Stage {
    pub(super) fn set(project: &Project) -> Result<Self> {
        let (api, address) = Victim::start(project, &["model-api", "--listen", "127.0.0.1:0"])?;
        let address = address.context("the model API did not say where it listens")?;
        let (agent, _) = Victim::start(project, &["http-agent", "--connect", &address])?;
        Ok(Self {
            agent,
            _api: api,
            state: tempfile::tempdir().context("there is no place for journals")?,
        })
    }

    /// The folder of the journals.
    pub(super) fn journals(&self) -> PathBuf {
        self.state.path().join("state")
    }

    /// The words of a scene, as a person would type them now.
    pub(super) fn fill_in(&self, root: Root, project: &Project, words: &str) -> Result<String> {
        let [pid, run] = PLACEHOLDERS;
        let mut words = words.replace(pid, &self.agent.0.id().to_string());
        if words.contains(run) {
            words = words.replace(run, &self.newest_run(root, project)?);
        }
        Ok(words)
    }

    fn newest_run(&self, root: Root, project: &Project) -> Result<String> {
        let journals = self.journals();
        let environment = [("INJECTOR_STATE_DIR", journals.as_os_str())];
        let mut list = root.command(project, &project.binary("injector"), &environment);
        let answer = process::answer(list.args(["list", "--json"]))
            .context("injector does not list its runs")?;
        let runs: Vec<Listed> =
            serde_json::from_str(&answer).context("the list of runs was not understood")?;
        let newest = runs.into_iter().next_back();
        Ok(newest
            .context("there is no run to show; draw net-delay too")?
            .run)
    }
}

impl Victim {
    /// Starts one and waits until it says that it is set up; a server says its address.
    fn start(project: &Project, words: &[&str]) -> Result<(Self, Option<String>)> {
        let program: &Path = &project.binary("victim");
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let mut victim = Self(child);
        let stdout = victim.0.stdout.take().context("a victim has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().context("a victim said nothing")??;
        let ready: Ready = serde_json::from_str(&first).context("a victim was not understood")?;
        // What else it says is of no use here, and must not make it wait.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok((victim, ready.address))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // An error means that it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
