//! Which processes a fault is put on, and which are strangers.

mod endings;
mod picks;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::observation::Summary;
use injector_tests::pids;
use injector_tests::place::Place;
use injector_tests::victim::Victim;

use crate::needs::{INJECTOR, INJECTOR_AND_NETNS};
use crate::probe::{Observer, Probe};
use crate::suite::Case;

const DELAY: [&str; 4] = ["net", "delay", "--latency", "100ms"];
const ASKED_NS: u64 = 100_000_000;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("target::{name}"), INJECTOR, run).beside_others()
    };
    let mut cases = vec![
        case("pid_with_an_open_connection", || by_pid(Place::default())),
        case("two_pids", two_pids),
        case("tree_present_and_future", tree),
        case("pid_without_tree_spares_children", pid_spares_children),
        case("pid_covers_threads", pid_covers_threads),
        case("cgroup_with_descendants", descendants),
        case("cgroup_relative_to_the_mount", relative_cgroup),
        case("accepted_connections_of_a_server", accepted),
        case("process_by_command_line", by_command_line),
        case("container_by_prefix", container),
        case("unit_by_name", unit),
        case("a_reused_pid_is_a_stranger", reused_pid),
        case("a_process_that_enters_the_cgroup_later", enters_later),
        case("a_cgroup_that_is_made_again", endings::made_again),
        case("a_cgroup_that_stays_away", endings::stays_away),
        case("an_end_is_told_and_waited_out", endings::end_waited_out),
        case("an_end_ends_the_run_where_asked", endings::end_ends),
        case("names_of_any_bytes", any_bytes),
        case("two_of_four_at_random", picks::two_of_four),
    ];
    let name = "target::a_process_in_another_namespace_is_reported";
    cases.push(Case::new(name, INJECTOR_AND_NETNS, stranger_namespace));
    let name = "target::a_device_that_appears_later";
    cases.push(Case::new(name, INJECTOR_AND_NETNS, device_appears));
    cases.push(Case::new(
        "target::pid_in_another_network_namespace",
        INJECTOR_AND_NETNS,
        || {
            let lab = Lab::new(Wire::Veth, Family::V4)?;
            by_pid(Place {
                cgroup: None,
                ..lab.agent()
            })
        },
    ));
    cases
}

fn arm(injector: &Injector, target: &[&str]) -> Result<Running> {
    injector.arm(&[&DELAY[..], target, &["--duration", "60s", "--json"]].concat())
}

fn ensure_late(who: &str, summary: &Summary) -> Result<()> {
    ensure!(
        summary.ok == summary.sent && summary.p50_ns >= ASKED_NS,
        "{who} is not late: {summary:?}"
    );
    Ok(())
}

/// The target's cgroup is the root or that of this test: only its PID tells it apart.
fn by_pid(place: Place<'_>) -> Result<()> {
    let listen = ["tcp-echo", "--listen", "127.0.0.1:0"];
    let (_server, address) = Victim::start_server(place, &listen)?;
    let address = address.context("no address")?;
    let mut target = Probe::TcpPing.observe(place, address)?;
    let mut neighbour = Probe::TcpPing.observe(place, address)?;
    let injector = Injector::new()?;
    let armed = arm(&injector, &["--pid", &target.pid().to_string()])?;
    ensure_late("the target", &target.look()?)?;
    neighbour.expect_calm("a neighbour")?;
    armed.report()?;
    target.expect_calm("the target, after the fault,")
}

fn two_pids() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut three: Vec<Observer> = (0..3)
        .map(|_each| Probe::TcpPing.observe(lab.bystander(), server))
        .collect::<Result<_>>()?;
    let pids: Vec<String> = three
        .iter()
        .map(|observer| observer.pid().to_string())
        .collect();
    let injector = Injector::new()?;
    let armed = arm(&injector, &["--pid", &pids[0], "--pid", &pids[2]])?;
    ensure_late("the first", &three[0].look()?)?;
    three[1].expect_calm("the one in between")?;
    ensure_late("the last", &three[2].look()?)?;
    armed.report()?;
    Ok(())
}

/// A tree, and what each of its voices heard.
fn voices(target: &[&str]) -> Result<Vec<Summary>> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let arguments = ["fork-tree", "--connect", &server, "--count", "2"];
    let mut tree = Victim::start(lab.bystander(), &arguments)?;
    let mut stranger = Victim::start(lab.bystander(), &arguments)?;
    let injector = Injector::new()?;
    let pid = tree.pid().to_string();
    let armed = arm(&injector, &[&["--pid", &pid], target].concat())?;
    let voices = tree.chorus()?;
    for voice in stranger.chorus()? {
        ensure!(voice.p50_ns < ASKED_NS / 2, "a stranger is late: {voice:?}");
    }
    armed.report()?;
    Ok(voices)
}

fn tree() -> Result<()> {
    let voices = voices(&["--tree"])?;
    ensure!(voices.len() >= 10, "only {} voices", voices.len());
    voices
        .iter()
        .try_for_each(|voice| ensure_late(&voice.who, voice))
}

