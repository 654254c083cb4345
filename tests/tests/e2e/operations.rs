//! What a run says of its target's operations is what the target says itself.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Finished, Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::observation::Op;
use injector_tests::victim::Victim;
use serde_json::Value;

use crate::needs::INJECTOR;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("operations::{name}"), INJECTOR, run)
    };
    vec![
        case("slow_ones_are_those_that_the_target_knows", slow),
        // It waits more than it works, and its fault switches no setting of the host.
        case("refused_connects_are_bad_with_the_reason", refused).beside_others(),
        case("a_target_that_ends_has_reacted", ended).beside_others(),
        case("what_cannot_be_watched_is_refused", refusals),
    ]
}

/// Longer than any of these runs.
const END: Duration = Duration::from_mins(1);

/// How far times may be apart that the kernel and a victim tell of one operation, and counts of operations at the two
/// ends of a period.
const NEAR_MS: u64 = 30;
const NEAR_COUNT: u64 = 3;

fn start(injector: &Injector, text: &str) -> Result<Running> {
    let file = injector.state().join("operations.yaml");
    fs::write(&file, text)?;
    let path = file.to_string_lossy();
    injector.start_here(&["run", &path, "--json"])
}

/// Runs it, and lets the victims begin once it is armed: their connections are there before.
fn run(text: &str, victims: [&mut Victim; 2]) -> Result<Finished> {
    let injector = Injector::new()?;
    let mut running = start(&injector, text)?;
    running.wait_until_armed()?;
    for victim in victims {
        victim.ask()?;
    }
    running.wait_within(END)
}

