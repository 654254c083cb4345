//! A search finds the value that breaks a service whose breaking point is known, and is refused where it could not.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Finished, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use serde_json::Value;

use crate::judged::Service;
use crate::needs::{INJECTOR, by_means_of_devices};
use crate::probe::Probe;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("search::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        // It waits more than it works, and no fault of it switches a setting of the host.
        case("a_known_breaking_point_is_found_within_five_percent", known),
        case("ends_that_agree_end_it", ends_that_agree),
        case("ctrl_c_ends_the_run_and_the_search", interrupted),
        case(
            "what_cannot_be_searched_is_refused_before_anything",
            refused,
        ),
    ]
}

/// Longer than any search here.
const END: Duration = Duration::from_mins(2);

/// How long the service waits for the one that it needs. A call is one packet of the target's, and the answer is none,
/// so a delay of what it sends is the time that a call takes.
const PATIENCE_MS: f64 = 700.0;

/// How far apart what held and what broke may be, and what a host that is busy adds to a call, as a share.
const WITHIN: f64 = 0.05;

/// A service that breaks where what it needs takes longer, and the same beside it, which no fault reaches.
struct Scene {
    target: Service,
    bystander: Service,
    file: String,
}

impl Scene {
    fn new(lab: &mut Lab, injector: &Injector) -> Result<Self> {
        let needs = lab.serve("udp-echo")?;
        let patience = ["--patience", "700ms"];
        let agent = lab.agent();
        let target = Service::start_with(lab, agent, needs, "comes-back", &patience)?;
        let bystander = lab.bystander();
        let bystander = Service::start_with(lab, bystander, needs, "never-comes-back", &patience)?;
        let file = injector.state().join("slow.yaml");
        let text = format!(
            "name: slow\nhypothesis: It answers.\ntargets: {{ agent: {{ pid: {} }} }}\nprobes:\n{}{}steady-state: [api]\n\
             controls: [bystander]\nobjectives: {{ rto: 2s }}\nbaseline: 5s\nrecovery: 6s\nsteps:\n  - name: slow\n    \
             duration: 4s\n    faults:\n      - net.delay: {{ latency: 100ms, protocol: udp, dest-port: [{}] }}\n",
            target.pid(),
            probe("api", &target),
            probe("bystander", &bystander),
            needs.port()
        );
        fs::write(&file, text)?;
        Ok(Self {
            target,
            bystander,
            file: file.to_string_lossy().into_owned(),
        })
    }

    fn search(&self, injector: &Injector, from: &str, to: &str, more: &[&str]) -> Result<Finished> {
        let words = [
            "search",
            &self.file,
            "--parameter",
            "steps[0].latency",
            "--from",
            from,
            "--to",
            to,
        ];
        let words = [&words, more].concat();
        injector.start_here(&words)?.wait_within(END)
    }
}

/// A service that is bad answers so every time; on a busy host an answer may come late.
fn probe(name: &str, service: &Service) -> String {
    let address = service.address();
    format!("  {name}: http http://{address}/ fails 3 of 4 every 200ms within 200ms\n")
}

fn document(finished: &Finished) -> Result<Value> {
    serde_json::from_str(&finished.stdout).with_context(|| format!("no document: {finished:?}"))
}

fn milliseconds(value: &Value) -> Result<f64> {
    let text = value.as_str().context("no value")?;
    Ok(humantime::parse_duration(text)?.as_secs_f64() * 1_000.0)
}

fn known() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let mut scene = Scene::new(&mut lab, &injector)?;
    let finished = scene.search(&injector, "650ms", "760ms", &["--json", "--within", "5%"])?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let told = document(&finished)?;
    ensure!(
        told["result"] == "found" && told["what"] == "net.delay latency",
        "{told:#}"
    );
    let holds = milliseconds(&told["holds"]["value"])?;
    let breaks = milliseconds(&told["breaks"]["value"])?;
    ensure!(
        holds < breaks && breaks <= holds * (1.0 + WITHIN),
        "{holds} ms held and {breaks} ms broke: {told:#}"
    );
    for end in [holds, breaks] {
        ensure!(
            (end - PATIENCE_MS).abs() <= PATIENCE_MS * WITHIN,
            "{end} ms is not within 5 % of {PATIENCE_MS} ms: {told:#}"
        );
    }
    let trials = told["trials"].as_array().context("no trials")?;
    ensure!(
        told["runs"] == trials.len() && trials.len() >= 4,
        "{told:#}"
    );
    for trial in trials {
        let value = milliseconds(&trial["value"])?;
        let verdict = &trial["judgement"]["verdict"];
        // What lies between the two was not run.
        let expected = if value >= breaks { "deviated" } else { "held" };
        ensure!(verdict == expected, "{value} ms: {trial:#}");
        let control = &trial["judgement"]["probes"][1];
        ensure!(control["fate"] == "absorbed", "the bystander: {control:#}");
    }
    ensure!(
        scene.bystander.outage_ms()?.is_none(),
        "the bystander was bad"
    );
    ensure!(
        scene.target.pid() > 0 && told["replay"].as_str().is_some_and(|it| it.contains("run")),
        "{told:#}"
    );
    Ok(())
}

