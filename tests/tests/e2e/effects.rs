//! Each fault has its effect on the target, and none on any bystander or anything else.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Injector, Report};
use injector_tests::lab::{Family, Lab, Wire};

use crate::catalogue::{Fault, faults};
use crate::needs::{INJECTOR, INJECTOR_AND_NETNS, ipv6};
use crate::probe::Probe;
use crate::suite::Case;

/// Where the tests are played: name, wire, family.
const STAGES: [(&str, Wire, Family); 4] = [
    ("loopback_v4", Wire::Loopback, Family::V4),
    ("loopback_v6", Wire::Loopback, Family::V6),
    ("veth_v4", Wire::Veth, Family::V4),
    ("veth_v6", Wire::Veth, Family::V6),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut shown = BTreeSet::new();
    for (stage, wire, family) in STAGES {
        for fault in faults() {
            let name = format!("effect::{}::{stage}", fault.name);
            let kind = fault.kind();
            let case = case(name, wire, family, fault, effect);
            // The first of its kind tells whether a kernel can do it.
            let is_first = shown.insert(kind.clone());
            cases.push(if is_first { case.shows(kind) } else { case });
        }
        // A filter or a bystander's cgroup does not care about the wire; these two differ in all else.
        if (wire == Wire::Loopback) != (family == Family::V4) {
            continue;
        }
        for fault in faults() {
            let name = format!("scope::{}::{stage}", fault.name);
            cases.push(case(name, wire, family, fault, scope));
        }
    }
    cases
}

fn case(
    name: String,
    wire: Wire,
    family: Family,
    fault: Fault,
    test: fn(Lab, &Fault) -> Result<()>,
) -> Case {
    let needs = if wire == Wire::Veth {
        INJECTOR_AND_NETNS
    } else {
        INJECTOR
    };
    // There is one port 53 of the host's own loopback, and one pair of namespaces for each test across a wire.
    let is_shared = wire == Wire::Loopback && fault.probe == Probe::Dns;
    let mut case = Case::new(name, needs, move || test(Lab::new(wire, family)?, &fault));
    if !is_shared {
        // Runs that need the sysctls of `lo` at once share them, and the last puts them back.
        case = case.beside_others();
    }
    if family == Family::V6 {
        case.also_needs(ipv6)
    } else {
        case
    }
}

/// A socket from before the fault feels it; afterwards everything is as it was.
fn effect(mut lab: Lab, fault: &Fault) -> Result<()> {
    let server = fault.probe.serve(&mut lab)?;
    let mut agent = fault.probe.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &with_peer(&fault.ask, &server.ip().to_string()))?;
    let felt = agent.look()?;
    let report = armed.report()?;
    (fault.felt)(&felt).with_context(|| format!("the report: {report:?}"))?;
    let counters = first_fault(&report)?;
    ensure!(
        counters.hit > 0 && counters.hit <= counters.matched && counters.matched <= counters.seen,
        "the counters do not add up: {counters:?}"
    );
    let mut newcomer = fault.probe.observe(lab.agent(), server)?;
    newcomer.expect_calm("a process in the target's cgroup, after the fault")
}

/// A socket from after arming feels it, a bystander does not, and no process does where a filter says no.
fn scope(mut lab: Lab, fault: &Fault) -> Result<()> {
    let server = fault.probe.serve(&mut lab)?;
    let peer = server.ip().to_string();
    let injector = Injector::new()?;

    let mut bystander = fault.probe.observe(lab.bystander(), server)?;
    let mut early = fault.probe.observe(lab.agent(), server)?;
    let armed = lab.arm(&injector, &with_peer(&fault.ask, &peer))?;
    // Both at once: the target's round is what the bystander must not notice.
    early.ask()?;
    bystander.expect_calm("a bystander with an old connection")?;
    let mut newcomer = fault.probe.observe(lab.bystander(), server)?;
    newcomer.expect_calm("a bystander with a new connection")?;
    (fault.felt)(&early.seen()?).context("the target did not feel the fault")?;
    armed.report()?;

    let mut agent = fault.probe.observe(lab.agent(), server)?;
    let armed = lab.arm(&injector, &with_peer(&fault.elsewhere, &peer))?;
    agent.expect_calm("the target, where the filter says no,")?;
    let report = armed.report()?;
    let counters = first_fault(&report)?;
    ensure!(
        counters.hit == 0,
        "hits where the filter says no: {counters:?}"
    );
    ensure!(
        counters.note.is_some(),
        "the report does not say that the target never met the fault"
    );
    Ok(())
}

/// The only fault of a one-shot command's report.
pub(crate) fn first_fault(report: &Report) -> Result<&injector_tests::injector::FaultReport> {
    report
        .faults
        .first()
        .with_context(|| format!("no fault in the report {report:?}"))
}

/// Writes the server's address where the catalogue says `PEER`.
fn with_peer<'a>(arguments: &[&'a str], peer: &'a str) -> Vec<&'a str> {
    arguments
        .iter()
        .map(|word| if *word == "PEER" { peer } else { word })
        .collect()
}
