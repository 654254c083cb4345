//! The relay or the worker dies or stands still, or another run wants the same target: the target goes on, and the run says why
//! it ended.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Running, relay, send};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use rustix::process::Signal;

use super::effect::{COUNT, well};
use super::{PLAIN, arm, client, serve};
use crate::needs::INJECTOR;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("requests::{name}"), INJECTOR, run);
    vec![
        case("kill_9_of_the_relay", killed_relay),
        case("a_stopped_relay", stopped_relay),
        case("kill_9_of_the_worker", killed_worker),
        case("of_one_target_by_two_runs", two_runs),
    ]
}

/// There is one way through a relay, so the second run is refused; one on another target is not.
fn two_runs() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, PLAIN)?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "error --status 500")?;
    let on = |cgroup: &Path| {
        let cgroup = cgroup.to_string_lossy().into_owned();
        let words = ["llm", "empty", "--duration", "100ms", "--cgroup", &cgroup];
        injector.once(&words)
    };
    let refused = on(lab.cgroups.agent.path())?;
    ensure!(refused.code == Some(2), "{refused:?}");
    ensure!(refused.stderr.contains("through a relay"), "{refused:?}");
    let beside = on(lab.cgroups.bystander.path())?;
    ensure!(beside.code == Some(0), "{beside:?}");
    let felt = agent.round()?;
    ensure!(felt.error("500") == COUNT, "{felt:?}");
    armed.report()?;
    Ok(())
}

/// The relay of a run that is armed, once its processes are there.
fn relay_of(armed: &Running) -> Result<u32> {
    let worker = armed.worker()?;
    eventually("the relay to be there", Duration::from_secs(2), || {
        Ok(relay(worker))
    })
}

/// A target that waits for a held answer, and one that asks anew.
struct Scene {
    lab: Lab,
    _server: Victim,
    held: Victim,
    anew: Victim,
    armed: Running,
    relay: u32,
    _injector: Injector,
}

impl Scene {
    fn set() -> Result<Self> {
        let lab = Lab::new(Wire::Loopback, Family::V4)?;
        let (server, address) = serve(&lab)?;
        let mut held = client(lab.agent(), address, "--count 1 --timeout 20s")?;
        let anew = client(lab.agent(), address, PLAIN)?;
        let injector = Injector::new()?;
        let armed = arm(&lab, &injector, "timeout --max-hits 1")?;
        let relay = relay_of(&armed)?;
        held.ask()?;
        eventually(
            "the request to reach the server",
            Duration::from_secs(5),
            || Ok((!server.calls().is_empty()).then_some(())),
        )?;
        Ok(Self {
            lab,
            _server: server,
            held,
            anew,
            armed,
            relay,
            _injector: injector,
        })
    }

    /// The held connection is cut, the next ones go straight to the server, and the run ends and says why.
    fn expect_its_end(mut self, word: &str, within: Duration) -> Result<()> {
        let cut = self.held.summary()?;
        ensure!(cut.error("cut") == 1, "{cut:?}");
        let finished = self.armed.wait_within(within)?;
        ensure!(finished.code == Some(1), "{finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        ensure!(said.contains(word), "{finished:?}");
        well(&self.anew.round()?, "the target afterwards")?;
        gone(self.relay)?;
        drop(self.lab);
        Ok(())
    }
}

fn gone(relay: u32) -> Result<()> {
    let path = format!("/proc/{relay}");
    eventually("the relay to be gone", Duration::from_secs(2), || {
        Ok((!Path::new(&path).exists()).then_some(()))
    })
}

fn killed_relay() -> Result<()> {
    let scene = Scene::set()?;
    send(scene.relay, Signal::KILL)?;
    scene.expect_its_end("hold-relay`) was killed", Duration::from_secs(5))
}

/// While it stands still, new connections go straight on after a second, and the run ends after two.
fn stopped_relay() -> Result<()> {
    let mut scene = Scene::set()?;
    send(scene.relay, Signal::STOP)?;
    let stopped = Instant::now();
    eventually(
        "new connections to go straight on",
        Duration::from_secs(10),
        || {
            let felt = scene.anew.round()?;
            Ok((felt.ok == COUNT).then_some(()))
        },
    )?;
    ensure!(
        stopped.elapsed() < Duration::from_secs(8),
        "after {:?}",
        stopped.elapsed()
    );
    scene.expect_its_end("hold-relay`) stands still", Duration::from_secs(10))
}

fn killed_worker() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.armed.signal_worker(Signal::KILL)?;
    let cut = scene.held.summary()?;
    ensure!(cut.error("cut") == 1, "{cut:?}");
    gone(scene.relay)?;
    well(&scene.anew.round()?, "the target afterwards")?;
    let finished = scene.armed.wait_within(Duration::from_secs(10))?;
    ensure!(finished.code == Some(1), "{finished:?}");
    Ok(())
}
