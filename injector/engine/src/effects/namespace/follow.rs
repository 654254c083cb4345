//! A target whose cgroup was made again: the programs, the maps and the tags follow it.
//!
//! The kernel has let go of the programs with the old cgroup (`kernel/bpf/cgroup.c`, `cgroup_bpf_release`), and the
//! new one has another id. The programs come first and the id last: until it is in the map, they match no process.
//! What the target had open when it was seen is tagged then, as at arming.

use injector_common::{RuleId, rule_id};

use super::{
    ArmedNamespace,
    attaching::open_cgroup,
    calls::{key, places_of, write_entries},
};
use injector_host::targets::{ResolvedTarget, cgroup::Cgroup};
use injector_plan::Plan;
use injector_plan::hooks::CallHook;
use injector_spec::error::Refusal;

impl ArmedNamespace {
    /// Meets a target again, which is not in `targets` yet.
    ///
    /// # Errors
    /// Where it cannot be; nothing of it is met then.
    pub fn follow(
        &mut self,
        scope: u32,
        target: &ResolvedTarget,
        targets: &[ResolvedTarget],
        plan: &Plan,
    ) -> Result<(), Refusal> {
        let former = targets.get(scope as usize);
        let former = former.and_then(|former| former.cgroup.as_ref());
        let (Some(from), Some(to)) = (former, &target.cgroup) else {
            return Ok(());
        };
        self.check_depth(from, to, plan)?;
        self.follow_files(scope, target, plan)?;
        self.attach_to_cgroup_of(scope, target, targets)?;
        self.attach_calls_to(scope, to, targets, plan)?;
        self.maps.remove_cgroup(from.id)?;
        self.maps.write_cgroup(to.id, scope)?;
        let members = target.members();
        self.sockets.claim(&members, scope, &mut self.maps);
        Ok(())
    }

    /// Programs on calls ask at the levels at which targets were when they were loaded.
    fn check_depth(&self, from: &Cgroup, to: &Cgroup, plan: &Plan) -> Result<(), Refusal> {
        let depth = |cgroup: &Cgroup| cgroup.directory.components().count();
        let asks = self.hooks.rewrite || plan.on_calls(&self.scopes).next().is_some();
        if depth(from) == depth(to) || !asks {
            return Ok(());
        }
        Err(Refusal::usage(
            "its cgroup lies at another depth of the hierarchy than before, where the programs on its calls do \
             not look; start the run again.",
        ))
    }

    /// Programs that meet calls at the hooks of cgroups.
    fn attach_calls_to(
        &mut self,
        scope: u32,
        cgroup: &Cgroup,
        targets: &[ResolvedTarget],
        plan: &Plan,
    ) -> Result<(), Refusal> {
        if self.acts_at_the_root(targets) {
            return Ok(());
        }
        let mut hooks: Vec<_> = plan
            .on_calls(&self.scopes)
            .flat_map(|(_, calls)| &calls.hooks)
            .filter_map(|hook| match hook {
                CallHook::Cgroup(hook) => Some(*hook),
                _ => None,
            })
            .collect();
        hooks.sort_unstable();
        hooks.dedup();
        let directory = open_cgroup(&cgroup.directory)?;
        let links = self.cgroup_links.entry(scope).or_default();
        for hook in hooks {
            links.cgroup(&mut self.object, hook, &directory)?;
        }
        Ok(())
    }

    /// Looks anew where the files of a target's faults lie: another mount namespace has other files under the same
    /// paths. What was theirs before is let go of, so that its file system can be unmounted.
    pub fn follow_files(
        &mut self,
        scope: u32,
        target: &ResolvedTarget,
        plan: &Plan,
    ) -> Result<(), Refusal> {
        for (rule, _) in plan.on_calls(&self.scopes) {
            if rule.scope != scope {
                continue;
            }
            let id: RuleId = rule_id(rule.scope, rule.slot);
            let fresh = places_of(rule, target)?;
            let held = self.calls.places.iter_mut().find(|(of, _)| *of == id);
            let Some((_, held)) = held else { continue };
            write_entries(id, &fresh, &mut self.maps)?;
            let entries = fresh.entries();
            for place in held.entries().into_keys() {
                if !entries.contains_key(&place) {
                    self.maps.remove_path(key(id, place))?;
                }
            }
            *held = fresh;
        }
        Ok(())
    }
}
