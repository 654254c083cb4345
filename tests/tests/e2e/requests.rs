//! Faults on requests to language models. [`effect`] has what a client gets, what the server got, and what a bystander never feels, [`ends`]
//! is about the deaths of the relay and the worker, [`reactions`] about what the report says of the target, [`sealed`] about
//! TLS.

pub(crate) mod effect;
mod ends;
pub(crate) mod reactions;
mod sealed;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::place::Place;
use injector_tests::victim::Victim;

use self::effect::{COUNT, Fault, Felt, Reaches, Tried, are, fault, well};
use self::reactions::did;
use crate::effects::first_fault;
use crate::needs::{INJECTOR, INJECTOR_AND_NETNS, ipv6};
use crate::suite::Case;

/// Victims of the family.
const LLM: Tried = Tried {
    command: "llm",
    group: "requests",
    server: "completions",
    client: "completions-client",
};

const PLAIN: &str = "";
const STREAM: &str = "--stream";
const ANTHROPIC: &str = "--dialect anthropic";
const ANTHROPIC_STREAM: &str = "--dialect anthropic --stream";

const FAULTS: [Fault; 19] = {
    use Felt::{Error, Later};
    use Reaches::{All, None};
    [
        fault(
            "rate_limit",
            "rate-limit --retry-after 1s",
            PLAIN,
            Error("429"),
            None,
        ),
        fault("error", "error --status 503", STREAM, Error("503"), None),
        fault("overload", "overload", PLAIN, Error("503"), None),
        fault(
            "overload_of_anthropic",
            "overload",
            ANTHROPIC,
            Error("529"),
            None,
        ),
        fault(
            "overload_in_a_stream",
            "overload --after-tokens 2",
            STREAM,
            Error("error in the stream"),
            All,
        ),
        fault(
            "overload_in_a_stream_of_anthropic",
            "overload --after-tokens 2",
            ANTHROPIC_STREAM,
            Error("error in the stream"),
            All,
        ),
        fault("timeout", "timeout", PLAIN, Error("timeout"), All),
        fault(
            "timeout_of_a_lost_request",
            "timeout --request lost",
            PLAIN,
            Error("timeout"),
            None,
        ),
        fault("slow", "slow --latency 300ms", PLAIN, Later(300), All),
        fault(
            "slow_tokens",
            "slow --token-gap 100ms",
            STREAM,
            Later(300),
            All,
        ),
        fault("stall", "stall", ANTHROPIC_STREAM, Error("timeout"), All),
        fault("stall_of_a_document", "stall", PLAIN, Error("timeout"), All),
        fault(
            "cut_clean",
            "cut --ending clean --after-tokens 2",
            STREAM,
            Error("ends after 2 words"),
            All,
        ),
        fault(
            "cut_dirty",
            "cut --ending dirty --after-tokens 2",
            ANTHROPIC_STREAM,
            Error("cut"),
            All,
        ),
        fault(
            "cut_of_a_document",
            "cut --ending dirty",
            PLAIN,
            Error("cut"),
            All,
        ),
        fault("malformed", "malformed", STREAM, Error("json"), All),
        fault("empty", "empty", ANTHROPIC_STREAM, Error("empty"), None),
        fault("empty_document", "empty", PLAIN, Error("empty"), None),
        fault(
            "wrong_model",
            "wrong-model --answers tiny-1",
            STREAM,
            Error("model tiny-1"),
            All,
        ),
    ]
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = LLM.cases(&FAULTS);
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("requests::{name}"), INJECTOR, run);
    cases.extend([
        Case::new("requests::by_ipv6", INJECTOR, || {
            LLM.effect(&Lab::new(Wire::Loopback, Family::V6)?, &FAULTS[0])
        })
        .also_needs(ipv6),
        Case::new("requests::in_another_namespace", INJECTOR_AND_NETNS, || {
            LLM.effect(&Lab::new(Wire::Veth, Family::V4)?, &FAULTS[12])
        }),
        case("of_one_model_alone", of_one_model),
        case("of_one_port_alone", of_one_port),
        case("a_port_where_no_process_listens_refuses", refused),
        case("chosen_by_number_and_bounded", chosen_by_number),
        case(
            "on_a_connection_that_was_opened_in_an_earlier_step",
            opened_before,
        ),
        case(
            "a_held_answer_arrives_when_the_fault_ends",
            held_until_the_end,
        ),
        case("what_is_no_request_goes_through", no_request),
    ]);
    cases.extend(reactions::cases());
    cases.extend(ends::cases());
    cases.extend(sealed::cases());
    cases
}

fn serve(lab: &Lab) -> Result<(Victim, SocketAddr)> {
    LLM.serve(lab)
}

fn client(place: Place<'_>, server: SocketAddr, more: &str) -> Result<Victim> {
    LLM.client(place, server, more)
}

fn arm(lab: &Lab, injector: &Injector, fault: &str) -> Result<Running> {
    LLM.arm(lab, injector, fault)
}

