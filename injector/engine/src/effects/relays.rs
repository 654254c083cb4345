//! Faults on requests: the relay of each namespace is told its rules, and says what they have done.

use std::{collections::BTreeMap, time::Instant};

use injector_common::rule::Counters;
use injector_host::targets::ResolvedTarget;
use injector_plan::{Carrier, Plan, in_place};
use injector_record::{
    event::{EventKind, HitOn},
    report::{FaultReport, Reaction},
};
use injector_relay::conversation::{Passed, RuleOrder, RuleState};
use injector_spec::{error::Refusal, experiment::Flaw};

use super::{
    Effect, Scene, Seen, Step, StepTime,
    ground::Ground,
    namespace::relay::{END, Relay, RequestHit},
};

/// The state of all rules that relays carry out.
#[derive(Default)]
pub(super) struct Relays {
    /// Hits of all of them.
    hits: u64,
    /// Hits that have not been told of.
    told: Vec<RequestHit>,
    /// What targets have done about them, by the rule's place in the plan.
    reactions: BTreeMap<usize, Reaction>,
}

impl Relays {
    /// Takes in what the relays have said.
    fn hear(&mut self, scene: &mut Scene<'_>) {
        for namespace in &mut scene.ground.namespaces {
            if let Some(relay) = &mut namespace.relay {
                self.told.extend(relay.hear());
            }
        }
        self.count(scene.ground);
    }

    fn count(&mut self, ground: &Ground) {
        let relays = ground
            .namespaces
            .iter()
            .filter_map(|one| one.relay.as_ref());
        let counts = relays.flat_map(|relay| relay.counts.values());
        self.hits = counts.map(|count| count.hit).sum();
        let relays = ground
            .namespaces
            .iter()
            .filter_map(|one| one.relay.as_ref());
        for relay in relays {
            self.reactions.extend(&relay.reactions);
        }
    }
}

/// The rules of these scopes as they are at this time of a step, or off.
fn orders(plan: &Plan, scopes: &[u32], time: Option<StepTime>) -> Vec<RuleOrder> {
    let rules = plan.rules.iter().enumerate();
    let own = rules.filter(|(_, rule)| {
        rule.compiled.mechanism.carrier() == Carrier::Relay && scopes.contains(&rule.scope)
    });
    own.map(|(place, rule)| {
        let now = time.filter(|now| rule.is_on(now.step));
        RuleOrder {
            rule: place,
            scope: rule.scope,
            slot: rule.slot,
            fault: now.map_or_else(
                || rule.fault.clone(),
                |now| rule.fault.at(plan.since(rule, now.step, now.elapsed)),
            ),
            seed: rule.compiled.rule.seed,
            state: match now {
                Some(_) => RuleState::On,
                None => RuleState::Off,
            },
        }
    })
    .collect()
}

impl Effect for Relays {
    fn set(&mut self, time: Option<StepTime>, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        // What the step that ends has hit is its own.
        self.hear(scene);
        for namespace in &mut scene.ground.namespaces {
            if let Some(relay) = &mut namespace.relay {
                relay.order(orders(scene.plan, &namespace.scopes, time));
            }
        }
        Ok(())
    }

