//! The worker dies or sleeps with a fault armed: nothing outlives it, nothing is blackholed, nothing is
//! delivered late, and the journal says so.
//!
//! The order of the end, links before TAP, is pinned by the tests with a delay: a TAP that vanished
//! before the links would swallow every packet from then until the links are gone.

use std::fs;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::boot_clock::now_ns;
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, send};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::mortal::Mortal;
use injector_tests::observation::Op;
use injector_tests::place::Place;
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::lifecycle::{blast, id_of_only_run};
use crate::needs::{INJECTOR, INJECTOR_AND_NETNS};
use crate::probe::Probe;
use crate::suite::Case;

const DELAY: [&str; 4] = ["net", "delay", "--latency", "100ms"];
const CUT: [&str; 2] = ["net", "blackhole"];
/// How long a killed process may take to die, in an emulated machine too.
const DYING: Duration = Duration::from_secs(4);
/// Calls that start later than this after the worker's death must be untouched.
const GRACE_NS: u64 = 200_000_000;

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("death::{name}"), INJECTOR, run);
    let across = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("death::{name}"), INJECTOR_AND_NETNS, run)
    };
    vec![
        case("kill_9_with_a_delay", || kill_9(Wire::Loopback, &DELAY)),
        case("kill_9_with_a_blackhole", || kill_9(Wire::Loopback, &CUT)),
        across("kill_9_with_a_delay_on_veth", || kill_9(Wire::Veth, &DELAY)),
        across("kill_9_with_a_blackhole_on_veth", || {
            kill_9(Wire::Veth, &CUT)
        }),
        case("kill_9_while_arming", kill_9_while_arming),
        case("kill_9_when_the_journal_was_deleted", journal_deleted),
        case("kill_9_of_the_supervisor", kill_9_of_the_supervisor),
        case(
            "kill_9_of_the_supervisor_of_a_stopped_worker",
            kill_9_of_the_supervisor_of_a_stopped_worker,
        ),
        case("kill_9_is_on_record", kill_9_is_on_record),
        case("a_stopped_worker_loses_its_lease", stopped_worker),
        case(
            "a_stopped_worker_delivers_nothing_late",
            stopped_worker_delivers_nothing,
        ),
    ]
}

/// A client that pings all the time, so that every moment is looked at.
struct Heartbeat(Victim);

impl Heartbeat {
    fn start(place: Place<'_>, server: SocketAddr) -> Result<Self> {
        let to = server.to_string();
        let rhythm = [
            "--count",
            "300",
            "--interval",
            "10ms",
            "--timeout",
            "250ms",
            "--each",
            "--wait",
        ];
        let arguments = [&["udp-ping", "--connect", &to], &rhythm[..]].concat();
        let mut victim = Victim::start(place, &arguments)?;
        victim.ask()?;
        Ok(Self(victim))
    }

    fn operations(&self) -> Result<Vec<Op>> {
        Ok(self.0.operations()?.0)
    }
}

fn is_hurt(op: &Op) -> bool {
    op.error.is_some() || op.took_ns > 60_000_000
}

/// Whether two operations went on at the same moment.
fn overlap(one: &Op, other: &Op) -> bool {
    one.start_ns <= other.start_ns + other.took_ns && other.start_ns <= one.start_ns + one.took_ns
}

/// The bystander beside the target is the control: what holds both up at one moment is the machine, which may be
/// emulated and busy, and proves nothing either way.
pub(crate) fn kill_9(wire: Wire, fault: &[&str]) -> Result<()> {
    kill_9_of(&Injector::new()?, wire, fault, Dying::Worker)
}

/// What of an injector dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dying {
    /// The worker alone.
    Worker,
    /// All of its processes at once.
    All,
}

/// The same with this injector.
pub(crate) fn kill_9_of(
    injector: &Injector,
    wire: Wire,
    fault: &[&str],
    dying: Dying,
) -> Result<()> {
    let mut lab = Lab::new(wire, Family::V4)?;
    let server = lab.serve("udp-echo")?;
    // The network namespace of a target is where its processes are.
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let armed = lab.arm(injector, fault)?;
    let target = Heartbeat::start(lab.agent(), server)?;
    let control = Heartbeat::start(lab.bystander(), server)?;
    sleep(Duration::from_millis(700));
    let worker = Mortal::of(armed.worker()?)?;
    let signalled = now_ns();
    let asked = Instant::now();
    match dying {
        Dying::Worker => armed.signal_worker(Signal::KILL)?,
        Dying::All => armed.kill_all()?,
    }
    worker.await_death(DYING)?;
    let died = now_ns();
    let finished = armed.wait_within(Duration::from_secs(10))?;
    ensure!(
        asked.elapsed() < Duration::from_secs(4),
        "the supervisor took {:?}",
        asked.elapsed()
    );
    ensure!(
        finished.code != Some(0),
        "the supervisor calls it a success: {finished:?}"
    );
    let (operations, control) = (target.operations()?, control.operations()?);
    let before = |op: &&Op| op.start_ns < signalled && is_hurt(op);
    ensure!(
        operations.iter().any(|op| before(&op)),
        "the fault was not there before the kill"
    );
    let held_up: Vec<&Op> = control.iter().filter(|op| is_hurt(op)).collect();
    let later: Vec<&Op> = operations
        .iter()
        .filter(|op| op.start_ns > died + GRACE_NS)
        .filter(|op| !held_up.iter().any(|slow| overlap(op, slow)))
        .collect();
    ensure!(
        later.len() > 20,
        "too few operations after the death: {}",
        later.len()
    );
    let hurt: Vec<&&Op> = later.iter().filter(|op| is_hurt(op)).collect();
    ensure!(
        hurt.is_empty(),
        "hurt {} of {} after the death, {} ms after the signal: {hurt:?}; held up beside them: {held_up:?}",
        hurt.len(),
        later.len(),
        (died - signalled) / 1_000_000
    );
    Ok(())
}

