//! The end of a fault: by its duration, by Ctrl-C, by `stop`, by the death or the sleep of the worker.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::boot_clock::now_ns;
use injector_tests::injector::{Injector, Running, send};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::observation::Op;
use injector_tests::victim::Victim;
use rustix::process::Signal;
use serde_json::Value;

use crate::needs::{INJECTOR, INJECTOR_AND_NETNS};
use crate::probe::Probe;
use crate::suite::Case;

const DELAY: [&str; 4] = ["net", "delay", "--latency", "100ms"];
const CUT: [&str; 2] = ["net", "blackhole"];
/// Calls that start later than this after the worker's death must be untouched.
const GRACE_NS: u64 = 200_000_000;

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("life::{name}"), INJECTOR, run);
    let mut cases = vec![
        case("the_duration_ends_it", duration_ends_it),
        case("ctrl_c_ends_it", ctrl_c_ends_it),
        case("stop_by_id", stop_by_id),
        case("stop_all", stop_all),
        case(
            "stop_releases_held_frames_in_order",
            stop_releases_held_frames,
        ),
        case("kill_9_of_the_worker_delay", || {
            kill_9(Wire::Loopback, &DELAY)
        }),
        case("kill_9_of_the_worker_blackhole", || {
            kill_9(Wire::Loopback, &CUT)
        }),
        case("kill_9_while_arming", kill_9_while_arming),
        case("kill_9_of_the_supervisor", kill_9_of_the_supervisor),
        case("kill_9_is_on_record", kill_9_is_on_record),
        case("a_stopped_worker_loses_its_lease", stopped_worker),
        case(
            "a_stopped_worker_delivers_nothing_late",
            stopped_worker_delivers_nothing,
        ),
        case("armed_within_a_second", armed_within_a_second),
        case("two_runs_do_not_disturb_each_other", two_runs),
        case("zero_hits_are_explained", zero_hits),
    ];
    cases.push(Case::new(
        "life::kill_9_of_the_worker_delay_veth",
        INJECTOR_AND_NETNS,
        || kill_9(Wire::Veth, &DELAY),
    ));
    cases.push(Case::new(
        "life::kill_9_of_the_worker_blackhole_veth",
        INJECTOR_AND_NETNS,
        || kill_9(Wire::Veth, &CUT),
    ));
    cases
}

fn duration_ends_it() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut agent = Probe::TcpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let target = ["--cgroup", &cgroup, "--duration", "1500ms", "--json"];
    let armed = injector.arm(&[&DELAY[..], &target].concat())?;
    let since = Instant::now();
    let finished = armed.wait()?;
    let lasted = since.elapsed();
    agent.expect_calm("the target, after the duration,")?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let report = finished.report()?;
    ensure!(report.outcome == "completed", "{report:?}");
    ensure!(
        (1400..4000).contains(&report.armed_for_ms),
        "armed for {} ms",
        report.armed_for_ms
    );
    ensure!(
        lasted >= Duration::from_millis(1400),
        "it ended after {lasted:?}"
    );
    Ok(())
}

fn ctrl_c_ends_it() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &CUT)?;
    let finished = armed.interrupt()?;
    agent.expect_calm("the target, after Ctrl-C,")?;
    ensure!(finished.code == Some(0), "{finished:?}");
    ensure!(finished.report()?.outcome == "stopped", "{finished:?}");
    Ok(())
}

/// The id of the only run that `list` knows to be on.
fn id_of_only_run(injector: &Injector) -> Result<String> {
    let listed = injector.once(&["list", "--json"])?;
    ensure!(listed.code == Some(0), "{listed:?}");
    let value: Value = serde_json::from_str(&listed.stdout)?;
    find_run(&value).with_context(|| format!("no run in {}", listed.stdout))
}

/// The first `"run": "ID"` anywhere in the value.
fn find_run(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => match fields.get("run") {
            Some(Value::String(id)) => Some(id.clone()),
            _other => fields.values().find_map(find_run),
        },
        Value::Array(items) => items.iter().find_map(find_run),
        _other => None,
    }
}

fn stop_by_id() -> Result<()> {
    stopped_by(|injector| {
        let id = id_of_only_run(injector)?;
        Ok(vec!["stop".to_owned(), id])
    })
}

fn stop_all() -> Result<()> {
    stopped_by(|_injector| Ok(vec!["stop".to_owned(), "--all".to_owned()]))
}

/// After `stop` returns nothing fires.
fn stopped_by(command: impl Fn(&Injector) -> Result<Vec<String>>) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &CUT)?;
    ensure!(agent.look()?.ok == 0, "the fault is not there");
    let arguments = command(&injector)?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let stopped = injector.once(&arguments)?;
    agent.expect_calm("the target, after stop,")?;
    ensure!(stopped.code == Some(0), "{stopped:?}");
    let finished = armed.wait_within(Duration::from_secs(5))?;
    ensure!(finished.report()?.outcome == "stopped", "{finished:?}");
    Ok(())
}

/// Datagrams held for seconds arrive at once, in order, when the run is stopped.
fn stop_releases_held_frames() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (mut sink, address) = lab.server("udp-sink", SocketAddr::new(lab.address(), 0))?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &["net", "delay", "--latency", "20s"])?;
    blast(&lab, address, "50")?;
    let finished = armed.interrupt()?;
    let report = finished.report()?;
    let got = sink.round()?;
    ensure!(
        got.ok == 50 && got.reordered == 0 && got.duplicates == 0,
        "{got:?}; {report:?}"
    );
    Ok(())
}

