//! What the injector sees by itself: ends of processes, its own counters, pressure, the clock. (The load of the
//! host is in `halt::what_holds_already_attaches_nothing`.)

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Injector, send};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::place::Place;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use super::{CUT, SOON, Stage, case, halted};
use crate::probe::Probe;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("a_process_that_ends", exit),
        case("a_process_that_comes_back", restart),
        case("too_many_hits", hits),
        case("too_many_errnos", errnos),
        case("too_many_retransmits", retransmits),
        case("pressure_of_the_target", pressure),
        case("a_time_on_the_clock", clock),
        case("conditions_of_the_host_hold_for_every_run", host_defaults),
    ]
}

fn exit() -> Result<()> {
    let mut stage = Stage::new()?;
    let victim = Victim::start(stage.lab.agent(), &["sleep"])?;
    let armed = stage.arm("target.exits >= 1")?;
    // A zombie has ended, too: its parent does not wait for it yet.
    send(victim.pid(), Signal::KILL)?;
    stage.halted(armed, "target.exits >= 1")?;
    Ok(())
}

fn restart() -> Result<()> {
    let mut stage = Stage::new()?;
    let first = Victim::start(stage.lab.agent(), &["sleep"])?;
    let armed = stage.arm("target.restarts >= 1")?;
    drop(first);
    let _second = Victim::start(stage.lab.agent(), &["sleep"])?;
    stage.halted(armed, "target.restarts >= 1")?;
    Ok(())
}

fn hits() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpFlow.serve(&mut lab)?;
    let mut agent = Probe::UdpFlow.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let flags = ["--halt-if", "hits > 100/s"];
    let armed = lab.arm(&injector, &[&CUT[..], &flags].concat())?;
    // The flow sends 400 datagrams as fast as it can.
    agent.look()?;
    halted(&armed.wait_within(SOON)?, "hits > 100/s")?;
    agent.expect_calm("the target, after the halt,")
}

fn errnos() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::Connect.serve(&mut lab)?;
    let mut agent = Probe::Connect.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let fault = ["net", "connect", "--errno", "ECONNREFUSED"];
    let flags = ["--halt-if", "errnos > 0.5/s over 5s"];
    let armed = lab.arm(&injector, &[&fault[..], &flags].concat())?;
    // Five calls in a round.
    let seen = agent.look()?;
    ensure!(seen.failures() == 5, "{seen:?}");
    halted(&armed.wait_within(SOON)?, "errnos > 0.5/s over 5s")?;
    agent.expect_calm("the target, after the halt,")
}

fn retransmits() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpTalk.serve(&mut lab)?;
    let mut agent = Probe::TcpTalk.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let fault = ["net", "loss", "--percent", "50%", "--seed", "7"];
    let flags = ["--halt-if", "retransmits > 0.3/s over 4s"];
    let armed = lab.arm(&injector, &[&fault[..], &flags].concat())?;
    agent.ask()?;
    halted(&armed.wait_within(SOON)?, "retransmits > 0.3/s")?;
    agent.seen()?;
    agent.expect_calm("the target, after the halt,")
}

/// Processes that want all of the CPUs; killed when dropped.
struct Burners(Vec<Child>);

impl Burners {
    fn start(place: Place<'_>) -> Result<Self> {
        let count = thread::available_parallelism()?.get() * 2;
        let mut burners = Self(Vec::new());
        for _number in 0..count {
            let mut command = Command::new("yes");
            command.stdout(Stdio::null());
            place.settle(&mut command)?;
            burners
                .0
                .push(command.spawn().context("cannot start `yes`")?);
        }
        Ok(burners)
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        for burner in &mut self.0 {
            let _ended_already = burner.kill();
            let _status = burner.wait();
        }
    }
}

fn pressure() -> Result<()> {
    let mut stage = Stage::new()?;
    if !stage.lab.cgroups.agent.path().join("cpu.pressure").exists() {
        println!("this host has no pressure of cgroups");
        return Ok(());
    }
    let armed = stage.arm("target.psi.cpu.some > 30% over 500ms")?;
    let burners = Burners::start(stage.lab.agent())?;
    let finished = armed.wait_within(SOON)?;
    drop(burners);
    halted(&finished, "target.psi.cpu.some > 30%")?;
    stage.agent.expect_calm("the target, after the halt,")
}

fn clock() -> Result<()> {
    let mut stage = Stage::new()?;
    let then = SystemTime::now() + Duration::from_secs(8);
    let condition = format!("clock >= {}", humantime::format_rfc3339_seconds(then));
    let armed = stage.arm(&condition)?;
    let report = stage.halted(armed, "clock >= 20")?;
    let late = SystemTime::now().duration_since(then).unwrap_or_default();
    ensure!(late < Duration::from_secs(5), "{late:?} late: {report}");
    Ok(())
}

fn host_defaults() -> Result<()> {
    let mut stage = Stage::allowed("[halt]\nconditions = [\"target.exits >= 1\"]")?;
    let victim = Victim::start(stage.lab.agent(), &["sleep"])?;
    let armed = stage.arm("target.exits >= 100")?;
    drop(victim);
    stage.halted(armed, "target.exits >= 1")?;
    Ok(())
}
