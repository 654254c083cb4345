//! How large the kernel's tables have to be for what a plan does in one network namespace.

use std::collections::BTreeSet;

use injector_common::rule_id;

use super::{Need, Plan, PlannedRule};
use crate::{
    hooks::{CallHook, TraceHook},
    tables::Sizes,
};

/// Which processes the programs have to know by themselves; those of a target cgroup are known by the cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// These, and no more.
    Present(usize),
    /// Their children too.
    Followed,
}

/// Whether each hit is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A reader listens to hits.
    Hits,
    /// Hits are counted only.
    Nothing,
}

impl Plan {
    /// The sizes for the rules of these scopes.
    pub fn sizes(&self, scopes: &[u32], known: Known, told: Told) -> Sizes {
        let own = || {
            self.rules
                .iter()
                .filter(|rule| scopes.contains(&rule.scope))
        };
        let hooks = self.hooks(scopes);
        let on_calls: BTreeSet<&CallHook> = self
            .on_calls(scopes)
            .flat_map(|(_, calls)| &calls.hooks)
            .collect();
        let meets = |is_one: fn(&CallHook) -> bool| on_calls.iter().any(|hook| is_one(hook));
        let sleeps = own().any(|rule| rule.compiled.needs().any(|need| need == Need::Park));
        let by_path = own().any(|rule| {
            let calls = rule.fault.kind.on_calls();
            calls.is_some_and(|calls| !calls.calls().paths.is_empty())
        });
        let (least, most) = (Sizes::LEAST, Sizes::MOST);
        let of = |is_used: bool, least: u32, most: u32| if is_used { most } else { least };
        let rules = own().map(after).max().unwrap_or(least.rules);
        let is_called = !on_calls.is_empty();
        Sizes {
            scopes: scopes.iter().max().map_or(least.scopes, |last| last + 1),
            rules,
            call_rules: of(is_called, least.call_rules, rules),
            processes: match known {
                Known::Followed => most.processes,
                Known::Present(count) => u32::try_from(count)
                    .unwrap_or(most.processes)
                    .clamp(least.processes, most.processes),
            },
            devices: of(hooks.egress || hooks.ingress, least.devices, most.devices),
            flows: of(hooks.ingress, least.flows, most.flows),
            connecting: of(hooks.connect, least.connecting, most.connecting),
            relayed: of(hooks.relay, least.relayed, most.relayed),
            walks: of(is_called, least.walks, most.walks),
            met: of(meets(stands_twice), least.met, most.met),
            pending: of(sleeps, least.pending, most.pending),
            sleeps: of(sleeps, least.sleeps, most.sleeps),
            damages: of(meets(damages), least.damages, most.damages),
            vectors: of(meets(cuts), least.vectors, most.vectors),
            paths: of(by_path, least.paths, most.paths),
            operations: of(hooks.operations, least.operations, most.operations),
            plaintext: least.plaintext,
            speakers: least.speakers,
            answers: of(hooks.rewrite, least.answers, most.answers),
            armed: of(hooks.rewrite, least.armed, most.armed),
            rewrites: of(hooks.rewrite, least.rewrites, most.rewrites),
            events: match told {
                Told::Hits => most.events,
                Told::Nothing => least.events,
            },
        }
    }
}

/// The first id behind a rule's.
fn after(rule: &PlannedRule) -> u32 {
    rule_id(rule.scope, rule.slot) + 1
}

/// Whether two programs stand at the hook, one behind the other.
fn stands_twice(hook: &CallHook) -> bool {
    match hook {
        CallHook::Security { .. } | CallHook::Syscall { .. } | CallHook::Trace(_) => true,
        CallHook::Missed { .. }
        | CallHook::SleepAtExit { .. }
        | CallHook::SleepAtEnter { .. }
        | CallHook::Lsm { .. }
        | CallHook::Kprobe { .. }
        | CallHook::Cgroup(_) => false,
    }
}

fn damages(hook: &CallHook) -> bool {
    matches!(
        hook,
        CallHook::Trace(TraceHook::Damage | TraceHook::DamageAgain)
    )
}

fn cuts(hook: &CallHook) -> bool {
    matches!(
        hook,
        CallHook::Trace(
            TraceHook::Cut | TraceHook::CutAgain | TraceHook::Mend | TraceHook::MendAgain
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Names;
    use injector_spec::experiment::file;

    /// Plans an experiment with one target for each of these faults, on a host that offers everything.
    fn plan(faults: &[&str]) -> Plan {
        let lines = |line: &dyn Fn(usize) -> String| -> String {
            let lines: Vec<String> = (0..faults.len()).map(line).collect();
            lines.concat()
        };
        let targets = lines(&|index| format!("  t{index}: {{ cgroup: /t{index} }}\n"));
        let faults = lines(&|index| {
            let target = format!("target: t{index}");
            format!("  - {}\n", faults[index].replace("TARGET", &target))
        });
        let text = format!("targets:\n{targets}duration: 1s\nfaults:\n{faults}");
        let experiment = file::parse(&text, "sizes.yaml", None).unwrap();
        Plan::make(&experiment, &Names::default(), 1, &|_| true).unwrap()
    }

    const NONE: Known = Known::Present(0);

    #[test]
    fn a_delay_of_a_cgroup_needs_devices_and_one_rule() {
        let sizes = plan(&["net.delay: { TARGET, latency: 1ms }"]).sizes(&[0], NONE, Told::Nothing);
        let expected = Sizes {
            devices: Sizes::MOST.devices,
            ..Sizes::LEAST
        };
        assert_eq!(sizes, expected);
    }

    #[test]
    fn a_namespace_has_room_for_its_own_rules_and_no_more() {
        let plan = plan(&[
            "net.loss: { TARGET, percent: 1% }",
            "net.reset: { TARGET }",
            "net.connect: { TARGET, errno: ECONNREFUSED }",
        ]);
        let sizes = |scope, known, told| plan.sizes(&[scope], known, told);
        let loss = sizes(0, Known::Present(70_000), Told::Hits);
        assert_eq!((loss.scopes, loss.rules, loss.call_rules), (1, 1, 1));
        assert_eq!((loss.processes, loss.events), (65_536, 1 << 19));
        let reset = sizes(1, Known::Followed, Told::Nothing);
        assert_eq!((reset.scopes, reset.rules, reset.devices), (2, 33, 1));
        assert_eq!(reset.processes, Sizes::MOST.processes);
        let connect = sizes(2, NONE, Told::Nothing);
        assert_eq!((connect.rules, connect.connecting), (65, 1_024));
        let all = plan.sizes(&[0, 1, 2], NONE, Told::Nothing);
        assert_eq!((all.scopes, all.rules), (3, 65));
    }

    #[test]
    fn only_faults_on_calls_have_tables_for_threads() {
        let of = |fault| plan(&[fault]).sizes(&[0], NONE, Told::Nothing);
        let error = of("sys.error: { TARGET, syscall: [openat], errno: ENOENT }");
        assert_eq!((error.walks, error.met, error.sleeps), (2_048, 1, 1));
        let delay = of("sys.delay: { TARGET, syscall: [openat], delay-enter: 1ms }");
        assert_eq!((delay.pending, delay.sleeps), (16_384, 16_384));
        let corrupt = of("io.corrupt: { TARGET, path: [/tmp], percent: 1% }");
        assert_eq!((corrupt.damages, corrupt.vectors), (1_024, 1));
        assert_eq!((corrupt.met, corrupt.paths), (4_096, 4_096));
        let short = of("io.short: { TARGET, path: [/tmp], at-most: 5 }");
        assert_eq!((short.damages, short.vectors), (1, 1_024));
    }
}