/// The client asks another model than the fault is about.
fn of_one_model() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, PLAIN)?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "rate-limit --model small-*")?;
    well(&agent.round()?, "the target")?;
    let report = armed.report()?;
    let counted = first_fault(&report)?;
    are(counted, [COUNT, 0, 0])?;
    ensure!(counted.note.is_some(), "{counted:?}");
    Ok(())
}

/// Two faults of one target, each on the connections that its filter means.
fn of_one_port() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let ((_one, first), (_other, second)) = (serve(&lab)?, serve(&lab)?);
    let mut to_first = client(lab.agent(), first, PLAIN)?;
    let mut to_second = client(lab.agent(), second, PLAIN)?;
    let cgroup = lab.cgroups.agent.path().display().to_string();
    let file = format!(
        "name: ports\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\nsteps:\n- name: both\n  duration: 30s\n  faults:\n\
         \x20 - llm.error: {{ status: 500, dest-port: {} }}\n  - llm.error: {{ status: 418, dest-port: {} }}\n",
        first.port(),
        second.port()
    );
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let path = folder.path().join("ports.yaml");
    fs::write(&path, file)?;
    let injector = Injector::new()?;
    let armed = injector.arm(&["run", &path.to_string_lossy(), "--json"])?;
    let (felt_first, felt_second) = (to_first.round()?, to_second.round()?);
    let report = armed.report()?;
    ensure!(felt_first.error("500") == COUNT, "{felt_first:?}");
    ensure!(felt_second.error("418") == COUNT, "{felt_second:?}");
    for counted in &report.faults {
        are(counted, [COUNT, COUNT, COUNT])?;
    }
    Ok(())
}

/// A client that goes on to the next address where one refuses does so behind the relay as well.
fn refused() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let nowhere = SocketAddr::new(lab.address(), 9).to_string();
    let words = ["connect", "--connect", &nowhere, "--wait"];
    let mut agent = Victim::start(lab.agent(), &words)?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "rate-limit")?;
    let felt = agent.round()?;
    ensure!(felt.error("ECONNREFUSED") == felt.sent, "{felt:?}");
    armed.report()?;
    Ok(())
}

/// Of three requests the second, and one at most.
fn chosen_by_number() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, PLAIN)?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "error --status 500 --when 2+ --max-hits 1")?;
    let felt = agent.round()?;
    ensure!(felt.ok == 2 && felt.error("500") == 1, "{felt:?}");
    let report = armed.report()?;
    are(first_fault(&report)?, [COUNT, COUNT, 1])
}

/// Clients keep connections: one that was made in the step before is met as well, and goes on in the step behind.
fn opened_before() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (_server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, "--keep --count 20 --interval 100ms")?;
    let cgroup = lab.cgroups.agent.path().display().to_string();
    let file = format!(
        "name: kept\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\nsteps:\n- {{ name: before, duration: 800ms }}\n\
         - name: limited\n  duration: 600ms\n  faults: [ {{ llm.error: {{ status: 500 }} }} ]\n\
         - {{ name: after, duration: 30s }}\n"
    );
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let path = folder.path().join("kept.yaml");
    fs::write(&path, file)?;
    let injector = Injector::new()?;
    let path = path.to_string_lossy();
    let armed = injector.arm(&["run", &path, "--json"])?;
    let felt = agent.round()?;
    let report = armed.report()?;
    let counted = first_fault(&report)?;
    ensure!(
        felt.error("500") >= 3 && felt.error("500") == counted.hit,
        "{felt:?} {counted:?}"
    );
    ensure!(
        felt.ok + felt.error("500") == felt.sent && felt.ok >= 10,
        "{felt:?}"
    );
    Ok(())
}

/// The request takes effect, its answer is held, and comes when the run ends, long before the client gives up.
fn held_until_the_end() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (server, address) = serve(&lab)?;
    let mut agent = client(lab.agent(), address, "--count 1 --timeout 20s")?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "timeout")?;
    agent.ask()?;
    eventually(
        "the request to reach the server",
        Duration::from_secs(5),
        || Ok((!server.calls().is_empty()).then_some(())),
    )?;
    ensure!(
        agent.summary_within(Duration::from_millis(500))?.is_none(),
        "the answer was not held"
    );
    let report = armed.report()?;
    let held = agent.summary()?;
    ensure!(held.ok == 1 && held.failures() == 0, "{held:?}");
    let counted = first_fault(&report)?;
    did(counted, &[("never_let_go", 1), ("let_go", 0)])?;
    are(counted, [1, 1, 1])
}

/// Other protocols pass, byte by byte.
fn no_request() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let echo = lab.serve("tcp-echo")?.to_string();
    let words = ["tcp-ping", "--connect", &echo, "--reconnect", "--wait"];
    let mut agent = Victim::start(lab.agent(), &words)?;
    let injector = Injector::new()?;
    let armed = arm(&lab, &injector, "rate-limit")?;
    let felt = agent.round()?;
    ensure!(felt.ok == felt.sent && felt.damaged == 0, "{felt:?}");
    let report = armed.report()?;
    are(first_fault(&report)?, [0, 0, 0])
}
