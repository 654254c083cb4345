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
    /// Where the two tell whether they are well.
    health: [SocketAddr; 2],
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
            let health = "127.0.0.1:0";
            let words = [
                "http-agent",
                "--connect",
                &api,
                "--notes",
                &notes,
                "--health",
                health,
            ];
            let (victim, health) = Victim::start_server(place, &words)?;
            let health = health.context("an agent did not say where it tells its health")?;
            anyhow::Ok((victim, health))
        };
        let (agent, agents_health) = start(lab.agent(), "agent")?;
        let (bystander, bystanders_health) = start(lab.bystander(), "bystander")?;
        Ok(Self {
            agent,
            bystander,
            health: [agents_health, bystanders_health],
            lab,
            _notes: notes,
            api,
        })
    }

    /// Where the model API listens.
    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    /// The experiment as it is played: its faults on the traffic with the model API alone, since what asks the agent for
    /// its health is no part of the bad day; and with a steady state, so that it is judged.
    pub(crate) fn judged(&self, experiment: &str) -> String {
        let [agent, bystander] = self.health;
        let of_the_api = format!("{{ target: agent, dest-port: [{}],", self.api.port());
        let lines = experiment.lines().map(|line| {
            if line.trim_start().starts_with("- net.") {
                line.replace("{ target: agent,", &of_the_api)
            } else {
                line.to_owned()
            }
        });
        let lines: Vec<String> = lines.collect();
        format!(
            "{}\nprobes:\n  tasks: http http://{agent}/ every 250ms within 500ms\n  \
             neighbour: http http://{bystander}/ fails 2 of 3 every 250ms within 500ms\n\
             steady-state: [tasks]\ncontrols: [neighbour]\nobjectives: {{ rto: 10s }}\n",
            lines.join("\n")
        )
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
