//! The share that was asked for, and budgets that eight threads use up together: exactly.

use std::fs;

use anyhow::Result;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;

use crate::oracle::Outcome;

/// Calls of each of the eight threads.
const CALLS: u64 = 20_000;
const THREADS: u64 = 8;
const BUDGET: u64 = 1_000;
/// Faults of one target, one behind the other: the next is met when the budget before it is spent, so that each run
/// has so many last tokens for the threads to meet at.
const FAULTS: usize = 30;
const SMALL_BUDGET: u64 = 200;

/// Each run draws another share.
pub(crate) fn campaign(seed: u64, runs: u64) -> Result<Outcome> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let words = [
        "connect-udp",
        "--connect",
        &server,
        "--count",
        &CALLS.to_string(),
        "--threads",
        &THREADS.to_string(),
        "--wait",
    ]
    .map(ToOwned::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut agent = Victim::start(lab.agent(), &words)?;
    let injector = Injector::new()?;
    let mut outcome = Outcome::default();
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let file = injector.state().join("budgets.yaml");
    fs::write(&file, many_budgets())?;
    let many = ["run", &file.to_string_lossy(), "--cgroup", &cgroup].map(ToOwned::to_owned);
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for run in 0..runs {
        let percent = 1 + injector_common::decide::random64(seed, run) % 99;
        let (percent_text, seed_text) = (format!("{percent}%"), (seed + run).to_string());
        let fault = ["net", "connect", "--errno", "ECONNREFUSED"];
        let share = ["--percent", &percent_text, "--seed", &seed_text];
        let here = ["--cgroup", &cgroup, "--duration", "60s"];
        let words = [&fault[..], &share, &here].concat();
        let met = hits(&injector, &mut agent, &words, &mut outcome)?;
        #[expect(clippy::cast_precision_loss, reason = "counts of 160 000")]
        let (n, p) = ((CALLS * THREADS) as f64, percent as f64 / 100.0);
        #[expect(clippy::cast_precision_loss, reason = "as above")]
        let sigmas = (met as f64 - n * p).abs() / (n * p * (1.0 - p)).sqrt();
        // One in 1.7 million draws is as far off by chance.
        if sigmas > 5.0 {
            outcome.violated(format!(
                "{percent} % hit {met} of {n}, {sigmas:.1} sigmas off"
            ));
        }
        let budget = ["--max-hits", &BUDGET.to_string()].map(ToOwned::to_owned);
        let budget: Vec<&str> = budget.iter().map(String::as_str).collect();
        let words = [&fault[..], &budget, &here].concat();
        let met = hits(&injector, &mut agent, &words, &mut outcome)?;
        if met != BUDGET {
            outcome.violated(format!(
                "a budget of {BUDGET} gave {met} hits to {THREADS} threads"
            ));
        }
        let met = hits(&injector, &mut agent, &many, &mut outcome)?;
        if met != SMALL_BUDGET * FAULTS as u64 {
            outcome.violated(format!(
                "{FAULTS} budgets of {SMALL_BUDGET} gave {met} hits to {THREADS} threads"
            ));
        }
    }
    Ok(outcome)
}

/// An experiment of one step with all of them.
fn many_budgets() -> String {
    let fault =
        format!("      - net.connect: {{ errno: ECONNREFUSED, max-hits: {SMALL_BUDGET} }}\n");
    format!(
        "targets:\n  agent:\nsteps:\n  - duration: 60s\n    faults:\n{}",
        fault.repeat(FAULTS)
    )
}

/// How many calls of the agent failed; the report must agree.
fn hits(
    injector: &Injector,
    agent: &mut Victim,
    fault: &[&str],
    outcome: &mut Outcome,
) -> Result<u64> {
    let running = injector.arm(&[fault, &["--json"]].concat())?;
    let met = agent.round()?.failures();
    let report = running.report()?;
    let told: u64 = report.faults.iter().map(|fault| fault.hit).sum();
    if told != met {
        outcome.violated(format!(
            "{met} calls failed, and the report says {report:?}"
        ));
    }
    outcome.runs += 1;
    outcome.hits += met;
    Ok(met)
}
