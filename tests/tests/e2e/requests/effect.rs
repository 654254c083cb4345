//! One fault on requests: what a client makes of it, what the server got, and what a bystander never feels. For each family of
//! such faults.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use injector_tests::boot_clock::now_ns;
use injector_tests::eventually::eventually;
use injector_tests::injector::{FaultReport, Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::observation::Summary;
use injector_tests::place::Place;
use injector_tests::victim::Victim;

use super::reactions::did;
use crate::effects::first_fault;
use crate::needs::INJECTOR;
use crate::suite::Case;

/// Requests of a round.
pub(crate) const COUNT: u64 = 3;

/// What a server got, where that is part of what the fault promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaches {
    /// All requests reach it.
    All,
    /// None does.
    None,
}

/// What a client makes of a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Felt {
    /// Each request ends with this.
    Error(&'static str),
    /// Each request ends well and takes so many milliseconds at least.
    Later(u64),
}

/// One fault, how it is asked for, and what comes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Behind the family's command.
    pub(crate) ask: &'static str,
    /// What the client asks by, behind its address.
    pub(crate) client: &'static str,
    pub(crate) felt: Felt,
    pub(crate) reaches: Reaches,
}

pub(crate) const fn fault(
    name: &'static str,
    ask: &'static str,
    client: &'static str,
    felt: Felt,
    reaches: Reaches,
) -> Fault {
    Fault {
        name,
        ask,
        client,
        felt,
        reaches,
    }
}

/// A family of faults, and the victims that it is tried on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    /// Its command.
    pub(crate) command: &'static str,
    /// What its tests are called.
    pub(crate) group: &'static str,
    pub(crate) server: &'static str,
    pub(crate) client: &'static str,
}

impl Tried {
    /// A test for each of these, which may run beside others; the first of a kind shows it.
    pub(crate) fn cases(self, faults: &[Fault]) -> Vec<Case> {
        let mut shown = std::collections::BTreeSet::new();
        let case = |fault: &Fault| {
            let fault = *fault;
            let kind = fault.ask.split(' ').next().unwrap_or_default();
            let kind = format!("{} {kind}", self.command);
            let name = format!("{}::{}", self.group, fault.name);
            let case = Case::new(name, INJECTOR, move || {
                self.effect(&Lab::new(Wire::Loopback, Family::V4)?, &fault)
            });
            let case = case.beside_others();
            if shown.insert(kind.clone()) {
                case.shows(kind)
            } else {
                case
            }
        };
        faults.iter().map(case).collect()
    }

    pub(crate) fn serve(self, lab: &Lab) -> Result<(Victim, SocketAddr)> {
        lab.server(self.server, SocketAddr::new(lab.address(), 0))
    }

    /// A client that makes [`COUNT`] requests a round, where nothing else is said.
    pub(crate) fn client(self, place: Place<'_>, server: SocketAddr, more: &str) -> Result<Victim> {
        let (server, count) = (server.to_string(), COUNT.to_string());
        let mut words = vec![self.client, "--connect", &server, "--wait"];
        words.extend(more.split_whitespace());
        for (flag, value) in [("--count", count.as_str()), ("--timeout", "700ms")] {
            if !words.contains(&flag) {
                words.extend([flag, value]);
            }
        }
        Victim::start(place, &words)
    }

    pub(crate) fn arm(self, lab: &Lab, injector: &Injector, fault: &str) -> Result<Running> {
        let words: Vec<&str> = [self.command]
            .into_iter()
            .chain(fault.split_whitespace())
            .collect();
        lab.arm(injector, &words)
    }

    pub(crate) fn effect(self, lab: &Lab, fault: &Fault) -> Result<()> {
        let (server, address) = self.serve(lab)?;
        let mut agent = self.client(lab.agent(), address, fault.client)?;
        let mut bystander = self.client(lab.bystander(), address, fault.client)?;
        well(&agent.round()?, "the target before")?;
        let injector = Injector::new()?;
        let armed = self.arm(lab, &injector, fault.ask)?;
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
        let wanted = match fault.reaches {
            Reaches::All => COUNT,
            Reaches::None => 0,
        };
        ensure!(got == wanted, "{got} requests have reached the server");
        let counted = first_fault(&report)?;
        are(counted, [COUNT, COUNT, COUNT])?;
        ensure!(counted.mechanism == "relay", "{counted:?}");
        if let Felt::Error("timeout") = fault.felt {
            did(counted, &[("let_go", COUNT), ("never_let_go", 0)])?;
        }
        well(&agent.round()?, "the target afterwards")
    }
}

pub(crate) fn well(summary: &Summary, who: &str) -> Result<()> {
    ensure!(
        summary.ok == COUNT && summary.sent == COUNT,
        "{who}: {summary:?}"
    );
    Ok(())
}

/// So many requests have reached the server between these two times; as many behind the second are known to.
pub(crate) fn reached(server: &Victim, from_ns: u64, to_ns: u64, behind: u64) -> Result<u64> {
    let mut calls = Vec::new();
    eventually(
        "the server to tell of its requests",
        Duration::from_secs(5),
        || {
            calls.extend(server.calls());
            let told = calls.iter().filter(|call| call.start_ns > to_ns).count();
            Ok((told as u64 >= behind).then_some(()))
        },
    )?;
    let within = |start: u64| (from_ns..=to_ns).contains(&start);
    Ok(calls.iter().filter(|call| within(call.start_ns)).count() as u64)
}

pub(crate) fn are(counted: &FaultReport, [seen, matched, hit]: [u64; 3]) -> Result<()> {
    ensure!(
        counted.seen == seen && counted.matched == matched && counted.hit == hit,
        "{counted:?}"
    );
    Ok(())
}
