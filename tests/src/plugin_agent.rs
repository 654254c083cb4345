//! An agent with a plug-in that it speaks to over pipes, and how the two stand.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::mortal::Mortal;
use crate::place::Place;
use crate::victim::Victim;

/// How long an agent may take to get on, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// How an agent and its plug-in stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Right answers.
    pub answered: u64,
    /// Answers that were not what was asked for.
    pub broken: u64,
    /// Questions whose answer was given up.
    pub late: u64,
    /// Questions at which the plug-in had ended.
    pub ends: u64,
    /// Plug-ins that were started.
    pub started: u64,
    /// How long the slowest answer took.
    pub slowest_ms: u64,
    /// The process id of the plug-in.
    pub plugin: u32,
}

/// A victim that asks its plug-in again and again.
#[derive(Debug)]
pub struct PluginAgent {
    victim: Victim,
    folder: TempDir,
}

impl PluginAgent {
    /// One of this habit (`careful`, `naive`), which answers questions by now.
    pub fn start(place: Place<'_>, habit: &str, more: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let file = folder
            .path()
            .join("standing")
            .to_string_lossy()
            .into_owned();
        let words = ["plugin-agent", "--file", &file, "--habit", habit];
        let victim = Victim::start(place, &[&words, more].concat())?;
        let agent = Self { victim, folder };
        agent.expect_answers("an agent that has just been started")?;
        Ok(agent)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.victim.pid()
    }

    /// How it stands.
    pub fn standing(&self) -> Result<Standing> {
        let bytes = fs::read(self.folder.path().join("standing")).context("no standing")?;
        serde_json::from_slice(&bytes).context("half a standing")
    }

    /// The plug-in that it speaks to, as exactly this process.
    pub fn plugin(&self) -> Result<Mortal> {
        let pid = self.standing()?.plugin;
        let plugin = Mortal::of(pid)?;
        // By now the number is the plug-in's, if it is still.
        ensure!(
            self.standing()?.plugin == pid && !plugin.has_died()?,
            "the plug-in has just ended"
        );
        Ok(plugin)
    }

    /// Waits until it has got some more answers.
    pub fn expect_answers(&self, who: &str) -> Result<()> {
        let before = self.standing()?.answered;
        self.until(&format!("{who} to get answers"), |now| {
            now.answered > before + 1
        })?;
        Ok(())
    }

    /// Waits until it stands like this.
    pub fn until(&self, what: &str, is_so: impl Fn(&Standing) -> bool) -> Result<Standing> {
        eventually(what, SOON, || {
            let now = self.standing()?;
            Ok(is_so(&now).then_some(now))
        })
    }
}