fn report(finished: &Finished) -> Result<Value> {
    serde_json::from_str(&finished.stdout).with_context(|| format!("no report: {finished:?}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Each operation takes a second while the fault is on; a bystander's do not count, and its own stay good. Both
/// connections were there before the run.
fn slow() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let ping = |count: &'static str, interval: &'static str| {
        let words = ["tcp-ping", "--connect", &server, "--count", count];
        let words = [&words[..], &["--interval", interval, "--wait", "--each"]].concat();
        move |place| Victim::start(place, &words)
    };
    let mut agent = ping("240", "50ms")(lab.agent())?;
    let mut bystander = ping("75", "170ms")(lab.bystander())?;
    let path = |cgroup: &injector_tests::cgroup::Cgroup| cgroup.path().display().to_string();
    let text = format!(
        "name: slow\ntargets:\n  agent: {{ cgroup: {} }}\n  other: {{ cgroup: {} }}\noperations:\n  \
         calls: {{ of: agent, connect-to: \"{server}\", good: {{ within: 300ms }} }}\n  \
         neighbours: {{ of: other, good: {{ within: 300ms }} }}\nsteady-state: [calls]\ncontrols: [neighbours]\n\
         objectives: {{ rto: 20s }}\nbaseline: 5s\nrecovery: 5500ms\nsteps:\n  - name: slow\n    duration: 1700ms\n    \
         faults: [ net.delay: {{ target: agent, latency: 1s, protocol: tcp }} ]\n",
        path(&lab.cgroups.agent),
        path(&lab.cgroups.bystander),
    );
    let finished = run(&text, [&mut agent, &mut bystander])?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let report = report(&finished)?;
    let judgement = &report["judgement"];
    let (truth, _summary) = agent.operations()?;
    let (of_bystander, _summary) = bystander.operations()?;
    let begun_ns = number(&judgement["times"]["begun_ns"]);
    let watched = begun_ns..begun_ns + number(&report["armed_for_ms"]) * 1_000_000;
    let during = |ops: &[Op]| {
        let during = ops.iter().filter(|op| watched.contains(&op.start_ns));
        u64::try_from(during.count()).unwrap_or(u64::MAX)
    };
    let told = |judged: &Value| {
        let periods = ["baseline", "under_fault", "recovery"];
        let of = |name: &str| periods.map(|period| number(&judged[period][name]));
        (of("answers").iter().sum::<u64>(), of("bad"))
    };
    let [calls, neighbours] = [&judgement["probes"][0], &judgement["probes"][1]];
    let (count, bad) = told(calls);
    ensure!(
        count.abs_diff(during(&truth)) <= NEAR_COUNT,
        "{} operations: {judgement:#}",
        during(&truth)
    );
    let is_bad = |op: &&Op| op.took_ns > 300_000_000;
    let truly_bad: Vec<&Op> = truth.iter().filter(is_bad).collect();
    let (first, last) = truly_bad
        .first()
        .zip(truly_bad.last())
        .context("no operation was slow")?;
    ensure!(
        bad.iter().sum::<u64>() == u64::try_from(truly_bad.len())? && truly_bad.len() >= 2,
        "{truly_bad:?}: {calls:#}"
    );
    let recovered = truth
        .iter()
        .find(|op| op.start_ns > last.start_ns)
        .context("nothing came after the last slow one")?;
    let rta = (recovered.start_ns - first.start_ns) / 1_000_000;
    ensure!(
        number(&calls["rta_ms"]).abs_diff(rta) <= NEAR_MS,
        "{rta} ms by the target itself: {calls:#}"
    );
    ensure!(
        calls["least_ms"] == calls["rta_ms"]
            && calls["operations"]["bad"]["late"] == bad[1] + bad[2],
        "{calls:#}"
    );
    let (count, bad) = told(neighbours);
    ensure!(
        count.abs_diff(during(&of_bystander)) <= NEAR_COUNT && bad == [0; 3],
        "{} operations of the bystander: {neighbours:#}",
        during(&of_bystander)
    );
    ensure!(neighbours["fate"] == "absorbed", "{neighbours:#}");
    Ok(())
}

/// A connect that a fault fails, and one to a port where no process listens, are bad, with the reason. The target is a
/// process.
fn refused() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let closed = format!("{}:1", lab.address());
    let start = |to: &str, what: &[&str]| {
        let words = [what, &["--connect", to, "--count", "600"]].concat();
        let words = [&words[..], &["--interval", "20ms", "--wait", "--each"]].concat();
        Victim::start(lab.agent(), &words)
    };
    let mut agent = start(&server, &["tcp-ping", "--reconnect"])?;
    let mut knocker = start(&closed, &["connect"])?;
    let text = format!(
        "name: refused\ntargets:\n  agent: {{ pid: {} }}\n  knocker: {{ pid: {} }}\noperations:\n  \
         dials: {{ of: agent, kind: connect, connect-to: [\"{server}\"], good: {{ within: 500ms }} }}\n  knocks: {{ of: knocker, kind: connect, good: {{ within: 500ms }} }}\n\
         steady-state: [dials, {{ operations: knocks, ratio: \">= 0.1%\" }}]\n\
         objectives: {{ rto: 20s }}\nbaseline: 5s\nrecovery: 5500ms\nsteps:\n  - name: refused\n    duration: 1s\n    \
         faults: [ net.connect: {{ target: agent, errno: ECONNREFUSED }} ]\n",
        agent.pid(),
        knocker.pid(),
    );
    let finished = run(&text, [&mut agent, &mut knocker])?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let report = report(&finished)?;
    let [dials, knocks] = [0, 1].map(|index| &report["judgement"]["probes"][index]);
    let (truth, summary) = agent.operations()?;
    let refused = summary.error("ECONNREFUSED");
    ensure!(
        refused > 0 && number(&dials["operations"]["bad"]["ECONNREFUSED"]) == refused,
        "{refused} of {}: {dials:#}",
        truth.len()
    );
    ensure!(
        dials["fate"] == "recovered" || dials["fate"] == "adapted",
        "{dials:#}"
    );
    ensure!(
        number(&dials["operations"]["retries"]) == refused,
        "{dials:#}"
    );
    // A client that tries again every 20 ms reacts with the first of them.
    let reaction = &dials["operations"]["reaction"];
    ensure!(
        reaction["what"] == "retry" && number(&reaction["after_ms"]) < 500,
        "{dials:#}"
    );
    let of_baseline = &knocks["baseline"];
    ensure!(
        number(&of_baseline["answers"]) > 100
            && number(&knocks["operations"]["bad"]["ECONNREFUSED"]) > 100,
        "{knocks:#}"
    );
    Ok(())
}

/// A target that ends while its request has no answer has reacted by that, and not by a retry.
fn ended() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let words = ["tcp-ping", "--connect", &server, "--count", "1000"];
    let words = [
        &words[..],
        &["--interval", "20ms", "--timeout", "1m", "--wait"],
    ]
    .concat();
    let mut agent = Victim::start(lab.agent(), &words)?;
    let text = format!(
        "name: ended\ntargets: {{ agent: {{ pid: {} }} }}\noperations:\n  \
         calls: {{ of: agent, connect-to: \"{server}\", good: {{ within: 100ms }} }}\nsteady-state: [calls]\n\
         baseline: 5s\nrecovery: 5500ms\non-target-exit: end\nsteps:\n  - name: silence\n    duration: 20s\n    \
         faults: [ net.blackhole: {{ protocol: tcp }} ]\n",
        agent.pid(),
    );
    let injector = Injector::new()?;
    let mut running = start(&injector, &text)?;
    running.wait_until_armed()?;
    agent.ask()?;
    let deadline = Instant::now() + END;
    while let Some(event) = running.next_event(deadline)
        && !(event.event == "step_started" && event.step.as_deref() == Some("silence"))
    {}
    sleep(LASTS);
    drop(agent);
    let finished = running.wait_within(END)?;
    let report = report(&finished)?;
    ensure!(report["outcome"] == "target-ended", "{report:#}");
    let calls = &report["judgement"]["probes"][0]["operations"];
    let reaction = &calls["reaction"];
    let after_ms = Duration::from_millis(number(&reaction["after_ms"]));
    ensure!(
        reaction["what"] == "target-ended" && after_ms > LASTS / 2 && after_ms < LASTS * 4,
        "{report:#}"
    );
    ensure!(
        calls["bad"]["given up"] == 1 && number(&calls["retries"]) == 0,
        "{calls:#}"
    );
    Ok(())
}

/// How long the fault of a target that ends is on until it does.
const LASTS: Duration = Duration::from_millis(500);

/// Nothing is armed, and the sentence says where and what to do.
fn refusals() -> Result<()> {
    let injector = Injector::new()?;
    let cases = [
        (
            "operations: { calls: { of: agnet } }\nsteady-state: [calls]",
            ":3:28: no target is called `agnet`; did you mean `agent`?",
        ),
        (
            "operations: { calls: { of: agent } }\nsteady-state: [{ ratio: \">= 99%\" }]",
            ":4:18: `ratio` says which share of operations has to be good, and names none",
        ),
        (
            "operations: { calls: { of: agent, connect-to: \"127.0.0.1\" } }\nsteady-state: [calls]",
            ":3:47: `127.0.0.1` is not a host and a port",
        ),
    ];
    for (operations, part) in cases {
        let text = format!(
            "name: x\ntargets: {{ agent: {{ pid: 1 }} }}\n{operations}\nsteps:\n  - {{ name: s, duration: 1s, \
             faults: [net.blackhole] }}\n"
        );
        let finished = start(&injector, &text)?.wait_within(END)?;
        ensure!(finished.code == Some(2), "{text}: {finished:?}");
        ensure!(
            finished.stderr.contains(part),
            "{part:?} is not in {finished:?}, for {text}"
        );
    }
    Ok(())
}
