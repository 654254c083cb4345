//! Breaks connections: finds a target's established TCP connections, idle ones included, and resets
//! those that the rule hits.
//!
//! Each connection has one chance with each rule: at the first look that finds it established, and busy or idle
//! where the rule asks for that. So a connection that waits in a pool keeps its chance until it is used. Resets are
//! this process's own doing: nothing in the kernel asks the lease for them, so it is asked before each.

mod connection;
mod look;
mod rst;

use std::collections::BTreeMap;

use injector_common::{
    decide::{Memory, decide},
    filter::{FilterKey, covers, matches},
    rule::Counters,
};

use self::{connection::Asked, look::Look, rst::RstSender};
use super::{Effect, Scene, Step, StepTime, ground::Ground};
use injector_host::{
    kernel::{clock::boot_ns, netns::Namespace},
    targets::{ResolvedTarget, socket::TargetSocket},
};
use injector_plan::{Carrier, Plan, PlannedRule};
use injector_record::report::{Connection, FaultReport, MOST_NAMED};
use injector_spec::error::Refusal;

/// The state of all rules that reset connections.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// By the rule's place in the plan.
    resetters: BTreeMap<usize, Resetter>,
}

/// The state of one `net.reset` fault.
#[derive(Debug, Default)]
struct Resetter {
    memory: Memory,
    /// What it has done.
    counters: Counters,
    /// The first connections that it has hit, [`MOST_NAMED`] at most.
    hit: Vec<Connection>,
    sender: RstSender,
}

impl Effect for Resets {
    /// A look takes the rules of the step that is on.
    fn set(&mut self, _: Option<StepTime>, _: &mut Scene<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    /// A look finds the sockets that are there then.
    fn keep_up(&mut self, _: &mut Scene<'_>) {}

    fn act(&mut self, step: Step, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        let rules = scene.plan.carried_out_by(Carrier::Resets, step.index);
        let watchdog = scene.watchdog;
        let look = Look {
            rules: rules.collect(),
            targets: scene.targets,
            is_live: &|| watchdog.is_live(),
        };
        if look.rules.is_empty() || !watchdog.is_live() {
            return Ok(());
        }
        let mut told = Vec::new();
        for namespace in &mut scene.ground.namespaces {
            namespace
                .where_due(|namespace| look.through(namespace, &mut self.resetters, &mut told));
        }
        for what in told {
            scene.tell(what);
        }
        Ok(())
    }

    /// A look finds the sockets of the target as it is then.
    fn follow(&mut self, _: u32, _: &ResolvedTarget, _: &mut Scene<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn settle(&mut self, _: u32, _: &mut Scene<'_>) {}

    fn broken(&self, _: &Ground) -> Option<&'static str> {
        None
    }

    /// What is reset stays so.
    fn undo(&mut self, _: Option<usize>, _: &mut Scene<'_>) {}

    /// A reset is done when `act` returns.
    fn quiet(&mut self, _: &mut Scene<'_>) -> Vec<String> {
        Vec::new()
    }

    /// Each reset is told of when it is done.
    fn events(&mut self, _: &mut Scene<'_>) {}

    fn counters(&self, rule: usize, _: &Plan, _: &Ground) -> Counters {
        let resetter = self.resetters.get(&rule);
        resetter
            .map(|resetter| resetter.counters)
            .unwrap_or_default()
    }

    fn own_hits(&self) -> u64 {
        self.resetters.values().map(|one| one.counters.hit).sum()
    }

    fn report(&self, rule: usize, report: &mut FaultReport) {
        if let Some(resetter) = self.resetters.get(&rule) {
            report.connections.clone_from(&resetter.hit);
        }
    }

    fn remarks(&self, _: &Plan, _: &Ground) -> Vec<String> {
        Vec::new()
    }
}

impl Resetter {
    /// Asks the rule about a connection, and resets it where the rule hits: the number of the match then.
    fn ask(
        &mut self,
        rule: &PlannedRule,
        socket: &TargetSocket,
        connection: &Asked,
        namespace: &Namespace,
    ) -> Option<u64> {
        self.counters.seen += 1;
        let record = &rule.compiled.rule;
        let id = injector_common::rule_id(rule.scope, rule.slot);
        let contains = |key: &FilterKey| {
            rule.compiled
                .filters
                .iter()
                .any(|(prefix, bits)| covers(prefix, *bits, key))
        };
        if !matches(record.filters, id, &connection.packet, contains) {
            return None;
        }
        self.counters.matched += 1;
        if self.counters.hit >= record.max_hits
            || !decide(record, self.counters.matched, &mut self.memory)
        {
            return None;
        }
        if !self.sender.reset(&socket.fd, connection.ends, namespace) {
            self.counters.missed += 1;
            return None;
        }
        self.counters.hit_at(boot_ns());
        if self.hit.len() < MOST_NAMED {
            self.hit.push(connection.seen);
        }
        Some(self.counters.matched)
    }
}
