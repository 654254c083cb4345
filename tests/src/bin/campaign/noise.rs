//! Noise alone: a fault that does nothing must not come out as a deviation. Each run is real: a service that talks to
//! another all the time, asked every 100 ms, judged by the default objectives, beside others on a busy machine.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use serde_json::Value;

use crate::oracle::Outcome;

/// Runs at a time: more than that and the machine is measured, and not the method.
const AT_ONCE: u64 = 4;
/// Of a hundred runs, the most that may be called deviated.
const MOST_PERCENT: u64 = 2;
/// Longer than any run.
const END: Duration = Duration::from_mins(2);

/// So many runs.
pub(crate) fn campaign(runs: u64, at_once: usize) -> Result<Outcome> {
    let at_once = u64::try_from(at_once)?.clamp(1, AT_ONCE);
    let mut outcome = Outcome::default();
    let mut verdicts: Vec<(String, u64)> = Vec::new();
    let mut left = runs;
    while left > 0 {
        let together = left.min(at_once);
        left -= together;
        let threads: Vec<_> = (0..together).map(|_| thread::spawn(run)).collect();
        for thread in threads {
            let ended = thread.join();
            let (verdict, hits) = ended.map_err(|_panic| anyhow::anyhow!("a run broke off"))??;
            outcome.runs += 1;
            outcome.hits += hits;
            match verdicts.iter_mut().find(|(known, _)| *known == verdict) {
                Some((_, count)) => *count += 1,
                None => verdicts.push((verdict, 1)),
            }
        }
    }
    let told: Vec<String> = verdicts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    outcome
        .figures
        .push(format!("verdicts: {}", told.join(", ")));
    let of = |wanted: &str| {
        let found = verdicts.iter().find(|(verdict, _)| verdict == wanted);
        found.map_or(0, |(_, count)| *count)
    };
    let (held, wrong) = (of("held"), runs - of("held") - of("inconclusive"));
    if wrong * 100 > runs * MOST_PERCENT {
        outcome.violated(format!(
            "{wrong} of {runs} runs without a fault did not hold"
        ));
    }
    // A method that never says anything is never wrong.
    if held * 2 < runs {
        outcome.violated(format!("only {held} of {runs} runs could be judged"));
    }
    Ok(outcome)
}

/// One run: its verdict, and how many packets its fault met.
fn run() -> Result<(String, u64)> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let needs = lab.serve("udp-echo")?;
    let listen = SocketAddr::new(lab.address(), 0);
    let service = |place| Victim::start_dependent(place, listen, needs, "never-comes-back", &[]);
    let (_service, address) = service(lab.agent())?;
    let (_control, beside) = service(lab.bystander())?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let file = injector.state().join("noise.yaml");
    let text = format!(
        "name: noise\nhypothesis: Nothing changes where nothing is done.\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\n\
         probes:\n  service: http http://{address}/ every 100ms within 100ms\n  \
         beside: http http://{beside}/ every 100ms within 100ms\nsteady-state: [service]\ncontrols: [beside]\n\
         baseline: 6s\nrecovery: 7s\nsteps:\n  - {{ name: nothing, duration: 4s, faults: [noop] }}\n"
    );
    fs::write(&file, text)?;
    let path = file.to_string_lossy();
    let finished = injector
        .start_here(&["run", &path, "--json"])?
        .wait_within(END)?;
    let report: Value = serde_json::from_str(&finished.stdout)
        .with_context(|| format!("no report: {finished:?}"))?;
    let verdict = report["judgement"]["verdict"].as_str();
    let verdict = verdict.with_context(|| format!("no verdict: {finished:?}"))?;
    if verdict != "held" {
        eprintln!("{verdict}: {}", report["judgement"]);
    }
    let hits = report["faults"][0]["hit"].as_u64().unwrap_or_default();
    ensure!(hits > 0, "the fault met nothing: {finished:?}");
    Ok((verdict.to_owned(), hits))
}
