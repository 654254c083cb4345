//! Readies the programs for system calls: who is looked at, what is written, what is attached.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use injector_common::rule_id;

use super::arm::Context;
use crate::{
    error::Refusal,
    kernel::{
        calls::{CallHook, CallPrograms},
        links::Links,
        maps::{Maps, SleepMap},
        object::{Callers, Object},
    },
    park::{Park, Seat},
    plan::Need,
    target::{ResolvedTarget, cgroup},
};

/// Faults on system calls, ready to be attached.
pub(super) struct CallFaults {
    programs: CallPrograms,
    sleeps: Option<SleepMap>,
    hooks: BTreeSet<CallHook>,
}

/// Whose calls the programs look at. Nobody's where no fault is about calls.
pub(super) fn callers(scopes: &[u32], context: &Context<'_>) -> Result<Callers, Refusal> {
    if context.plan.on_calls(scopes).next().is_none() {
        return Ok(Callers::default());
    }
    let root = cgroup::mount_point()?;
    let mut callers = Callers {
        spared: std::process::id(),
        ..Callers::default()
    };
    for target in own(scopes, context.targets) {
        let Some(cgroup) = &target.cgroup else {
            callers.processes = 1;
            continue;
        };
        let below = cgroup.directory.strip_prefix(&root);
        let level = below.map_or(0, |path| path.components().count());
        callers.cgroup_levels |= u32::try_from(level)
            .ok()
            .and_then(|level| 1_u32.checked_shl(level))
            .unwrap_or_default();
    }
    Ok(callers)
}

fn own<'t>(
    scopes: &'t [u32],
    targets: &'t [ResolvedTarget],
) -> impl Iterator<Item = &'t ResolvedTarget> {
    scopes
        .iter()
        .filter_map(|scope| targets.get(*scope as usize))
}

impl CallFaults {
    /// Readies the programs, before the object's maps are taken; `None` where no fault is about calls.
    pub(super) fn of(
        scopes: &[u32],
        context: &Context<'_>,
        object: &mut Object,
    ) -> Result<Option<Self>, Refusal> {
        let plan = context.plan;
        let hooks: BTreeSet<CallHook> = plan
            .on_calls(scopes)
            .flat_map(|(_, calls)| calls.hooks.iter().cloned())
            .collect();
        if hooks.is_empty() {
            return Ok(None);
        }
        let sleeps = plan
            .on_calls(scopes)
            .any(|(rule, _)| rule.compiled.mechanism.needs().contains(&Need::Park));
        let programs = CallPrograms::of(object)?;
        let sleeps = if sleeps {
            Some(SleepMap::take(object)?)
        } else {
            None
        };
        Ok(Some(Self {
            programs,
            sleeps,
            hooks,
        }))
    }

    /// Writes the rules and attaches the programs. The lease is not live, so nothing fires yet. Whoever is
    /// put to sleep goes on when the seat is dropped.
    pub(super) fn attach(
        self,
        scopes: &[u32],
        context: &Context<'_>,
        maps: &mut Maps,
        object: &mut Object,
        links: &mut Links,
    ) -> Result<Option<Seat>, Refusal> {
        let mut accept = BTreeMap::new();
        for (rule, calls) in context.plan.on_calls(scopes) {
            maps.write_call_rule(rule_id(rule.scope, rule.slot), &calls.record)?;
            for (call, ops) in &calls.accept {
                *accept.entry(call.number()).or_insert(0) |= ops;
            }
        }
        for (number, ops) in accept {
            maps.write_accept(number, ops)?;
        }
        let seat = self.sleeps.map(take_seat).transpose()?;
        if let Some(seat) = &seat {
            maps.write_park(seat.record())?;
        }
        for hook in &self.hooks {
            self.programs.attach(hook, object, links)?;
        }
        Ok(seat)
    }
}

fn take_seat(sleeps: SleepMap) -> Result<Seat, Refusal> {
    let refused = |error: crate::park::Error| Refusal::failed(format!("{error}."));
    let park: Arc<Park> = Park::shared().map_err(refused)?;
    park.seat(move |slot| sleeps.wake_boot_ns(slot))
        .map_err(refused)
}