    fn keep_up(&mut self, _: &mut Scene<'_>) {}

    fn act(&mut self, _: Step, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        self.hear(scene);
        Ok(())
    }

    /// Its sockets are met by programs, which follow it.
    fn follow(&mut self, _: u32, _: &ResolvedTarget, _: &mut Scene<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn settle(&mut self, _: u32, _: &mut Scene<'_>) {}

    fn broken(&self, ground: &Ground) -> Option<&'static str> {
        let mut relays = ground
            .namespaces
            .iter()
            .filter_map(|one| one.relay.as_ref());
        relays.find_map(Relay::broken)
    }

    /// What a relay holds goes on when the lease ends: there is nothing to put back.
    fn undo(&mut self, _: Option<usize>, _: &mut Scene<'_>) {}

    fn quiet(&mut self, scene: &mut Scene<'_>) -> Vec<String> {
        let namespaces = &mut scene.ground.namespaces;
        let relays = namespaces.iter_mut();
        let relays = relays.filter_map(|one| one.relay.as_mut());
        let mut relays: Vec<_> = relays.collect();
        // All at once: one that waits for its transfers keeps no other waiting.
        for relay in &mut relays {
            relay.ask_to_end();
        }
        let deadline = Instant::now() + END;
        for relay in relays {
            self.told.extend(relay.end(deadline));
        }
        self.count(scene.ground);
        Vec::new()
    }

    fn events(&mut self, scene: &mut Scene<'_>) {
        for hit in self.told.drain(..) {
            let Some(rule) = scene.plan.rules.get(hit.rule) else {
                continue;
            };
            let what = EventKind::Hit {
                fault: rule.fault.kind.name().to_owned(),
                target: scene.targets[rule.fault.target].name.clone(),
                number: hit.number,
                on: HitOn::Request {
                    path: hit.path,
                    model: hit.model,
                    tool: hit.tool,
                },
            };
            (scene.listeners)(Seen {
                boot_ns: hit.boot_ns,
                what,
            });
        }
    }

    fn counters(&self, rule: usize, _: &Plan, ground: &Ground) -> Counters {
        let relays = ground
            .namespaces
            .iter()
            .filter_map(|one| one.relay.as_ref());
        let mut counts = relays.filter_map(|relay| relay.counts.get(&rule));
        counts.next().copied().unwrap_or_default().into()
    }

    fn own_hits(&self) -> u64 {
        self.hits
    }

    /// A relay tells of a hit within 100 ms, and a target may do something about it at once.
    fn first_hit_boot_ns(&self, ground: &Ground) -> Option<u64> {
        let relays = ground
            .namespaces
            .iter()
            .filter_map(|one| one.relay.as_ref());
        let counts = relays.flat_map(|relay| relay.counts.values());
        counts.filter_map(|count| count.first_hit_boot_ns).min()
    }

    fn flaws(&self) -> Vec<Flaw> {
        self.reactions.values().flat_map(Reaction::flaws).collect()
    }

    fn report(&self, rule: usize, report: &mut FaultReport) {
        if let Some(reaction) = self.reactions.get(&rule) {
            report.reaction = Some(*reaction);
        }
    }

    fn remarks(&self, plan: &Plan, ground: &Ground) -> Vec<String> {
        let mut rules = plan.rules.iter();
        let remedy = if rules.any(|rule| in_place::can_serve(&rule.fault)) {
            IN_PLACE
        } else {
            ""
        };
        let relays = ground
            .namespaces
            .iter()
            .filter_map(|one| one.relay.as_ref());
        relays
            .flat_map(|relay| words(&relay.passed, relay.cut, remedy))
            .collect()
    }
}

/// What helps against TLS in any case, where a fault of the run can be carried out so.
const IN_PLACE: &str = "; --by tls-rewrite answers inside TLS without a certificate where the kernel can (`injector doctor --all` says)";

/// What could not be read, and what the relay's end has cost, in words; `remedy` is what helps besides against TLS.
fn words(passed: &Passed, cut: u64, remedy: &str) -> Vec<String> {
    let Passed {
        connections,
        sealed,
        opened,
        distrusted,
        unopened,
        http2,
        unreached,
        requests: _,
        strangers,
        batches,
        elsewhere,
    } = *passed;
    let by_relay = match opened + distrusted + unopened {
        0 => "; [relay] in the configuration has the relay open TLS",
        _ => "",
    };
    let told = [
        (
            sealed,
            format!(
                "{sealed} of {connections} connections were sealed by TLS: their requests went through unread, and no fault met them{by_relay}{remedy}"
            ),
        ),
        (
            opened,
            format!("{opened} of {connections} connections were TLS that the relay has opened"),
        ),
        (
            distrusted,
            format!(
                "{distrusted} of {connections} connections were broken off by the target, which does not trust the authority of [relay], or does not take the TLS that the relay speaks; what it has connected to the same servers since went through unread{remedy}"
            ),
        ),
        (
            unopened,
            format!(
                "{unopened} of {connections} connections were not opened: their server shows no certificate that is trusted, wants one of its client, or speaks no HTTP/1.1; they went through unread"
            ),
        ),
        (
            http2,
            format!(
                "{http2} of {connections} connections spoke HTTP/2: their requests went through unread, and no fault met them"
            ),
        ),
        (
            unreached,
            format!(
                "{unreached} of {connections} connections could not be made; the target saw them made and then reset, where without the relay the call itself would have failed"
            ),
        ),
        (
            strangers,
            format!(
                "{strangers} connections to the relay were none of the target's, and were closed"
            ),
        ),
        (
            batches,
            format!(
                "{batches} requests had several messages of JSON-RPC in one: they went through as they were, and no fault met them"
            ),
        ),
        (
            elsewhere,
            format!(
                "{elsewhere} calls were made by MCP's transport of 2024-11-05, by which answers come on another connection: no fault met them"
            ),
        ),
        (
            cut,
            format!(
                "{cut} connections through the relay were in the middle of a transfer when the run ended, and were cut"
            ),
        ),
    ];
    let told = told.into_iter().filter(|(count, _)| *count > 0);
    told.map(|(_, words)| words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_is_told() {
        assert!(words(&Passed::default(), 0, "").is_empty());
        let passed = Passed {
            connections: 3,
            sealed: 2,
            ..Passed::default()
        };
        let told = words(&passed, 1, IN_PLACE);
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("2 of 3") && told[1].contains("1 connections"));
        assert!(told[0].contains("[relay]") && told[0].contains("--by tls-rewrite"));
    }

    #[test]
    fn the_other_way_is_named_where_tls_was_not_opened() {
        let passed = Passed {
            connections: 6,
            sealed: 2,
            opened: 1,
            distrusted: 3,
            ..Passed::default()
        };
        for told in words(&passed, 0, IN_PLACE) {
            let is_named = told.contains("--by tls-rewrite");
            assert_eq!(is_named, !told.contains("has opened"), "{told}");
            assert!(!told.contains("[relay] in the configuration"), "{told}");
        }
        let told = words(&passed, 0, "");
        assert!(told.iter().all(|told| !told.contains("tls-rewrite")));
    }
}