fn pid_spares_children() -> Result<()> {
    for voice in voices(&[])? {
        if voice.who.contains("child") {
            ensure!(voice.p50_ns < ASKED_NS / 2, "a child is late: {voice:?}");
        } else {
            ensure_late(&voice.who, &voice)?;
        }
    }
    Ok(())
}

fn pid_covers_threads() -> Result<()> {
    let voices = voices(&[])?;
    let own = |voice: &&Summary| voice.who == "main" || voice.who == "thread";
    ensure!(
        voices.iter().filter(own).count() == 2,
        "not both voices: {voices:?}"
    );
    voices
        .iter()
        .filter(own)
        .try_for_each(|voice| ensure_late(&voice.who, voice))
}

fn descendants() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let child = lab.cgroups.agent.child("old")?;
    let mut old = Probe::TcpPing.observe(
        Place {
            cgroup: Some(&child),
            netns: None,
        },
        server,
    )?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &DELAY)?;
    let young = lab.cgroups.agent.child("new")?;
    let mut new = Probe::TcpPing.observe(
        Place {
            cgroup: Some(&young),
            netns: None,
        },
        server,
    )?;
    ensure_late("a process in an old child cgroup", &old.look()?)?;
    ensure_late("a process in a new child cgroup", &new.look()?)?;
    armed.report()?;
    drop((old, new));
    Ok(())
}

fn relative_cgroup() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut target = Probe::TcpPing.observe(lab.agent(), server)?;
    let mount = injector_tests::cgroup::mount()?;
    let relative = lab
        .cgroups
        .agent
        .path()
        .strip_prefix(mount)?
        .to_string_lossy()
        .into_owned();
    let injector = Injector::new()?;
    let armed = arm(&injector, &["--cgroup", &relative])?;
    ensure_late("the target", &target.look()?)?;
    armed.report()?;
    Ok(())
}

/// The server is the target: its answers are late on connections from before and from now.
fn accepted() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let listen = ["tcp-echo", "--listen", "127.0.0.77:0"];
    let (_server, address) = Victim::start_server(lab.agent(), &listen)?;
    let address = address.context("no address")?;
    let mut old = Probe::TcpPing.observe(lab.bystander(), address)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &DELAY)?;
    let mut new = Probe::TcpPing.observe(lab.bystander(), address)?;
    ensure_late("the answer on an old connection", &old.look()?)?;
    ensure_late("the answer on a new connection", &new.look()?)?;
    armed.report()?;
    Ok(())
}

fn by_command_line() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut target = Probe::TcpPing.observe(lab.agent(), server)?;
    let pattern = format!("tcp-ping --connect {server}");
    let injector = Injector::new()?;
    let armed = arm(&injector, &["--process", &pattern])?;
    ensure_late("the target", &target.look()?)?;
    armed.report()?;

    let mut second = Probe::TcpPing.observe(lab.agent(), server)?;
    let two = ["--process", &pattern, "--duration", "5s"];
    let refused = injector.once(&[&DELAY[..], &two].concat())?;
    ensure!(
        refused.code == Some(2) || refused.code == Some(3),
        "not refused: {refused:?}"
    );
    ensure!(
        refused.stderr.contains("--all"),
        "no remedy: {}",
        refused.stderr
    );
    let armed = arm(&injector, &["--process", &pattern, "--all"])?;
    ensure_late("the first", &target.look()?)?;
    ensure_late("the second", &second.look()?)?;
    armed.report()?;
    Ok(())
}

/// A cgroup with the name that a container engine would give it.
fn container() -> Result<()> {
    let id = format!(
        "{:064x}",
        0x00c0_ffee_0000_u64 + u64::from(std::process::id())
    );
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let scope = lab.cgroups.agent.child(&format!("docker-{id}.scope"))?;
    let mut target = Probe::TcpPing.observe(
        Place {
            cgroup: Some(&scope),
            netns: None,
        },
        server,
    )?;
    let mut neighbour = Probe::TcpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = arm(&injector, &["--container", &id])?;
    ensure_late("the container", &target.look()?)?;
    neighbour.expect_calm("a process outside of it")?;
    armed.report()?;
    drop(target);
    Ok(())
}

/// A cgroup with the name that systemd would give it.
fn unit() -> Result<()> {
    let name = format!("injector-tests-{}.service", std::process::id());
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let cgroup = lab.cgroups.agent.child(&name)?;
    let mut target = Probe::TcpPing.observe(
        Place {
            cgroup: Some(&cgroup),
            netns: None,
        },
        server,
    )?;
    let mut neighbour = Probe::TcpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = arm(&injector, &["--unit", &name])?;
    ensure_late("the unit", &target.look()?)?;
    neighbour.expect_calm("a process outside of it")?;
    armed.report()?;
    drop(target);
    Ok(())
}

