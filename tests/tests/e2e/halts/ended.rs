//! How a halted run ends: at once, by the socket too; and who hears of it, last.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::boot_clock;
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use serde_json::Value;

use super::{CUT, SOON, Stage, case, halted};
use crate::suite::Case;

const DELAY: [&str; 4] = ["net", "delay", "--latency", "100ms"];

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("a_person_is_told_after_the_undo", escalation),
        case("the_socket_halts_at_once", through_the_socket),
        case("a_busy_target_is_left_alone_within_a_moment", latency),
    ]
}

const ACCEPT_LOCAL: &str = "/proc/sys/net/ipv4/conf/lo/accept_local";

/// The command finds everything put back. The web server that never answers does not delay the end of the fault,
/// and the report says which channels were told and which were not, without secrets.
fn escalation() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("accept_local");
    let config = format!(
        "[escalation]\ncommand = [\"/bin/cp\", \"{ACCEPT_LOCAL}\", \"{}\"]\nwebhook = \"http://{}/T0K3N\"\n\
         journald = true\n",
        copy.display(),
        silent.local_addr()?
    );
    let mut stage = Stage::allowed(&config)?;
    let before = fs::read_to_string(ACCEPT_LOCAL)?;
    let victim = Victim::start(stage.lab.agent(), &["sleep"])?;
    let flags = ["--halt-if", "target.exits >= 1"];
    let mut armed = stage
        .lab
        .arm(&stage.injector, &[&DELAY[..], &flags].concat())?;
    ensure!(
        fs::read_to_string(ACCEPT_LOCAL)?.trim() == "1",
        "nothing is there to undo"
    );
    drop(victim);
    eventually("the command to have run", Duration::from_secs(5), || {
        Ok(fs::read_to_string(&copy)
            .ok()
            .filter(|text| !text.is_empty()))
    })?;
    ensure!(armed.is_running()?, "the web server was not waited for");
    stage
        .agent
        .expect_calm("the target, while the web server hangs,")?;
    ensure!(
        fs::read_to_string(&copy)? == before,
        "the command came before the undo"
    );
    let report = halted(&armed.wait_within(SOON)?, "target.exits >= 1")?;
    let told = report["told"].as_array().context("nobody was told")?;
    let of = |channel: &str| told.iter().find(|notice| notice["channel"] == channel);
    let command = of("command").context("no word of the command")?;
    ensure!(
        command["failed"].is_null() && command["whom"] == "/bin/cp",
        "{report}"
    );
    let webhook = of("webhook").context("no word of the webhook")?;
    let why = webhook["failed"].as_str().unwrap_or_default();
    ensure!(why.contains("no answer within"), "{report}");
    ensure!(of("journald").is_some(), "{report}");
    let run = report["run"].as_str().context("no run")?;
    let journal = fs::read_to_string(stage.injector.state().join(format!("runs/{run}.jsonl")))?;
    ensure!(journal.matches("\"told\"").count() >= 3, "{journal}");
    ensure!(
        !journal.contains("T0K3N"),
        "a secret is on record: {journal}"
    );
    let audit = stage.injector.once(&["audit", run])?;
    ensure!(audit.stdout.contains("told /bin/cp"), "{audit:?}");
    ensure!(audit.stdout.contains("could not tell http://"), "{audit:?}");
    Ok(())
}

/// One request on the daemon's socket; the status and the body.
fn ask(socket: &Path, head: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(SOON))?;
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let (_head, body) = answer.split_once("\r\n\r\n").context("no body")?;
    Ok((status.context("no status")?, body.to_owned()))
}

fn through_the_socket() -> Result<()> {
    let mut stage = Stage::new()?;
    let daemon = stage.injector.start_daemon()?;
    let armed = stage.arm("target.exits >= 100")?;
    let socket = stage.injector.state().join("injector.sock");
    let (status, body) = ask(&socket, "POST /v1/halt", "{\"reason\":\"smoke in room 5\"}")?;
    // The answer comes after the last lease was ended.
    stage.agent.expect_calm("the target, after the answer,")?;
    ensure!(
        status == 200 && body.contains("smoke in room 5"),
        "{status} {body}"
    );
    let finished = armed.wait_within(SOON)?;
    ensure!(finished.report()?.outcome == "halted", "{finished:?}");
    ensure!(
        stage.injector.state().join("runs/halt").exists(),
        "the kill switch is not pulled"
    );
    let victim = Victim::start(stage.lab.agent(), &["sleep"])?;
    let pid = victim.pid().to_string();
    let another = [&CUT[..], &["--pid", &pid, "--duration", "300ms"]].concat();
    let refused = stage.injector.once(&another)?;
    ensure!(refused.code == Some(3), "{refused:?}");
    let (status, body) = ask(&socket, "DELETE /v1/halt", "")?;
    ensure!(
        status == 200 && body.contains("smoke in room 5"),
        "{status} {body}"
    );
    let again = stage.injector.once(&another)?;
    ensure!(again.code == Some(0), "not resumed: {again:?}");
    daemon.interrupt()?;
    Ok(())
}

/// The longest that a busy target may be hit after the reason to halt is there. The promise is 200 ms; a test on
/// a busy machine is content with this.
const A_MOMENT_NS: u64 = 1_000_000_000;

/// A target that sends all the time is hit until the reason is there, and not for long after.
fn latency() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-sink")?.to_string();
    let blast = [
        "udp-blast",
        "--connect",
        &server,
        "--rate",
        "2000",
        "--count",
        "1000000",
    ];
    let _busy = Victim::start(lab.agent(), &blast)?;
    let injector = Injector::new()?;
    let flags = ["--halt-if", "target.exits >= 1"];
    let fault = [&CUT[..], &flags].concat();

    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let armed = lab.arm(&injector, &fault)?;
    let there = boot_clock::now_ns();
    drop(victim);
    let report = halted(&armed.wait_within(SOON)?, "target.exits")?;
    last_hit_soon_after(there, &report, "the end of a process")?;

    let armed = lab.arm(&injector, &fault)?;
    let there = boot_clock::now_ns();
    fs::write(injector.state().join("runs/halt"), "")?;
    let finished = armed.wait_within(SOON)?;
    let start = finished.stdout.find('{').context("no report")?;
    let report: Value = serde_json::from_str(&finished.stdout[start..])?;
    last_hit_soon_after(there, &report, "the kill switch's file")
}

fn last_hit_soon_after(there: u64, report: &Value, reason: &str) -> Result<()> {
    let hits = report["faults"][0]["hit"].as_u64().unwrap_or_default();
    ensure!(hits > 0, "nothing was hit: {report}");
    let halt = &report["halt"];
    let seen = halt["seen_boot_ns"].as_u64().context("never seen")?;
    // Without a hit after that, this is the longest that it may have been.
    let after = halt["last_hit_after_us"].as_u64().unwrap_or_default();
    let last = (seen + after * 1_000).saturating_sub(there);
    println!(
        "{reason}: last hit of {hits} at most {} ms after it",
        last / 1_000_000
    );
    ensure!(last < A_MOMENT_NS, "{last} ns: {report}");
    Ok(())
}
