//! What a run does from user space while a step is on: resets, faults on processes, and the telling of hits.

use std::cell::RefCell;

use injector_common::rule_id;
use injector_host::kernel::clock::boot_ns;
use injector_plan::Mechanism;
use injector_record::event::{EventKind, RunEvent};
use injector_spec::error::Refusal;

use super::{Armed, Run};
use crate::executor::{Request, process, reset::Resets};

impl Run<'_> {
    /// Carries out the resets of a step. They are this process's own doing, so the lease is asked here.
    pub(super) fn reset(&mut self, armed: &mut Armed, step: usize) {
        let rules: Vec<_> = (self.request.plan.rules.iter().enumerate())
            .filter(|(_, rule)| rule.step == step && rule.compiled.mechanism == Mechanism::Reset)
            .collect();
        let Armed {
            namespaces,
            watchdog,
            resetters,
            ..
        } = armed;
        if rules.is_empty() || !watchdog.is_live() {
            return;
        }
        let resets = Resets {
            rules,
            targets: &self.request.targets,
            is_live: &|| watchdog.is_live(),
        };
        let mut told = Vec::new();
        for namespace in namespaces {
            namespace.where_due(|namespace| resets.look(namespace, resetters, &mut told));
        }
        for what in told {
            self.tell(what);
        }
    }

    /// Does what is due of a step's faults on processes.
    pub(super) fn act_on_processes(
        &mut self,
        armed: &mut Armed,
        step: usize,
        ends_at: u64,
    ) -> Result<(), Refusal> {
        let Armed {
            namespaces,
            watchdog,
            processes,
            ..
        } = armed;
        let Request {
            experiment,
            targets,
            plan,
            ..
        } = &self.request;
        let namespaces = RefCell::new(namespaces);
        let members = |scope: u32| {
            let namespaces = namespaces.borrow();
            let namespace = namespaces.iter().find(|n| n.scopes.contains(&scope));
            match (namespace, targets.get(scope as usize)) {
                (Some(namespace), _) => namespace.members(scope, targets),
                (None, Some(target)) => target.members(),
                (None, None) => Vec::new(),
            }
        };
        let surroundings = process::Surroundings {
            plan,
            selectors: &experiment
                .targets
                .iter()
                .map(|t| &t.selector)
                .collect::<Vec<_>>(),
            targets,
            members: &members,
            watchdog,
            bar: &|rule| {
                let mut namespaces = namespaces.borrow_mut();
                let namespace = namespaces
                    .iter_mut()
                    .find(|n| n.scopes.contains(&rule.scope));
                match (namespace, rule.compiled.exec_deny) {
                    (Some(namespace), Some(_)) => {
                        namespace.maps.mark_killed(rule_id(rule.scope, rule.slot))
                    }
                    _ => Ok(()),
                }
            },
        };
        let mut record = process::Record {
            changes: &mut self.changes,
            journal: &mut self.journal,
        };
        processes.act(step, boot_ns(), ends_at, &surroundings, &mut record)
    }

    /// Undoes what a step's faults on processes have changed.
    pub(super) fn lift(&mut self, armed: &mut Armed) {
        armed.processes.lift(&mut process::Record {
            changes: &mut self.changes,
            journal: &mut self.journal,
        });
    }

    /// Tells of the hits that wait in the rings.
    pub(super) fn drain(&mut self, armed: &mut Armed) {
        for namespace in &mut armed.namespaces {
            namespace.debug_log.flush();
            for event in namespace.events.by_ref() {
                let rules = &self.request.plan.rules;
                let Some(rule) = rules
                    .iter()
                    .find(|r| rule_id(r.scope, r.slot) == event.rule)
                else {
                    continue;
                };
                let target = &self.request.targets[rule.fault.target].name;
                let what = EventKind::hit(rule.fault.kind.name(), target, &event);
                (self.tell)(RunEvent {
                    run: self.request.run.clone(),
                    boot_ns: event.boot_ns,
                    what,
                });
            }
        }
    }
}