/// The value that is set by its path is the one that acts, and its command says what came of both ends.
fn ends_that_agree() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let scene = Scene::new(&mut lab, &injector)?;
    let finished = scene.search(&injector, "10ms", "20ms", &[])?;
    ensure!(
        finished.code == Some(2)
            && finished
                .stderr
                .contains("both ends hold: 10ms (held) and 20ms (held)"),
        "{finished:?}"
    );
    ensure!(
        finished.stdout.lines().count() >= 2
            && finished.stdout.starts_with("10ms  ")
            && finished.stdout.contains("\n20ms  "),
        "{finished:?}"
    );
    // The daemon carries out what a search asks for, as it does for any command.
    let daemon = injector.start_daemon()?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let finished = scene.search(&injector, "1s", "2s", &["--json", "--cgroup", &cgroup])?;
    daemon.interrupt()?;
    let told = document(&finished)?;
    ensure!(
        finished.code == Some(2)
            && told["result"] == "everything-breaks"
            && told["runs"] == 1
            && finished
                .stderr
                .contains("the mildest end, 1s, breaks already (deviated)"),
        "{finished:?}"
    );
    let set = ["run", &scene.file, "--set", "steps[0].latency=1s", "--json"];
    let finished = injector.start_here(&set)?.wait_within(END)?;
    let report = document(&finished)?;
    ensure!(
        finished.code == Some(1) && report["faults"][0]["parameters"]["latency"] == "1s",
        "{report:#}"
    );
    Ok(())
}

fn interrupted() -> Result<()> {
    by_means_of_devices()?;
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let file = injector.state().join("long.yaml");
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    // The process that is asked is there all the time.
    let pid = std::process::id();
    let text = format!(
        "name: long\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\nprobes: {{ here: {{ process: {{ pid: {pid} }}, every: 200ms, within: 200ms }} }}\n\
         steady-state: [here]\nbaseline: 5s\nsteps:\n  - {{ name: long, duration: 50s, faults: [net.loss: {{ percent: 1% }}] }}\n"
    );
    fs::write(&file, text)?;
    let path = file.to_string_lossy();
    let words = [
        "search",
        &path,
        "--parameter",
        "steps[0].percent",
        "--from",
        "99%",
        "--to",
        "100%",
        "--json",
    ];
    let command = injector.start_here(&words)?;
    eventually("the first run to be felt", Duration::from_secs(30), || {
        let look = agent.look()?;
        Ok((look.ok < look.sent / 2).then_some(()))
    })?;
    let finished = command.interrupt()?;
    agent.expect_calm("the target, after Ctrl-C,")?;
    let told = document(&finished)?;
    ensure!(
        finished.code == Some(1)
            && told["result"] == "broken-off"
            && told["runs"] == 1
            && told["trials"][0]["outcome"] == "stopped"
            && told["ended"].is_string(),
        "{finished:?}"
    );
    Ok(())
}

fn refused() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::configured("[limits]\nmax_hits = 100\n")?;
    let idle = Victim::start(lab.agent(), &["sleep"])?;
    let file = injector.state().join("file.yaml");
    let text = format!(
        "name: x\ntargets: {{ a: {{ pid: {} }} }}\nprobes: {{ web: 'tcp 127.0.0.1:80 every 100ms' }}\nsteady-state: [web]\n\
         variables: {{ hits: 10 }}\nsteps:\n  - name: s\n    duration: 1s\n    faults:\n      - net.delay: {{ latency: 1s, max-hits: '${{hits}}' }}\n",
        idle.pid()
    );
    fs::write(&file, text)?;
    let path = file.to_string_lossy().into_owned();
    let search = |parameter: &str, from: &str, to: &str, more: &[&str]| {
        let words = [
            "search",
            &path,
            "--parameter",
            parameter,
            "--from",
            from,
            "--to",
            to,
        ];
        injector.once(&[&words, more].concat())
    };
    let cases = [
        (
            "steps[0].latency",
            "10ms",
            "10ms",
            &[][..],
            2,
            "is not below",
        ),
        ("steps[0].latency", "1kbit", "1mbit", &[], 2, "is a time"),
        (
            "steps[0].max-hits",
            "10ms",
            "1s",
            &[],
            2,
            "file.yaml:10:45: `max-hits` of `net.delay` is no time",
        ),
        (
            "steps[0].net.dely.latency",
            "10ms",
            "1s",
            &[],
            2,
            "did you mean `net.delay`?",
        ),
        ("$hits", "10ms", "1s", &[], 2, "file.yaml:10:"),
        // What the host does not allow is refused by the host's words and code, with the harshest end first.
        (
            "steps[0].latency",
            "10ms",
            "1s",
            &["--set", "hits=1000"],
            3,
            "with steps[0].latency = 1s: ",
        ),
    ];
    for (parameter, from, to, more, code, part) in cases {
        let finished = search(parameter, from, to, more)?;
        ensure!(
            finished.code == Some(code) && finished.stderr.contains(part),
            "{part:?} is not in {finished:?}"
        );
    }
    let rehearsed = search("steps[0].latency", "10ms", "1s", &["--dry-run"])?;
    ensure!(
        rehearsed.code == Some(0) && rehearsed.stdout.contains("a search could start now"),
        "{rehearsed:?}"
    );
    let listed = injector.once(&["list", "--json"])?;
    ensure!(
        !listed.stdout.contains("\"run\""),
        "a run was made: {listed:?}"
    );
    Ok(())
}
