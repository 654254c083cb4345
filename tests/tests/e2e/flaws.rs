//! Verdicts without an SDK: of a client that has the flaw and of one that has not, and runs that fail or halt on one. [`tools`] and
//! [`requests::reactions`] have those whose evidence is a count of tries.
//!
//! [`tools`]: crate::tools
//! [`requests::reactions`]: crate::requests::reactions

use std::time::Duration;

use anyhow::{Result, ensure};
use injector_tests::boot_clock::now_ns;
use injector_tests::injector::{FaultReport, Finished, Injector};
use injector_tests::lab::{Family, Lab, Wire};

use crate::effects::first_fault;
use crate::needs::INJECTOR;
use crate::requests::effect::{are, reached};
use crate::requests::reactions::did;
use crate::suite::Case;
use crate::tools::TOOL;

/// How long a run may take to end once it has a reason to.
const SOON: Duration = Duration::from_secs(15);

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("flaws::{name}"), INJECTOR, run);
    vec![
        case("an_effect_comes_twice_without_a_key", || twice("", 2, 1)),
        case("an_effect_comes_once_with_a_key", || {
            twice("--key k-1", 1, 0)
        }),
        case("an_effect_is_known_by_an_answer_in_a_stream_too", || {
            twice("--path /events", 2, 1)
        }),
        case("a_call_that_says_that_it_failed_has_no_effect", no_effect),
        case(
            "a_call_that_is_let_go_of_while_its_answer_comes_was_held",
            begun,
        ),
        case("a_task_that_is_left_at_once_is_given_up", || {
            left("--count 1", ["at_once", "later"], 1)
        }),
        case("a_task_that_is_left_after_three_tries_is_a_fact", || {
            left("--count 3 --same", ["later", "at_once"], 0)
        }),
        case("a_run_halts_as_soon_as_a_flaw_shows", halts),
        case("where_no_fault_bites_no_flaw_is_said", quiet),
    ]
}

/// A call whose answer is lost once its tool has carried it out, and the same again: what has come of it at the tool, and in the
/// report.
fn twice(more: &str, effects: u64, duplicates: u64) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (server, address) = TOOL.serve(&lab)?;
    let client = format!("--same --count 2 {more}");
    let mut agent = TOOL.client(lab.agent(), address, &client)?;
    let injector = Injector::new()?;
    let ask = "timeout --max-hits 1 --fail-on duplicate-effect";
    let armed = TOOL.arm(&lab, &injector, ask)?;
    let from_ns = now_ns();
    let felt = agent.round()?;
    let to_ns = now_ns();
    ensure!(felt.ok == 1 && felt.error("timeout") == 1, "{felt:?}");
    let finished = armed.interrupt()?;
    // A call of its own tells that the tool has told of those before.
    TOOL.client(lab.bystander(), address, "--count 1")?
        .round()?;
    let carried_out = reached(&server, from_ns, to_ns, 1)?;
    ensure!(carried_out == effects, "{carried_out} effects");
    let report = finished.report()?;
    let wanted = [
        ("unacknowledged", 1),
        ("duplicates", duplicates),
        ("keyed", 1 - duplicates),
        ("made_good", 1),
    ];
    did(first_fault(&report)?, &wanted)?;
    fails(&finished, duplicates > 0, "duplicate-effect")
}

/// A call whose answer is lost, and the same again: the tool says by status 200 that both have failed.
fn no_effect() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = TOOL.serve(&lab)?;
    let client = "--same --count 2 --path /failing";
    let mut agent = TOOL.client(lab.agent(), address, client)?;
    let injector = Injector::new()?;
    let armed = TOOL.arm(&lab, &injector, "timeout --max-hits 1")?;
    let felt = agent.round()?;
    ensure!(
        felt.error("timeout") == 1 && felt.error("is-error") == 1,
        "{felt:?}"
    );
    let report = armed.report()?;
    did(
        first_fault(&report)?,
        &[("let_go", 1), ("unacknowledged", 0), ("duplicates", 0)],
    )
}

/// A call whose answer begins and does not come to its end before the target's patience has.
fn begun() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = TOOL.serve(&lab)?;
    let client = "--same --count 1 --path /begun";
    let mut agent = TOOL.client(lab.agent(), address, client)?;
    let injector = Injector::new()?;
    let armed = TOOL.arm(&lab, &injector, "timeout")?;
    let felt = agent.round()?;
    ensure!(felt.error("timeout") == 1, "{felt:?}");
    let report = armed.report()?;
    let counted = first_fault(&report)?;
    are(counted, [1, 1, 1])?;
    did(counted, &[("let_go", 1), ("unacknowledged", 0)])
}

/// A run that fails on this says so by its code, and one that finds nothing wrong by its own.
fn fails(finished: &Finished, is_shown: bool, flaw: &str) -> Result<()> {
    let shown = format!("the target shows {flaw}");
    ensure!(finished.code == Some(i32::from(is_shown)), "{finished:?}");
    ensure!(finished.stdout.contains(&shown) == is_shown, "{finished:?}");
    Ok(())
}

/// A target whose calls all fail ends, and so does the run: what it has left, by how many tries.
fn left(client: &str, [some, none]: [&str; 2], code: u64) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = TOOL.serve(&lab)?;
    let client = format!("--path /tools/add {client}");
    let mut agent = TOOL.client(lab.agent(), address, &client)?;
    let injector = Injector::new()?;
    let ask = "error --interface json --request-path /tools/* --status 503 --fail-on gave-up --on-target-exit end";
    let armed = TOOL.arm(&lab, &injector, ask)?;
    let felt = agent.round()?;
    ensure!(felt.error("503") == felt.sent, "{felt:?}");
    drop(agent);
    let finished = armed.wait_within(SOON)?;
    let report = finished.report()?;
    let left: &FaultReport = first_fault(&report)?;
    let gave_up = &left.reaction["gave_up"];
    ensure!(gave_up[some] == 1 && gave_up[none] == 0, "{left:?}");
    fails(&finished, code == 1, "gave-up")
}

fn halts() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = TOOL.serve(&lab)?;
    let mut agent = TOOL.client(lab.agent(), address, "--same --count 7")?;
    let injector = Injector::new()?;
    let armed = TOOL.arm(&lab, &injector, "is-error --halt-if retry-storm")?;
    agent.round()?;
    let finished = armed.wait_within(SOON)?;
    ensure!(finished.code == Some(1), "{finished:?}");
    let halted = "retry-storm: the target shows retry-storm";
    ensure!(finished.stdout.contains(halted), "{finished:?}");
    // One that none of its faults could show is refused, and nothing is armed.
    let words = [
        "tool",
        "empty",
        "--halt-if",
        "hung",
        "--pid",
        "1",
        "--duration",
        "1s",
    ];
    let refused = injector.once(&words)?;
    ensure!(
        refused.code == Some(2) && refused.stderr.contains("the halt condition `hung`"),
        "{refused:?}"
    );
    Ok(())
}

/// The same call eight times, while a fault is on that means another tool.
fn quiet() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = TOOL.serve(&lab)?;
    let mut agent = TOOL.client(lab.agent(), address, "--same --count 8 --timeout 5s")?;
    let injector = Injector::new()?;
    let armed = TOOL.arm(&lab, &injector, "timeout --tool subtract")?;
    let felt = agent.round()?;
    ensure!(felt.ok == 8, "{felt:?}");
    let report = armed.report()?;
    let counted = first_fault(&report)?;
    are(counted, [8, 0, 0])?;
    ensure!(counted.reaction.is_null(), "{counted:?}");
    Ok(())
}
