//! The known holes of LIMITS.md, each as it is today: when one closes, its test says so.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use injector_tests::bpf;
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::observation::Summary;
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;

use crate::effects::first_fault;
use crate::needs::{INJECTOR, unshare};
use crate::probe::{Probe, calm};
use crate::suite::Case;

const CUT: [&str; 2] = ["net", "blackhole"];
/// Generous: an answer of the kernel's comes at once, one after a retransmission within a second.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("limit::{name}"), INJECTOR, run);
    let sends = "udp_that_is_connected_already_meets_packet_faults_only";
    let names = "udp_that_never_connects_meets_packet_faults_only";
    vec![
        case(sends, || packet_faults_only(&[])),
        case(names, || packet_faults_only(&["--unconnected"])),
        case("a_blackholed_target_may_still_reset", reset_gets_out),
        case("an_ack_in_time_wait_gets_out", time_wait_ack_gets_out),
        case("a_look_up_off_port_53_is_explained", || look_up(Some(0))),
        case("a_look_up_without_a_packet_is_explained", || look_up(None)),
        case("memory_of_the_kernels_tables", memory_of_tables),
        case("injector_in_a_pid_namespace", own_pid_namespace).also_needs(unshare),
    ]
}

/// The tables of a run are as large as its plan says, and not as any plan could ask: 64 namespaces have to fit
/// into 256 MB, followed trees and all.
fn memory_of_tables() -> Result<()> {
    const MOST: u64 = 256_000_000 / 64;
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let listen = ["udp-echo", "--listen", "127.0.0.1:0"];
    let target = Victim::start(lab.agent(), &listen)?;
    let pid = target.pid().to_string();
    let injector = Injector::new()?;
    let faults: [&[&str]; 2] = [
        &["net", "delay", "--latency", "10ms", "--direction", "both"],
        &["net", "connect", "--errno", "ECONNREFUSED", "--tree"],
    ];
    for fault in faults {
        let rest = ["--pid", &pid, "--duration", "60s", "--json"];
        let armed = injector.arm(&[fault, &rest].concat())?;
        let tables = bpf::tables_of(armed.worker()?)?;
        ensure!(
            (1..=MOST).contains(&tables),
            "the tables of {fault:?} take {tables} bytes"
        );
        armed.report()?;
    }
    Ok(())
}

/// `net connect` sees connect(2) alone: no send of a socket that has a peer, or that names one each time.
fn packet_faults_only(how: &[&str]) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let ping = ["udp-ping", "--connect", &server, "--count", "3", "--wait"];
    let arguments = [&ping[..], &["--timeout", "500ms"], how].concat();
    let mut target = Victim::start(lab.agent(), &arguments)?;
    let injector = Injector::new()?;

    let armed = lab.arm(&injector, &["net", "connect", "--errno", "ECONNREFUSED"])?;
    calm(&target.round()?).context("a send met `net connect`; LIMITS.md says that none does")?;
    let report = armed.report()?;
    let fault = first_fault(&report)?;
    let note = fault.note.as_deref().unwrap_or_default();
    ensure!(
        fault.seen == 0 && note.contains("never called connect(2)"),
        "not as documented: {fault:?}"
    );

    let armed = lab.arm(&injector, &CUT)?;
    let cut = target.round()?;
    ensure!(
        cut.error("timeout") == cut.sent,
        "a packet fault does not meet it: {cut:?}"
    );
    armed.report()?;
    Ok(())
}

/// A target that has closed with unread data has no socket left: what the peer sends then is answered
/// from a socket of the kernel's (`net/ipv4/tcp_ipv4.c`, `tcp_v4_send_reset`), which has no tag.
fn reset_gets_out() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (target, mut peer) = idle_connection(&lab)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &CUT)?;
    // It reads 64 bytes and goes, the rest unread. Its own RST is lost, as the acknowledgements are.
    peer.write_all(&[7; 4096])?;
    let _ended: Summary = target.summary()?;
    drop(target);
    // Sent again by the kernel until an answer comes.
    peer.set_read_timeout(Some(PATIENCE))?;
    match peer.read(&mut [0; 64]) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => bail!("the peer was to hear a RST, and heard {other:?}"),
    }
    let report = armed.report()?;
    let fault = first_fault(&report)?;
    ensure!(fault.hit > 0, "nothing was cut off: {fault:?}");
    Ok(())
}

/// A socket in `TIME_WAIT` is none that could be tagged: its last ACK ends the peer's connection, although
/// everything that the target sends is lost.
fn time_wait_ack_gets_out() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (target, peer) = idle_connection(&lab)?;
    let port = peer.local_addr()?.port();
    drop(target);
    // Its FIN is here: the target's side waits for ours.
    peer.set_read_timeout(Some(PATIENCE))?;
    ensure!(
        (&peer).read(&mut [0; 64])? == 0,
        "not the end of the stream"
    );
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &CUT)?;
    peer.shutdown(std::net::Shutdown::Write)?;
    eventually("the last ACK", PATIENCE, || {
        Ok((!has_connection(port)?).then_some(()))
    })?;
    armed.report()?;
    Ok(())
}

/// A target that has connected to this test and reads what it is sent once.
fn idle_connection(lab: &Lab) -> Result<(Victim, TcpStream)> {
    let listener = TcpListener::bind(SocketAddr::new(lab.address(), 0))?;
    let address = listener.local_addr()?.to_string();
    let target = Victim::start(lab.agent(), &["idle-tcp", "--connect", &address])?;
    Ok((target, listener.accept()?.0))
}

/// Whether a connection from this local port is on its way to its end and not there yet (`LAST_ACK`).
fn has_connection(port: u16) -> Result<bool> {
    const LAST_ACK: &str = "09";
    let table = std::fs::read_to_string("/proc/net/tcp").context("cannot list the connections")?;
    let local = format!(":{port:04X}");
    Ok(table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_local = fields.next().is_some_and(|field| field.ends_with(&local));
        is_local && fields.nth(1) == Some(LAST_ACK)
    }))
}

/// A resolver on another port, or one that is asked without any packet of the target's (as
/// systemd-resolved is over a unix socket): no hit, and a word about why.
fn look_up(port: Option<u16>) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let ask = ["dns", "error", "--type", "nxdomain", "--hostname", "*"];
    let report = if let Some(port) = port {
        let server = lab.serve_at("dns-server", SocketAddr::new(lab.address(), port))?;
        let mut target = Probe::Dns.observe(lab.agent(), server)?;
        let armed = lab.arm(&injector, &ask)?;
        target.expect_calm("a look-up off port 53")?;
        armed.report()?
    } else {
        let _target = Victim::start(lab.agent(), &["sleep"])?;
        lab.arm(&injector, &ask)?.report()?
    };
    let fault = first_fault(&report)?;
    let note = fault.note.as_deref().unwrap_or_default();
    ensure!(
        fault.hit == 0 && note.contains("port 53") && note.contains("systemd-resolved"),
        "not explained: {fault:?}"
    );
    Ok(())
}

/// Process ids of a PID namespace are not the kernel's: a command that asks from inside one is refused.
fn own_pid_namespace() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let _target = Victim::start(lab.agent(), &["sleep"])?;
    let injector = Injector::new()?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let inner = injector.command(&[&CUT[..], &["--cgroup", &cgroup, "--duration", "2s"]].concat());
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--mount-proc"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null());
    let before = Snapshot::take()?;
    let output = command.output().context("cannot start unshare")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(3) || output.status.code() == Some(2),
        "not refused: {output:?}"
    );
    ensure!(said.contains("PID namespace"), "not by name: {said}");
    before.assert_same()
}
