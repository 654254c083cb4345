//! What a target does about faults on requests, as the report says it, against clients whose habits are known.

use anyhow::{Result, ensure};
use injector_tests::injector::{FaultReport, Injector};
use injector_tests::lab::{Family, Lab, Wire};

use super::{COUNT, PLAIN, arm, client, serve};
use crate::effects::first_fault;
use crate::needs::INJECTOR;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("requests::{name}"), INJECTOR, run);
    vec![
        case("a_client_that_does_not_wait_is_told", || {
            waits(
                "100ms",
                &[("told_to_wait", 2), ("too_early", 2), ("given_up", 1)],
            )
        }),
        case("a_client_that_waits_is_not", || {
            waits(
                "1100ms",
                &[("told_to_wait", 2), ("too_early", 0), ("given_up", 1)],
            )
        }),
        case("a_task_that_a_later_try_makes_good", made_good),
    ]
}

/// The same request three times, this far apart, to a provider that asks for a second.
fn waits(interval: &str, wanted: &[(&str, u64)]) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, &format!("--interval {interval}"))?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "rate-limit --retry-after 1s")?;
    let felt = agent.round()?;
    ensure!(felt.error("429") == COUNT, "{felt:?}");
    let report = armed.report()?;
    let counted = first_fault(&report)?;
    did(
        counted,
        &[("tasks", 1), ("tries", COUNT), ("most_tries", COUNT)],
    )?;
    did(counted, wanted)
}

/// What the report says that the target has done.
pub(crate) fn did(counted: &FaultReport, wanted: &[(&str, u64)]) -> Result<()> {
    for (name, number) in wanted {
        ensure!(counted.reaction[name] == *number, "{name}: {counted:?}");
    }
    Ok(())
}

fn made_good() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, PLAIN)?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "error --status 500 --max-hits 1")?;
    let felt = agent.round()?;
    ensure!(felt.ok == 2 && felt.error("500") == 1, "{felt:?}");
    let report = armed.report()?;
    let wanted = [
        ("tasks", 1),
        ("tries", 2),
        ("made_good", 1),
        ("given_up", 0),
    ];
    did(first_fault(&report)?, &wanted)
}
