//! What the scenes are played on: a model API, an agent that calls it, and a folder of journals.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{paths::Project, process, root::Root};

/// What stands in a scene for the agent's process id, for the newest run, and for the file of an experiment on a service.
pub(super) const PLACEHOLDERS: [&str; 3] = ["{pid}", "{run}", "{experiment}"];

/// A service that needs another one, beside a second that needs it too.
const EXPERIMENT: &str = "\
apiVersion: injector/v1
name: checkout-without-stock
hypothesis: Checkout is good again within 10 s after its stock service was lossy.
targets: { checkout: { pid: {target} } }
probes:
  checkout: http http://{checkout}/ status 200 fails 3 of 5 every 250ms within 100ms
  search: http http://{search}/ status 200 every 250ms within 100ms
steady-state: [checkout]
controls: [search]
objectives: { rto: 10s }
baseline: 10s
steps:
  - name: lossy
    duration: 20s
    faults: [ net.loss: { protocol: udp, percent: 15%, max-hits: 5000 } ]
  - name: slow and lossy
    duration: 20s
    faults:
      - net.loss: { protocol: udp, percent: 5% }
      - net.delay: { protocol: udp, latency: 20ms }
recovery: 15s
";

/// The running programs, gone when dropped.
pub(super) struct Stage {
    agent: Victim,
    _api: Victim,
    checkout: Service,
    search: Service,
    _stock: Victim,
    state: TempDir,
}

/// A service, and where it answers.
struct Service {
    victim: Victim,
    address: String,
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
        let (stock, needs) = Victim::start(project, &["udp-echo", "--listen", "127.0.0.1:0"])?;
        let needs = needs.context("the stock service did not say where it listens")?;
        Ok(Self {
            agent,
            _api: api,
            checkout: Service::start(project, &needs)?,
            search: Service::start(project, &needs)?,
            _stock: stock,
            state: tempfile::tempdir().context("there is no place for journals")?,
        })
    }

    /// The folder of the journals.
    pub(super) fn journals(&self) -> PathBuf {
        self.state.path().join("state")
    }

    /// The words of a scene, as a person would type them now.
    pub(super) fn fill_in(&self, root: Root, project: &Project, words: &str) -> Result<String> {
        let [pid, run, experiment] = PLACEHOLDERS;
        let mut words = words.replace(pid, &self.agent.0.id().to_string());
        if words.contains(run) {
            words = words.replace(run, &self.newest_run(root, project)?);
        }
        if words.contains(experiment) {
            words = words.replace(experiment, &self.experiment()?);
        }
        Ok(words)
    }

    /// Writes the experiment down; its path.
    fn experiment(&self) -> Result<String> {
        let path = self.state.path().join("checkout.yaml");
        let text = EXPERIMENT
            .replace("{target}", &self.checkout.victim.0.id().to_string())
            .replace("{checkout}", &self.checkout.address)
            .replace("{search}", &self.search.address);
        fs::write(&path, text).context("there is no place for the experiment")?;
        Ok(path.to_string_lossy().into_owned())
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

impl Service {
    fn start(project: &Project, needs: &str) -> Result<Self> {
        let words = [
            "dependent",
            "--listen",
            "127.0.0.1:0",
            "--needs",
            needs,
            "--character",
            "comes-back",
        ];
        let (victim, address) = Victim::start(project, &words)?;
        let address = address.context("a service did not say where it listens")?;
        Ok(Self { victim, address })
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