/// The target ends, and its number goes to another process.
fn reused_pid() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut target = Probe::TcpPing.observe(lab.bystander(), server)?;
    let number = target.pid();
    let injector = Injector::new()?;
    let armed = arm(&injector, &["--pid", &number.to_string()])?;
    ensure_late("the target", &target.look()?)?;
    drop(target);
    let start = || Probe::TcpPing.observe(lab.bystander(), server);
    let mut stranger = pids::reuse(number, start, Observer::pid)?;
    stranger.expect_calm("a stranger with the target's number")?;
    // Ends by itself or not: the target has gone either way.
    drop(armed);
    Ok(())
}

/// Covered, or reported: packets on the new device are late, or the report has a note about it.
fn device_appears() -> Result<()> {
    let mut lab = Lab::new(Wire::Veth, Family::V4)?;
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &DELAY)?;
    lab.second_wire()?;
    let server = lab.serve_at("tcp-echo", "10.78.0.2:0".parse()?)?;
    let seen = eventually(
        "the new device to be covered",
        Duration::from_secs(5),
        || {
            let seen = Probe::TcpPing.observe(lab.agent(), server)?.look()?;
            Ok((seen.p50_ns >= ASKED_NS).then_some(seen))
        },
    );
    let finished = armed.interrupt()?;
    let reported = finished.stdout.contains("device") || finished.stderr.contains("device");
    ensure!(
        seen.is_ok() || reported,
        "neither covered nor reported: {finished:?}"
    );
    Ok(())
}

/// A cgroup that is empty when it is armed is expected in the injector's own network namespace; who turns
/// up elsewhere is out of reach, and that is said.
fn stranger_namespace() -> Result<()> {
    let lab = Lab::new(Wire::Veth, Family::V4)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &DELAY)?;
    let resident = Victim::start(lab.agent(), &["sleep"])?;
    sleep(Duration::from_secs(3));
    let finished = armed.interrupt()?;
    let told = finished.stderr.contains("process_not_covered")
        && finished.stderr.contains(&resident.pid().to_string());
    ensure!(told, "nobody was told: {finished:?}");
    Ok(())
}

/// Names are bytes: a command line with the byte E9 is matched, a cgroup of such a name is refused in words, and
/// a process in it is protected all the same.
fn any_bytes() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let odd = lab.cgroups.agent.path().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&odd)?;
    let injector = Injector::configured(&format!(
        "[protected]\ncgroups = [\"/{}\"]\n",
        odd.strip_prefix(injector_tests::cgroup::mount()?)?
            .parent()
            .context("no parent")?
            .display()
    ))?;
    let mut child = Command::new("sh")
        .args(["-c", "read line", "sh"])
        .arg(OsStr::from_bytes(b"injector-e2e-\xe9-argv"))
        .stdin(Stdio::piped())
        .spawn()?;
    let pid = child.id().to_string();
    let rehearse = |target: [&str; 2]| {
        let words = ["--dry-run", "--json", "--duration", "1s"];
        injector.once(&[&DELAY[..], &target, &words].concat())
    };
    let matched = rehearse(["--process", "injector-e2e-.-argv"])?;
    std::fs::write(odd.join("cgroup.procs"), &pid)?;
    let protected = rehearse(["--pid", &pid])?;
    let mut command = injector.command(&DELAY);
    command.args(["--duration", "1s", "--cgroup"]).arg(&odd);
    let refused = Running::spawn(command)?.wait()?;
    child.kill()?;
    child.wait()?;
    eventually("the cgroup to go", Duration::from_secs(2), || {
        Ok(std::fs::remove_dir(&odd).ok())
    })?;
    ensure!(matched.stdout.contains(&pid), "{matched:?}");
    ensure!(
        protected.stdout.contains("protected") && protected.stdout.contains("\\\\xe9"),
        "{protected:?}"
    );
    ensure!(refused.code == Some(2), "{refused:?}");
    ensure!(refused.stderr.contains("not UTF-8"), "{refused:?}");
    Ok(())
}

/// A process that comes later by writing to cgroup.procs, as container engines do.
fn enters_later() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &DELAY)?;
    let procs = lab.cgroups.agent.path().join("cgroup.procs");
    let victim = injector_tests::binaries::victim()?;
    // The shell enters and becomes the victim; its sockets are made afterwards.
    let script = format!(
        "echo 0 > {} && exec {} \"$@\"",
        procs.display(),
        victim.display()
    );
    let mut child = Command::new("sh")
        .args([
            "-c",
            &script,
            "sh",
            "tcp-ping",
            "--connect",
            &server,
            "--count",
            "3",
        ])
        .stdout(Stdio::piped())
        .spawn()?;
    eventually("the victim to end", Duration::from_secs(10), || {
        Ok(child.try_wait()?)
    })?;
    let said = child.wait_with_output()?.stdout;
    let last = String::from_utf8(said)?
        .lines()
        .last()
        .map(ToOwned::to_owned);
    let line = serde_json::from_str(&last.context("the victim said nothing")?)?;
    let injector_tests::observation::Line::Summary(summary) = line else {
        anyhow::bail!("no summary but {line:?}");
    };
    ensure_late("the newcomer", &summary)?;
    armed.report()?;
    Ok(())
}
