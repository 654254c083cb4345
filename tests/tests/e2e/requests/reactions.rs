//! What a target does about faults on requests, as the report says it, against clients whose habits are known.

use anyhow::{Result, ensure};
use injector_tests::injector::{FaultReport, Injector};
use injector_tests::lab::{Family, Lab, Wire};

use super::effect::COUNT;
use super::{PLAIN, arm, client, serve};
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
                1,
                &[("told_to_wait", 2), ("too_early", 2), ("given_up", 1)],
            )
        }),
        case("a_client_that_waits_is_not", || {
            waits(
                "1100ms",
                0,
                &[("told_to_wait", 2), ("too_early", 0), ("given_up", 1)],
            )
        }),
        case("a_task_that_a_later_try_makes_good", made_good),
        case("half_an_answer_that_is_taken_for_the_whole", || {
            halves(
                "any",
                &[("accepted_truncations", COUNT - 1), ("tasks", COUNT)],
            )
        }),
        case("half_an_answer_that_is_not", || {
            halves("complete", &[("accepted_truncations", 0), ("tries", COUNT)])
        }),
    ]
}

/// The same request three times, this far apart, to a provider that asks for a second.
/// A run that fails on what the first of two such clients does ends with this code.
fn waits(interval: &str, code: i32, wanted: &[(&str, u64)]) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, &format!("--interval {interval}"))?;
    let injector = Injector::new()?;
    let ask = "rate-limit --retry-after 1s --fail-on ignored-retry-after";
    let armed = arm(&lab, &injector, ask)?;
    let felt = agent.round()?;
    ensure!(felt.error("429") == COUNT, "{felt:?}");
    let finished = armed.interrupt()?;
    ensure!(finished.code == Some(code), "{finished:?}");
    let report = finished.report()?;
    let counted = first_fault(&report)?;
    did(
        counted,
        &[("tasks", 1), ("tries", COUNT), ("most_tries", COUNT)],
    )?;
    did(counted, wanted)
}

/// Streams that end in good order behind their second word, to a client that puts such answers into its next requests.
fn halves(remember: &str, wanted: &[(&str, u64)]) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let more = format!("--stream --remember {remember}");
    let mut agent = client(lab.agent(), address, &more)?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "cut --ending clean --after-tokens 2")?;
    let felt = agent.round()?;
    ensure!(felt.error("ends after 2 words") == COUNT, "{felt:?}");
    let report = armed.report()?;
    did(first_fault(&report)?, wanted)
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
