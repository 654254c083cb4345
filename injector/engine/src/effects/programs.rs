//! What programs in the kernel do to packets and calls, the delay line and threads that sleep included.
//!
//! The rules are in the maps since the run was armed; a step switches slots, and what ramps is changed where it is
//! read. Programs ask the lease themselves.

use std::collections::BTreeMap;

use injector_common::{rule::Counters, rule_id};
use injector_host::{delay_line, targets::ResolvedTarget};
use injector_plan::{Carrier, Plan, Values};
use injector_record::{event::EventKind, report::FaultReport};
use injector_spec::error::Refusal;

use super::{Effect, Scene, Seen, Step, StepTime, ground::Ground, namespace::ArmedNamespace};

/// The state of all rules that programs carry out.
#[derive(Default)]
pub(super) struct Programs {
    /// What the delay lines did, in the order of the namespaces, once they have ended.
    lines: Vec<delay_line::Stats>,
    /// The step whose slots are on.
    on: Option<usize>,
    /// The values of rules that ramp, as they were set last, by their place in the plan.
    values: BTreeMap<usize, Values>,
}

impl Programs {
    /// Sets what ramps to its values of this time.
    fn ramp(&mut self, now: StepTime, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        let rules = scene.plan.carried_out_by(Carrier::Programs, now.step);
        for (index, rule) in rules.filter(|(_, rule)| rule.is_ramping()) {
            let values = rule.values(scene.plan.since(rule, now.step, now.elapsed))?;
            if self.values.get(&index) == Some(&values) {
                continue;
            }
            if let Some(namespace) = scene.ground.of_mut(rule.scope) {
                namespace.change(rule_id(rule.scope, rule.slot), &values)?;
            }
            self.values.insert(index, values);
        }
        Ok(())
    }
}

impl Effect for Programs {
    fn set(&mut self, time: Option<StepTime>, scene: &mut Scene<'_>) -> Result<(), Refusal> {
        if let Some(now) = time {
            self.ramp(now, scene)?;
        }
        let step = time.map(|now| now.step);
        if step.is_some() && step == self.on {
            return Ok(());
        }
        let active = step.map(|step| scene.plan.active(step)).unwrap_or_default();
        for namespace in &mut scene.ground.namespaces {
            for scope in namespace.scopes.clone() {
                namespace.activate(scope, active.get(&scope).copied().unwrap_or_default())?;
            }
        }
        self.on = step;
        Ok(())
    }

    fn keep_up(&mut self, scene: &mut Scene<'_>) {
        let mut told = Vec::new();
        for namespace in &mut scene.ground.namespaces {
            told.extend(namespace.keep_up(scene.targets, scene.changes, scene.journal));
        }
        for what in told {
            scene.tell(what);
        }
    }

    /// Programs act by themselves.
    fn act(&mut self, _: Step, _: &mut Scene<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn follow(
        &mut self,
        scope: u32,
        target: &ResolvedTarget,
        scene: &mut Scene<'_>,
    ) -> Result<(), Refusal> {
        let (targets, plan) = (scene.targets, scene.plan);
        match scene.ground.of_mut(scope) {
            Some(namespace) => namespace.follow(scope, target, targets, plan),
            // No fault of it needs programs in the kernel.
            None => Ok(()),
        }
    }

    /// The first process of a target may not stand in its own mount namespace yet when it is first seen.
    fn settle(&mut self, scope: u32, scene: &mut Scene<'_>) {
        let (targets, plan) = (scene.targets, scene.plan);
        if let (Some(namespace), Some(target)) =
            (scene.ground.of_mut(scope), targets.get(scope as usize))
        {
            // A file that is not there yet is looked for again.
            let _ = namespace.follow_files(scope, target, plan);
        }
    }

    fn broken(&self, ground: &Ground) -> Option<&'static str> {
        let all = |holds: fn(&ArmedNamespace) -> bool| ground.namespaces.iter().all(holds);
        if !all(ArmedNamespace::line_is_running) {
            Some("the delay line has stopped by itself")
        } else if !all(ArmedNamespace::sleep_server_is_serving) {
            Some(
                "the process that holds the pages which threads sleep on (`injector hold-park`) was killed, or its file system was aborted; no thread sleeps any more",
            )
        } else {
            None
        }
    }

    /// Programs ask the lease: there is nothing to put back.
    fn undo(&mut self, _: Option<usize>, _: &mut Scene<'_>) {}

    fn quiet(&mut self, scene: &mut Scene<'_>) -> Vec<String> {
        let mut errors = Vec::new();
        for namespace in &mut scene.ground.namespaces {
            let stats = namespace.flush();
            errors.extend(stats.as_ref().err().map(ToString::to_string));
            self.lines.push(stats.unwrap_or_default());
        }
        errors
    }

    fn events(&mut self, scene: &mut Scene<'_>) {
        for namespace in &mut scene.ground.namespaces {
            namespace.debug_log.flush();
            for event in namespace.events.by_ref() {
                let mut rules = scene.plan.rules.iter();
                let Some(rule) = rules.find(|rule| rule_id(rule.scope, rule.slot) == event.rule)
                else {
                    continue;
                };
                let target = &scene.targets[rule.fault.target].name;
                let what = EventKind::hit(rule.fault.kind.name(), target, &event);
                (scene.listeners)(Seen {
                    boot_ns: event.boot_ns,
                    what,
                });
            }
        }
    }

    /// A counter that cannot be read now is read at the next look.
    fn counters(&self, rule: usize, plan: &Plan, ground: &Ground) -> Counters {
        let Some(rule) = plan.rules.get(rule) else {
            return Counters::default();
        };
        // Of its rules programs count connections, and the relay requests.
        if rule.compiled.mechanism.carrier() == Carrier::Relay {
            return Counters::default();
        }
        let is_its = |namespace: &&ArmedNamespace| namespace.scopes.contains(&rule.scope);
        let Some(place) = ground.namespaces.iter().position(|one| is_its(&one)) else {
            return Counters::default();
        };
        let nothing_held = delay_line::Stats::default();
        let line = self.lines.get(place).unwrap_or(&nothing_held);
        let counters = ground.namespaces[place].counters(rule.scope, rule.slot, line);
        counters.unwrap_or_default()
    }

    fn own_hits(&self) -> u64 {
        0
    }

    fn report(&self, _: usize, _: &mut FaultReport) {}

    fn remarks(&self, _: &Plan, ground: &Ground) -> Vec<String> {
        let losses = self.lines.iter().flat_map(delay_line::Stats::losses);
        let namespaces = &ground.namespaces;
        losses
            .chain(namespaces.iter().flat_map(ArmedNamespace::unseen))
            .chain(namespaces.iter().flat_map(ArmedNamespace::unjudged))
            .collect()
    }
}
