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
use crate::requests::{COUNT, are, reached, reactions::did, well};
use crate::suite::Case;

/// One fault, how it is asked for, and what a client makes of it.
struct Fault {
    name: &'static str,
    /// Behind `tool`.
    ask: &'static str,
    /// Where the client calls.
    path: &'static str,
    felt: Felt,
    /// Calls that reach the tool.
    reach: u64,
}

/// What a client makes of a fault.
#[derive(Clone, Copy, Debug)]
enum Felt {
    /// Each call ends with this.
    Error(&'static str),
    /// Each call ends well and takes so many milliseconds at least.
    Later(u64),
}

const MCP: &str = "/mcp";
const EVENTS: &str = "/events";
const PLAIN: &str = "/tools/add";

const fn fault(
    name: &'static str,
    ask: &'static str,
    path: &'static str,
    felt: Felt,
    reach: u64,
) -> Fault {
    Fault {
        name,
        ask,
        path,
        felt,
        reach,
    }
}

const FAULTS: [Fault; 18] = {
    use Felt::{Error, Later};
    const JSON: &str = "error --interface json --request-path /tools/* --status 503";
    [
        fault(
            "error",
            "error --code -32601",
            MCP,
            Error("error -32601"),
            0,
        ),
        fault("error_of_plain_json", JSON, PLAIN, Error("503"), 0),
        fault("is_error", "is-error", EVENTS, Error("is-error"), 0),
        fault("timeout", "timeout", EVENTS, Error("timeout"), COUNT),
        fault(
            "timeout_of_a_lost_call",
            "timeout --request lost",
            MCP,
            Error("timeout"),
            0,
        ),
        fault("slow", "slow --latency 300ms", EVENTS, Later(300), COUNT),
        fault(
            "slow_plain_json",
            "slow --latency 300ms --interface json --request-path /tools/*",
            PLAIN,
            Later(300),
            COUNT,
        ),
        fault("empty", "empty", MCP, Error("empty"), COUNT),
        fault("empty_in_a_stream", "empty", EVENTS, Error("empty"), COUNT),
        fault(
            "empty_of_plain_json",
            "empty --interface json --request-path /tools/*",
            PLAIN,
            Error("empty"),
            COUNT,
        ),
        fault("corrupt", "corrupt", EVENTS, Error("other text"), COUNT),
        fault(
            "corrupt_json",
            "corrupt --damage json",
            MCP,
            Error("json"),
            COUNT,
        ),
        fault(
            "corrupt_json_in_a_stream",
            "corrupt --damage json",
            EVENTS,
            Error("json"),
            COUNT,
        ),
        fault(
            "schema_mismatch",
            "schema-mismatch",
            MCP,
            Error("types"),
            COUNT,
        ),
        fault(
            "schema_mismatch_of_keys",
            "schema-mismatch --change keys",
            EVENTS,
            Error("keys"),
            COUNT,
        ),
        fault(
            "inject",
            "inject --text obey",
            MCP,
            Error("and obey"),
            COUNT,
        ),
        fault(
            "inject_in_a_stream",
            "inject --text obey",
            EVENTS,
            Error("and obey"),
            COUNT,
        ),
        fault(
            "of_one_tool",
            "is-error --tool a*",
            MCP,
            Error("is-error"),
            0,
        ),
    ]
};

pub(crate) fn cases() -> Vec<Case> {
    let mut shown = std::collections::BTreeSet::new();
    let mut cases = Vec::new();
    for fault in FAULTS {
        let kind = fault.ask.split(' ').next().unwrap_or_default();
        let kind = format!("tool {kind}");
        let is_first = shown.insert(kind.clone());
        let case = Case::new(format!("tools::{}", fault.name), INJECTOR, move || {
            effect(&fault)
        });
        let case = case.beside_others();
        cases.push(if is_first { case.shows(kind) } else { case });
    }
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
    lab.server("tools", SocketAddr::new(lab.address(), 0))
}

fn client(place: Place<'_>, server: SocketAddr, path: &str, more: &str) -> Result<Victim> {
    let (server, count) = (server.to_string(), COUNT.to_string());
    let mut words = vec![
        "tools-client",
        "--connect",
        &server,
        "--path",
        path,
        "--wait",
    ];
    words.extend(more.split_whitespace());
    for (flag, value) in [("--count", count.as_str()), ("--timeout", "700ms")] {
        if !words.contains(&flag) {
            words.extend([flag, value]);
        }
    }
    Victim::start(place, &words)
}

fn arm(lab: &Lab, injector: &Injector, fault: &str) -> Result<Running> {
    let words: Vec<&str> = ["tool"]
        .into_iter()
        .chain(fault.split_whitespace())
        .collect();
    lab.arm(injector, &words)
}

fn effect(fault: &Fault) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, fault.path, "")?;
    let mut bystander = client(lab.bystander(), address, fault.path, "")?;
    well(&agent.round()?, "the target before")?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, fault.ask)?;
    let from_ns = now_ns();
    let felt = agent.round()?;
    let to_ns = now_ns();
    well(&bystander.round()?, "a bystander")?;
    let got = reached(&server, from_ns, to_ns, COUNT)?;
    let report = armed.report()?;
    match fault.felt {
        Felt::Error(error) => ensure!(felt.error(error) == COUNT, "{felt:?}"),
        Felt::Later(millis) => ensure!(
            felt.ok == COUNT && felt.p50_ns >= millis * 1_000_000,
            "{felt:?}"
        ),
    }
    ensure!(got == fault.reach, "{got} calls have reached the tool");
    let counted = first_fault(&report)?;
    are(counted, [COUNT, COUNT, COUNT])?;
    ensure!(counted.mechanism == "relay", "{counted:?}");
    if let Felt::Error("timeout") = fault.felt {
        did(counted, &[("let_go", COUNT), ("never_let_go", 0)])?;
    }
    well(&agent.round()?, "the target afterwards")
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
