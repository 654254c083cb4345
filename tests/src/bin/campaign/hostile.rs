//! Clients and servers that break the rules of HTTP, through the relay: the worker goes on, the relay is the same one at
//! the end and has not grown, well-behaved clients beside meet the fault, and bystanders do not.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_common::decide::random64;
use injector_tests::injector::{Injector, relay};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::lack::Lack;
use injector_tests::observation::Summary;
use injector_tests::process_status::kib;
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;

use crate::oracle::{self, Outcome};

/// A fault, the well-behaved server and client beside it, and the word for what the client sees.
type Fault = (&'static str, [&'static str; 2], &'static str, &'static str);

const FAULTS: [Fault; 5] = [
    (
        "llm malformed",
        ["completions", "completions-client"],
        "--stream",
        "json",
    ),
    (
        "llm cut --ending clean --after-tokens 2",
        ["completions", "completions-client"],
        "--stream",
        "ends after 2 words",
    ),
    (
        "llm wrong-model --answers tiny-1",
        ["completions", "completions-client"],
        "--stream",
        "model tiny-1",
    ),
    ("tool empty", ["tools", "tools-client"], "--same", "empty"),
    (
        "tool is-error",
        ["tools", "tools-client"],
        "--same",
        "is-error",
    ),
];

/// Requests of a round, of the hostile client and of a well-behaved one.
const HOSTILE: u64 = 40;
const SOUND: u64 = 3;
/// Hostile clients at once.
const CROWD: u64 = 4;
/// What the relay may take, in KiB. Each connection may hold a few MiB of an answer that it reads as a whole.
const MOST_KIB: u64 = 256 * 1024;

/// Plays so many runs.
pub(crate) fn campaign(seed: u64, runs: u64) -> Result<Outcome> {
    let injector = Injector::new()?;
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    let mut most = 0;
    for number in 0..runs {
        let fault = FAULTS[usize::try_from(number)? % FAULTS.len()];
        let seed = random64(seed, number);
        let what = format!("{}, seed {seed}", fault.0);
        match one(&injector, fault, seed).with_context(|| what.clone())? {
            Ran::Refused => outcome.refused.push(fault.0.to_owned()),
            Ran::Through(hits, kib) => {
                outcome.runs += 1;
                outcome.hits += hits;
                most = most.max(kib);
            }
            Ran::Broke(why) => {
                outcome.runs += 1;
                outcome.violated(format!("{what}: {why}"));
            }
        }
        outcome.check(&what, before.assert_same());
    }
    outcome
        .figures
        .push(format!("the relay took {most} KiB at most"));
    outcome.check("journals", oracle::journals(&injector, outcome.runs));
    Ok(outcome)
}

/// How a run went.
enum Ran {
    /// The host cannot do the fault.
    Refused,
    /// Hits, and the memory that the relay took at most, in KiB.
    Through(u64, u64),
    /// A promise that was broken.
    Broke(String),
}

fn one(
    injector: &Injector,
    (fault, [server, client], more, felt): Fault,
    seed: u64,
) -> Result<Ran> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let any = SocketAddr::new(lab.address(), 0);
    let (_server, sound) = lab.server(server, any)?;
    let (_hostile, hostile) = lab.server("hostile", any)?;
    let sound = sound.to_string();
    let count = SOUND.to_string();
    let words = [
        client,
        "--connect",
        &sound,
        "--wait",
        "--count",
        &count,
        more,
    ];
    let mut agent = Victim::start(lab.agent(), &words)?;
    let mut bystander = Victim::start(lab.bystander(), &words)?;
    let mut crowd = (0..CROWD)
        .map(|place| abuser(&lab, hostile, random64(seed, place)))
        .collect::<Result<Vec<_>>>()?;
    let words: Vec<&str> = fault.split(' ').collect();
    let armed = match lab.arm(injector, &words) {
        Ok(armed) => armed,
        Err(error) if error.is::<Lack>() => return Ok(Ran::Refused),
        Err(error) => return Err(error),
    };
    let worker = armed.worker()?;
    let first = relay(worker).context("no relay")?;
    for abuser in &mut crowd {
        abuser.ask()?;
    }
    let felt_by = [agent.round()?, agent.round()?];
    let beside = bystander.round()?;
    for abuser in &crowd {
        let within = Duration::from_mins(1);
        abuser
            .summary_within(within)?
            .context("a hostile client does not end")?;
    }
    let last = agent.round()?;
    let kib = kib(first, "VmHWM");
    let is_same = relay(worker) == Some(first);
    let report = armed.report()?;
    let met = |summary: &Summary| summary.error(felt) == SOUND;
    let judged = (|| {
        ensure!(
            felt_by.iter().all(met),
            "well-behaved clients beside: {felt_by:?}"
        );
        ensure!(met(&last), "a well-behaved client afterwards: {last:?}");
        ensure!(beside.ok == SOUND, "a bystander: {beside:?}");
        ensure!(is_same, "the relay is another one, or gone");
        ensure!(report.outcome == "stopped", "the run: {report:?}");
        ensure!(report.undo_errors.is_empty(), "the run: {report:?}");
        let kib = kib?;
        ensure!(kib < MOST_KIB, "the relay took {kib} KiB");
        Ok(kib)
    })();
    let hits = report.faults.iter().map(|fault| fault.hit).sum();
    Ok(match judged {
        Ok(kib) => Ran::Through(hits, kib),
        Err(why) => Ran::Broke(format!("{why:#}")),
    })
}

fn abuser(lab: &Lab, server: SocketAddr, seed: u64) -> Result<Victim> {
    let (server, seed, count) = (server.to_string(), seed.to_string(), HOSTILE.to_string());
    let words = [
        "hostile-client",
        "--connect",
        &server,
        "--seed",
        &seed,
        "--count",
        &count,
    ];
    Victim::start(lab.agent(), &words)
}
