//! Faults on calls of tools: what a client gets, what the tool got, and what a bystander never feels.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use injector_tests::boot_clock::now_ns;
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::place::Place;
use injector_tests::victim::Victim;

use crate::effects::first_fault;
use crate::needs::INJECTOR;
use crate::requests::effect::{COUNT, Fault, Felt, Reaches, Tried, are, fault, reached, well};
use crate::requests::reactions::did;
use crate::suite::Case;

/// Victims of the family.
pub(crate) const TOOL: Tried = Tried {
    command: "tool",
    group: "tools",
    server: "tools",
    client: "tools-client",
};

const MCP: &str = "--path /mcp";
const EVENTS: &str = "--path /events";
const PLAIN: &str = "--path /tools/add";

const FAULTS: [Fault; 18] = {
    use Felt::{Error, Later};
    use Reaches::{All, None};
    const JSON: &str = "error --interface json --request-path /tools/* --status 503";
    [
        fault(
            "error",
            "error --code -32601",
            MCP,
            Error("error -32601"),
            None,
        ),
        fault("error_of_plain_json", JSON, PLAIN, Error("503"), None),
        fault("is_error", "is-error", EVENTS, Error("is-error"), None),
        fault("timeout", "timeout", EVENTS, Error("timeout"), All),
        fault(
            "timeout_of_a_lost_call",
            "timeout --request lost",
            MCP,
            Error("timeout"),
            None,
        ),
        fault("slow", "slow --latency 300ms", EVENTS, Later(300), All),
        fault(
            "slow_plain_json",
            "slow --latency 300ms --interface json --request-path /tools/*",
            PLAIN,
            Later(300),
            All,
        ),
        fault("empty", "empty", MCP, Error("empty"), All),
        fault("empty_in_a_stream", "empty", EVENTS, Error("empty"), All),
        fault(
            "empty_of_plain_json",
            "empty --interface json --request-path /tools/*",
            PLAIN,
            Error("empty"),
            All,
        ),
        fault("corrupt", "corrupt", EVENTS, Error("other text"), All),
        fault(
            "corrupt_json",
            "corrupt --damage json",
            MCP,
            Error("json"),
            All,
        ),
        fault(
            "corrupt_json_in_a_stream",
            "corrupt --damage json",
            EVENTS,
            Error("json"),
            All,
        ),
        fault(
            "schema_mismatch",
            "schema-mismatch",
            MCP,
            Error("types"),
            All,
        ),
        fault(
            "schema_mismatch_of_keys",
            "schema-mismatch --change keys",
            EVENTS,
            Error("keys"),
            All,
        ),
        fault("inject", "inject --text obey", MCP, Error("and obey"), All),
        fault(
            "inject_in_a_stream",
            "inject --text obey",
            EVENTS,
            Error("and obey"),
            All,
        ),
        fault(
            "of_one_tool",
            "is-error --tool a*",
            MCP,
            Error("is-error"),
            None,
        ),
    ]
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = TOOL.cases(&FAULTS);
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("tools::{name}"), INJECTOR, run);
    cases.extend([
        case("stale", || stale(MCP, "stale")).shows("tool stale"),
        case("stale_of_plain_json", || {
            stale(PLAIN, "stale --interface json --request-path /tools/*")
        }),
        case("of_another_tool_is_not_met", of_another_tool),
        case("a_session_begins_and_lists_its_tools", session),
        case("of_another_method", of_another_method),
        case("batches_go_through_and_are_told", batches),
        case("the_same_call_again_and_again_is_named", || {
            again("is-error", "retry-storm", 0)
        }),
        case("the_same_call_behind_answers_of_no_use_is_named", || {
            again("empty", "no-progress", 6)
        }),
    ]);
    cases
}

fn serve(lab: &Lab) -> Result<(Victim, SocketAddr)> {
    TOOL.serve(lab)
}

fn client(place: Place<'_>, server: SocketAddr, path: &str, more: &str) -> Result<Victim> {
    TOOL.client(place, server, &format!("{path} {more}"))
}

fn arm(lab: &Lab, injector: &Injector, fault: &str) -> Result<Running> {
    TOOL.arm(lab, injector, fault)
}

/// The first call has nothing to be given again, and goes on; those behind it get its answer.
fn stale(path: &str, ask: &str) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, path, "")?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, ask)?;
    let from_ns = now_ns();
    let felt = agent.round()?;
    let to_ns = now_ns();
    let mut bystander = client(lab.bystander(), address, path, "")?;
    well(&bystander.round()?, "a bystander")?;
    let got = reached(&server, from_ns, to_ns, COUNT)?;
    let report = armed.report()?;
    ensure!(
        felt.ok == 1 && felt.error("another sum") == COUNT - 1 && got == 1,
        "{felt:?}, {got} calls have reached the tool"
    );
    are(first_fault(&report)?, [COUNT, COUNT, COUNT - 1])
}

fn of_another_tool() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, MCP, "")?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "error --tool subtract")?;
    well(&agent.round()?, "the target")?;
    let report = armed.report()?;
    let counted = first_fault(&report)?;
    are(counted, [COUNT, 0, 0])?;
    ensure!(counted.note.is_some(), "{counted:?}");
    Ok(())
}

/// Only calls of tools are met: what begins a session and lists its tools passes, header and all.
fn session() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, EVENTS, "--session")?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "is-error")?;
    let felt = agent.round()?;
    ensure!(
        felt.error("is-error") == COUNT && felt.failures() == COUNT,
        "{felt:?}"
    );
    let report = armed.report()?;
    are(first_fault(&report)?, [COUNT + 3, COUNT, COUNT])
}

fn of_another_method() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, MCP, "--session")?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "error --method tools/list")?;
    let felt = agent.round()?;
    ensure!(
        felt.ok == COUNT && felt.error("session: error -32603") == 1,
        "{felt:?}"
    );
    let report = armed.report()?;
    are(first_fault(&report)?, [COUNT + 3, 1, 1])
}

fn batches() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, MCP, "--batch")?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "is-error")?;
    well(&agent.round()?, "the target")?;
    let report = armed.report()?;
    are(first_fault(&report)?, [COUNT, 0, 0])?;
    let told = report
        .remarks
        .iter()
        .any(|one| one.contains("3 requests had several messages"));
    ensure!(told, "{:?}", report.remarks);
    Ok(())
}

/// The same tool with the same arguments six times, with another id each.
fn again(ask: &str, flaw: &str, of_no_use: u64) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, MCP, "--same --count 6")?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, ask)?;
    agent.round()?;
    let report = armed.report()?;
    let counted = first_fault(&report)?;
    let wanted = [("tasks", 1), ("most_tries", 6), ("of_no_use", of_no_use)];
    did(counted, &wanted)?;
    let told = injector.once(&["report", "last", "--format", "html"])?;
    ensure!(told.stdout.contains(flaw), "{}", told.stdout);
    Ok(())
}
