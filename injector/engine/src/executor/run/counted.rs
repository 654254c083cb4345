//! What a run counts: for its limits, for its halt conditions, for its report.

use std::collections::BTreeSet;

use injector_common::{rule::Counters, rule_id};

use super::{Armed, Run, targets::explain};
use crate::{executor::budget::Used, halt_monitor::Counting};
use injector_host::kernel::maps::CounterReader;
use injector_plan::{Carrier, Plan, PlannedRule};
use injector_record::{
    event::{EventKind, MOST_TOLD},
    report::FaultReport,
};
use injector_spec::experiment::FaultKind;

impl Armed {
    /// What all effects have done for the rule at this place of the plan.
    fn counters(&self, rule: usize, plan: &Plan) -> Counters {
        self.effects
            .iter()
            .map(|effect| effect.counters(rule, plan, &self.ground))
            .fold(Counters::default(), Counters::add)
    }

    /// Lets the halt conditions see what no program in the kernel counts.
    pub(super) fn tell_own_counts(&self) {
        let effects = || self.effects.iter();
        self.own_hits
            .tell(effects().map(|effect| effect.own_hits()).sum());
        self.flaws.tell(effects().flat_map(|effect| effect.flaws()));
    }
}

impl Armed {
    /// Lets what is measured know when the first hit was, where that is told later than the hits are counted.
    pub(super) fn tell_first_hit(&mut self) {
        let effects = self.effects.iter();
        let first = effects.filter_map(|effect| effect.first_hit_boot_ns(&self.ground));
        if let Some(at_ns) = first.min() {
            self.measures.was_hit(at_ns);
        }
    }
}

impl Run<'_> {
    /// Which rules of these scopes conditions look at.
    pub(super) fn counting(&self, scopes: &[u32], reader: CounterReader) -> Counting {
        let rules = |is_wanted: &dyn Fn(&FaultKind) -> bool| {
            let rules = self.request.plan.rules.iter();
            rules
                // What the relay hits it counts itself; the kernel counts connections that go there.
                .filter(|rule| rule.compiled.mechanism.carrier() != Carrier::Relay)
                .filter(|rule| scopes.contains(&rule.scope) && is_wanted(&rule.fault.kind))
                .map(|rule| rule_id(rule.scope, rule.slot))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        Counting {
            reader,
            rules: rules(&|_| true),
            failing: rules(&FaultKind::fails_calls),
            scopes: scopes.to_vec(),
        }
    }

    /// What the steps until this one have used up.
    pub(super) fn used(&self, armed: &Armed, step: usize) -> Used {
        self.used_by(armed, |rule| rule.is_on(step))
    }

    /// The same at the end of this one, without what stays on.
    pub(super) fn used_until(&self, armed: &Armed, step: usize) -> Used {
        self.used_by(armed, |rule| rule.last_step == step)
    }

    /// What was used up by faults that are over, and by those of these rules.
    fn used_by(&self, armed: &Armed, counts: impl Fn(&PlannedRule) -> bool) -> Used {
        let plan = &self.request.plan;
        let rules = plan.rules.iter().enumerate();
        rules
            .filter(|(_, rule)| counts(rule))
            .map(|(index, _)| armed.counters(index, plan))
            .fold(armed.spending.before, |used, counters| {
                used.add(Used {
                    hits: counters.hit,
                    bytes: counters.bytes,
                })
            })
    }

    /// Takes over what the faults of a step have hit so far, where so few are told one by one.
    pub(super) fn count_by_rule(&self, armed: &mut Armed, step: usize) {
        let plan = &self.request.plan;
        if plan.rules.len() > MOST_TOLD {
            armed.hits_by_rule.clear();
            return;
        }
        for (index, rule) in plan.rules.iter().enumerate() {
            if rule.is_on(step) {
                let hits = armed.counters(index, plan).hit;
                if let Some(known) = armed.hits_by_rule.get_mut(index) {
                    *known = hits;
                }
            }
        }
    }

    /// Tells how the run stands, from numbers that are known already.
    pub(super) fn tell_progress(&mut self, armed: &Armed, used: Used, step_until_boot_ns: u64) {
        self.tell(EventKind::Progress {
            hits: used.hits,
            by_fault: armed.hits_by_rule.clone(),
            bytes: used.bytes,
            step_until_boot_ns,
            lease_until_boot_ns: armed.watchdog.lease_until_boot_ns(),
        });
    }

    /// What each fault did, and when the last of them hit last, on the boot clock.
    pub(super) fn fault_reports(&self, armed: &Armed) -> (Vec<FaultReport>, u64) {
        let mut last_hit = 0;
        let experiment = &self.request.experiment;
        let mut report = |(index, rule): (usize, &PlannedRule)| {
            let counters = armed.counters(index, &self.request.plan);
            last_hit = counters.last_hit_boot_ns.max(last_hit);
            let step = &experiment.steps[rule.step].name;
            let target = &experiment.targets[rule.fault.target];
            let asked = (&rule.fault, &rule.described);
            let mechanism = rule.compiled.means();
            let mut report = FaultReport::new(step, asked, target, mechanism, counters);
            for effect in &armed.effects {
                effect.report(index, &mut report);
            }
            explain(armed, rule.fault.target, &mut report);
            if let Some(reaction) = &mut report.reaction
                && armed.roster.away_since(rule.fault.target).is_some()
                && !experiment.may_end(rule.fault.target)
            {
                reaction.target_has_ended();
            }
            report
        };
        let rules = self.request.plan.rules.iter().enumerate();
        let reports = rules.map(&mut report).collect();
        (reports, last_hit)
    }
}
