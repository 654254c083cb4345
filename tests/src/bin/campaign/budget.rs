//! The share that was asked for, and budgets that eight threads use up together: exactly.

use anyhow::Result;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;

use crate::oracle::Outcome;

/// Calls of each of the eight threads.
const CALLS: u64 = 20_000;
const THREADS: u64 = 8;
const BUDGET: u64 = 1_000;

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
    for run in 0..runs {
        let percent = 1 + injector_common::decide::random64(seed, run) % 99;
        let (percent_text, seed_text) = (format!("{percent}%"), (seed + run).to_string());
        let fault = ["net", "connect", "--errno", "ECONNREFUSED"];
        let share = ["--percent", &percent_text, "--seed", &seed_text];
        let met = hits(
            &lab,
            &injector,
            &mut agent,
            &[&fault[..], &share].concat(),
            &mut outcome,
        )?;
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
        let met = hits(
            &lab,
            &injector,
            &mut agent,
            &[&fault[..], &budget].concat(),
            &mut outcome,
        )?;
        if met != BUDGET {
            outcome.violated(format!(
                "a budget of {BUDGET} gave {met} hits to {THREADS} threads"
            ));
        }
    }
    Ok(outcome)
}

/// How many calls of the agent failed; the report must agree.
fn hits(
    lab: &Lab,
    injector: &Injector,
    agent: &mut Victim,
    fault: &[&str],
    outcome: &mut Outcome,
) -> Result<u64> {
    let running = lab.arm(injector, fault)?;
    let met = agent.round()?.failures();
    let report = running.report()?;
    if report.faults[0].hit != met {
        outcome.violated(format!(
            "{met} calls failed, and the report says {report:?}"
        ));
    }
    outcome.runs += 1;
    outcome.hits += met;
    Ok(met)
}