fn blast(lab: &Lab, to: SocketAddr, count: &str) -> Result<()> {
    let to = to.to_string();
    let arguments = ["udp-blast", "--connect", &to, "--count", count];
    let sent = Victim::start(lab.agent(), &arguments)?.summary()?;
    ensure!(sent.failures() == 0, "the sender saw {:?}", sent.errors);
    Ok(())
}

/// A client that pings all the time, so that every moment is looked at.
struct Heartbeat(Victim);

impl Heartbeat {
    fn start(lab: &Lab, server: SocketAddr) -> Result<Self> {
        let to = server.to_string();
        let pace = [
            "--count",
            "300",
            "--interval",
            "10ms",
            "--timeout",
            "250ms",
            "--each",
            "--wait",
        ];
        let mut victim = Victim::start(
            lab.agent(),
            &[&["udp-ping", "--connect", &to], &pace[..]].concat(),
        )?;
        victim.ask()?;
        Ok(Self(victim))
    }

    /// The operations that began later than [`GRACE_NS`] after `moment`, and how many felt a fault
    /// before it.
    fn around(&self, moment: u64) -> Result<(usize, Vec<Op>)> {
        let (operations, _summary) = self.0.operations()?;
        let felt = operations
            .iter()
            .filter(|op| op.start_ns < moment && is_hurt(op))
            .count();
        let later = operations
            .into_iter()
            .filter(|op| op.start_ns > moment + GRACE_NS)
            .collect();
        Ok((felt, later))
    }
}

fn is_hurt(op: &Op) -> bool {
    op.error.is_some() || op.took_ns > 60_000_000
}

fn kill_9(wire: Wire, fault: &[&str]) -> Result<()> {
    let mut lab = Lab::new(wire, Family::V4)?;
    let server = lab.serve("udp-echo")?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, fault)?;
    let heartbeat = Heartbeat::start(&lab, server)?;
    sleep(Duration::from_millis(700));
    let moment = now_ns();
    armed.signal_worker(Signal::KILL)?;
    let died = Instant::now();
    let finished = armed.wait_within(Duration::from_secs(10))?;
    ensure!(
        died.elapsed() < Duration::from_secs(4),
        "the supervisor took {:?}",
        died.elapsed()
    );
    ensure!(
        finished.code != Some(0),
        "the supervisor calls it a success: {finished:?}"
    );
    let (felt, later) = heartbeat.around(moment)?;
    ensure!(felt > 0, "the fault was not there before the kill");
    ensure!(
        later.len() > 20,
        "too few operations after the kill: {}",
        later.len()
    );
    let hurt: Vec<&Op> = later.iter().filter(|op| is_hurt(op)).collect();
    ensure!(
        hurt.is_empty(),
        "hurt {} of {} after the kill: {hurt:?}",
        hurt.len(),
        later.len()
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
    let before = injector_tests::snapshot::Snapshot::take()?;
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

/// Without its supervisor the worker must not live on.
fn kill_9_of_the_supervisor() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    // No delay line: sysctls of `lo` would need the supervisor or a sweep to come back.
    let armed = lab.arm(&injector, &CUT)?;
    armed.signal(Signal::KILL)?;
    armed.wait_within(Duration::from_secs(5))?;
    sleep(Duration::from_millis(300));
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
    injector_tests::eventually::eventually("the lease to end", Duration::from_secs(5), || {
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
    let armed: Running = lab.arm(&injector, &["net", "delay", "--latency", "1500ms"])?;
    blast(&lab, address, "20")?;
    armed.signal_worker(Signal::STOP)?;
    armed.wait_within(Duration::from_secs(8))?;
    let got = sink.round()?;
    ensure!(got.ok == 0, "{} datagrams came late", got.ok);
    Ok(())
}

/// The issue asks for 1 s; three times that is no fault of a busy machine.
fn armed_within_a_second() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let since = Instant::now();
    let armed = lab.arm(&injector, &DELAY)?;
    let took = since.elapsed();
    armed.report()?;
    ensure!(took < Duration::from_secs(3), "armed after {took:?}");
    Ok(())
}

/// One run's end must not end another's fault, nor its sysctls.
fn two_runs() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut first = Probe::TcpPing.observe(lab.agent(), server)?;
    let mut second = Probe::TcpPing.observe(lab.bystander(), server)?;
    let injector = Injector::new()?;
    let other = Injector::new()?;
    let on_first = lab.arm(&injector, &DELAY)?;
    let pid = second.pid().to_string();
    let target = ["--pid", &pid, "--duration", "60s", "--json"];
    let on_second = other.arm(&[&DELAY[..], &target].concat())?;
    ensure!(
        first.look()?.p50_ns >= 100_000_000,
        "the first run has no effect"
    );
    on_first.report()?;
    let seen = second.look()?;
    ensure!(
        seen.ok == seen.sent && seen.p50_ns >= 100_000_000,
        "the second run broke: {seen:?}"
    );
    on_second.report()?;
    second.expect_calm("the second target, after its run,")
}

fn zero_hits() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let _silent = Victim::start(lab.agent(), &["sleep"])?;
    let injector = Injector::new()?;
    let report = lab.arm(&injector, &CUT)?.report()?;
    let fault = crate::effects::first_fault(&report)?;
    let note = fault.note.as_deref().unwrap_or_default();
    ensure!(fault.hit == 0 && note.contains("never met"), "{fault:?}");
    Ok(())
}