/// The worker dies at many moments of its arming; the runner looks for residue after each.
fn kill_9_while_arming() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let target = ["--cgroup", &cgroup, "--duration", "5s", "--json"];
    let arguments = [&DELAY[..], &target].concat();
    let before = Snapshot::take()?;
    for millis in [0, 5, 10, 20, 40, 80, 120, 160, 240] {
        let running = injector.start_here(&arguments)?;
        running.worker()?;
        sleep(Duration::from_millis(millis));
        running.signal_worker(Signal::KILL)?;
        running.wait_within(Duration::from_secs(5))?;
        before
            .assert_same()
            .with_context(|| format!("killed {millis} ms after its start"))?;
    }
    Ok(())
}

/// A person or a program tidies up /var/lib while a run is armed: the supervisor holds the journal, not its name.
fn journal_deleted() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let injector = Injector::new()?;
    let before = Snapshot::take()?;
    let armed = lab.arm(&injector, &DELAY)?;
    fs::remove_dir_all(injector.state().join("runs")).context("cannot delete the journals")?;
    armed.signal_worker(Signal::KILL)?;
    let finished = armed.wait_within(Duration::from_secs(10))?;
    ensure!(finished.code == Some(1), "{finished:?}");
    before.assert_same()
}

/// Without its supervisor the worker must not live on.
fn kill_9_of_the_supervisor() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    // No delay line: sysctls of `lo` would need the supervisor or a sweep to come back.
    let armed = lab.arm(&injector, &CUT)?;
    let worker = Mortal::of(armed.worker()?)?;
    armed.signal(Signal::KILL)?;
    armed.wait_within(Duration::from_secs(5))?;
    worker.await_death(DYING)?;
    agent.expect_calm("the target, after the supervisor's death,")
}

/// A worker that cannot see its supervisor's death goes with it all the same, and with it what it held.
fn kill_9_of_the_supervisor_of_a_stopped_worker() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &CUT)?;
    let worker = armed.worker()?;
    send(worker, Signal::STOP)?;
    armed.signal(Signal::KILL)?;
    let gone = eventually("the worker to be gone", Duration::from_secs(5), || {
        Ok((!fs::exists(format!("/proc/{worker}"))?).then_some(()))
    });
    if gone.is_err() {
        // So that a test that fails leaves no process behind either.
        send(worker, Signal::KILL)?;
    }
    gone?;
    armed.wait_within(Duration::from_secs(5))?;
    agent.expect_calm("the target, after the supervisor's death,")
}

fn kill_9_is_on_record() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &DELAY)?;
    let id = id_of_only_run(&injector)?;
    armed.signal_worker(Signal::KILL)?;
    armed.wait_within(Duration::from_secs(5))?;
    let listed = injector.once(&["list", "--json"])?;
    ensure!(
        listed.stdout.contains(&id),
        "run {id} is not in {}",
        listed.stdout
    );
    ensure!(
        listed.stdout.contains("aborted"),
        "not called aborted: {}",
        listed.stdout
    );
    Ok(())
}

/// SIGSTOP: the lease runs out (2 s), the supervisor kills, and nothing of the fault is left.
fn stopped_worker() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &CUT)?;
    let worker = armed.worker()?;
    send(worker, Signal::STOP)?;
    let since = Instant::now();
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    // Asked 2.1 s; the rest is for a busy machine.
    eventually("the lease to end", Duration::from_secs(5), || {
        Ok((agent.look()?.failures() == 0).then_some(()))
    })?;
    ensure!(
        since.elapsed() < Duration::from_secs(6),
        "it took {:?}",
        since.elapsed()
    );
    let finished = armed.wait_within(Duration::from_secs(5))?;
    ensure!(
        finished.code != Some(0),
        "the supervisor calls it a success: {finished:?}"
    );
    // Fails only where there is no such process any more, which is the point.
    let alive = send(worker, Signal::CONT).is_ok();
    ensure!(!alive, "the worker lives on");
    agent.expect_calm("the target, after the lease,")
}

fn stopped_worker_delivers_nothing() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (mut sink, address) = lab.server("udp-sink", SocketAddr::new(lab.address(), 0))?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &["net", "delay", "--latency", "1500ms"])?;
    blast(&lab, address, "20")?;
    armed.signal_worker(Signal::STOP)?;
    armed.wait_within(Duration::from_secs(8))?;
    let got = sink.round()?;
    ensure!(got.ok == 0, "{} datagrams came late", got.ok);
    Ok(())
}
