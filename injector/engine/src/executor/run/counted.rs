//! What a run counts: for its limits, for its halt conditions, for its report.

use std::collections::BTreeSet;

use injector_common::{rule::Counters, rule_id};

use super::{Armed, Run, targets::explain};
use crate::{executor::budget::Used, halt_monitor::Counting};
use injector_host::{delay_line, kernel::maps::CounterReader};
use injector_record::{event::EventKind, report::FaultReport};
use injector_spec::experiment::FaultKind;

impl Run<'_> {
    /// Which rules of these scopes conditions look at.
    pub(super) fn counting(&self, scopes: &[u32], reader: CounterReader) -> Counting {
        let rules = |is_wanted: &dyn Fn(&FaultKind) -> bool| {
            let rules = self.request.plan.rules.iter();
            rules
                .filter(|rule| scopes.contains(&rule.scope) && is_wanted(&rule.fault.kind))
                .map(|rule| rule_id(rule.scope, rule.slot))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        Counting {
            reader,
            rules: rules(&|_| true),
            failing: rules(&|kind| {
                matches!(
                    kind,
                    FaultKind::Connect(_)
                        | FaultKind::SysError(_)
                        | FaultKind::IoError(_)
                        | FaultKind::PipeError(_)
                )
            }),
            scopes: scopes.to_vec(),
        }
    }

    /// What the steps until this one have used up. A counter that cannot be read now is read at the next
    /// look.
    pub(super) fn used(&self, armed: &Armed, step: usize) -> Used {
        let nothing_held = delay_line::Stats::default();
        let mut used = armed.spending.before;
        for (index, rule) in self.request.plan.rules.iter().enumerate() {
            if rule.step != step {
                continue;
            }
            let of_namespace = armed
                .namespaces
                .iter()
                .find(|namespace| namespace.scopes.contains(&rule.scope))
                .and_then(|namespace| {
                    let counters = namespace.counters(rule.scope, rule.slot, &nothing_held);
                    counters.ok()
                });
            let in_kernel = of_namespace.unwrap_or_default();
            let resets = armed.resetters.get(&index).map(|one| one.counters);
            let own = resets.or_else(|| armed.processes.counters(index, in_kernel));
            let counters = own.unwrap_or(in_kernel);
            used = used.add(Used {
                hits: counters.hit,
                bytes: counters.bytes,
            });
        }
        used
    }

    /// Lets the halt conditions see what this process has done itself: resets, and faults on processes.
    pub(super) fn tell_own_hits(&self, armed: &Armed) {
        let own = (0..self.request.plan.rules.len()).filter_map(|index| {
            let resets = armed
                .resetters
                .get(&index)
                .map(|resetter| resetter.counters);
            // What programs have done is counted where they are.
            resets.or_else(|| armed.processes.counters(index, Counters::default()))
        });
        armed.own_hits.tell(own.map(|counters| counters.hit).sum());
    }

    /// Tells how the run stands, from numbers that are known already.
    pub(super) fn tell_progress(&mut self, armed: &Armed, hits: u64, step_until_boot_ns: u64) {
        self.tell(EventKind::Progress {
            hits,
            step_until_boot_ns,
            lease_until_boot_ns: armed.watchdog.lease_until_boot_ns(),
        });
    }

    /// How many processes the targets have now.
    pub(super) fn processes(&self, armed: &Armed) -> usize {
        let members = armed.namespaces.iter().flat_map(|namespace| {
            let scopes = namespace.scopes.iter();
            scopes.flat_map(|scope| namespace.members(*scope, &self.request.targets))
        });
        members.collect::<BTreeSet<_>>().len()
    }

    /// What each fault did, and when the last of them hit last, on the boot clock.
    pub(super) fn fault_reports(
        &self,
        armed: &Armed,
        lines: &[delay_line::Stats],
    ) -> (Vec<FaultReport>, u64) {
        let mut last_hit = 0;
        let experiment = &self.request.experiment;
        let mut report = |(index, rule): (usize, &injector_plan::PlannedRule)| {
            let of_namespace = armed
                .namespaces
                .iter()
                .zip(lines)
                .find(|(namespace, _)| namespace.scopes.contains(&rule.scope))
                .and_then(|(namespace, line)| namespace.counters(rule.scope, rule.slot, line).ok());
            let own = armed
                .resetters
                .get(&index)
                .map(|resetter| resetter.counters);
            let counters = own
                .or_else(|| {
                    let in_kernel = of_namespace.unwrap_or_default();
                    armed.processes.counters(index, in_kernel)
                })
                .or(of_namespace)
                .unwrap_or_default();
            last_hit = counters.last_hit_boot_ns.max(last_hit);
            let step = &experiment.steps[rule.step].name;
            let target = &experiment.targets[rule.fault.target];
            let planned = rule.compiled.mechanism.name();
            let mechanism = armed.processes.mechanism(index);
            let mechanism = mechanism.as_deref().unwrap_or(planned);
            let asked = (&rule.fault, &rule.described);
            let resets = armed.resetters.get(&index);
            let hit = resets.map(|resetter| resetter.hit.clone());
            let mut report = FaultReport::new(step, asked, target, mechanism, counters)
                .on_connections(hit.unwrap_or_default());
            explain(armed, rule.fault.target, &mut report);
            report
        };
        let rules = self.request.plan.rules.iter().enumerate();
        let reports = rules.map(&mut report).collect();
        (reports, last_hit)
    }
}
