//! Who takes part: a model API, an agent that calls it, and a bystander that does the same.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use tempfile::TempDir;

use crate::story::Story;

/// The running programs, gone when dropped.
pub(crate) struct Stage {
    agent: Victim,
    bystander: Victim,
    // After the victims, so that it goes after them.
    lab: Lab,
    _notes: TempDir,
    api: SocketAddr,
}

impl Stage {
    /// Starts all processes; the agent and the bystander begin to call at once.
    pub(crate) fn set() -> Result<Self> {
        let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
        let api = lab.serve("model-api")?;
        let notes = tempfile::tempdir().context("no folder for the agents' notes")?;
        let start = |place, name| {
            let notes = notes.path().join(name).to_string_lossy().into_owned();
            let api = api.to_string();
            Victim::start(place, &["http-agent", "--connect", &api, "--notes", &notes])
        };
        let agent = start(lab.agent(), "agent")?;
        let bystander = start(lab.bystander(), "bystander")?;
        Ok(Self {
            agent,
            bystander,
            lab,
            _notes: notes,
            api,
        })
    }

    /// Where the model API listens.
    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    /// Path of the agent's cgroup.
    pub(crate) fn agent_cgroup(&self) -> String {
        self.lab.cgroups.agent.path().to_string_lossy().into_owned()
    }

    /// Path of the bystander's cgroup.
    pub(crate) fn bystander_cgroup(&self) -> String {
        self.lab
            .cgroups
            .bystander
            .path()
            .to_string_lossy()
            .into_owned()
    }

    /// Adds the calls made since the last time.
    pub(crate) fn listen(&self, story: &mut Story) {
        story.agent.extend(self.agent.calls());
        story.bystander.extend(self.bystander.calls());
    }
}

/// Ctrl-C is for the injector, which ends the run cleanly; this program then tells what it saw and
/// removes its cgroups.
pub(crate) fn leave_interrupts_to_the_injector() {
    // SAFETY: SIG_IGN installs no handler, so no code of ours can run at a bad moment. The injector
    // inherits it and installs its own handler.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
    }
}
