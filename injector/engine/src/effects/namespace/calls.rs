//! Readies the programs for system calls: who is looked at, what is written, what is attached.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::PathBuf,
    sync::Arc,
};

use injector_common::{RuleId, call::PathKey, rule_id};

use super::Context;
use injector_host::{
    kernel::{
        Error,
        calls::CallPrograms,
        links::Links,
        maps::{Maps, SleepMap},
        object::{Callers, Object},
    },
    sleep_server::{Session, SleepServer},
    targets::{Place, Places, ResolvedTarget, cgroup},
};
use injector_plan::{Need, PlannedRule, hooks::CallHook};
use injector_spec::{error::Refusal, experiment::OnCalls, printable};

/// Faults on system calls, ready to be attached.
pub(super) struct CallFaults {
    programs: CallPrograms,
    sleeps: Option<SleepMap>,
    hooks: BTreeSet<CallHook>,
}

/// What is kept while faults on system calls are armed.
#[derive(Default)]
pub(super) struct Attached {
    /// Threads that sleep go on when it is dropped.
    pub(super) session: Option<Session>,
    /// Keeps inodes from becoming other files; by the rules that are about them.
    pub(super) places: Vec<(RuleId, Places)>,
}

/// The processes whose calls the programs look at. None where no fault is about calls, or about what they read by a library.
pub(super) fn callers(scopes: &[u32], context: &Context<'_>) -> Result<Callers, Refusal> {
    let answers = context.plan.hooks(scopes).rewrite;
    if !answers && context.plan.on_calls(scopes).next().is_none() {
        return Ok(Callers::default());
    }
    Ok(Callers::of(own(scopes, context.targets))?)
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

    /// Writes the rules and attaches the programs. The lease is not live, so nothing fires yet. Threads
    /// that are put to sleep go on when the session is dropped.
    pub(super) fn attach(
        self,
        scopes: &[u32],
        context: &Context<'_>,
        maps: &mut Maps,
        object: &mut Object,
        links: &mut Links,
    ) -> Result<Attached, Refusal> {
        let mut places = Vec::new();
        let mut accept = BTreeMap::new();
        for (rule, calls) in context.plan.on_calls(scopes) {
            let id = rule_id(rule.scope, rule.slot);
            maps.write_call_rule(id, &calls.record)?;
            places.push((id, write_places(id, rule, context.targets, maps)?));
            for (call, ops) in &calls.accept {
                *accept.entry(call.number()).or_insert(0) |= ops;
            }
        }
        for (number, ops) in accept {
            maps.write_accept(number, ops)?;
        }
        let session = self.sleeps.map(take_session).transpose()?;
        if let Some(session) = &session {
            maps.write_park(session.record())?;
        }
        let cgroups = cgroups(scopes, context.targets)?;
        for hook in &self.hooks {
            self.programs.attach(hook, &cgroups, object, links)?;
        }
        Ok(Attached { session, places })
    }
}

/// The cgroups that all callers are in: those of the targets, or the root where one is a process. None of them
/// lies below another, since a call would pass the programs of both.
fn cgroups(scopes: &[u32], targets: &[ResolvedTarget]) -> Result<Vec<File>, Refusal> {
    let mut directories = BTreeSet::new();
    for target in own(scopes, targets) {
        directories.insert(match &target.cgroup {
            Some(cgroup) => cgroup.directory.clone(),
            None => cgroup::mount_point()?,
        });
    }
    let is_topmost = |directory: &&PathBuf| {
        let mut above = directory.ancestors().skip(1);
        !above.any(|above| directories.contains(above))
    };
    let mut opened = Vec::new();
    for directory in directories.iter().filter(is_topmost) {
        opened.push(File::open(directory).map_err(|error| {
            let shown = printable::path(directory);
            Error::system(format!("open the cgroup {shown}"), error)
        })?);
    }
    Ok(opened)
}

/// Where the files of a rule lie.
fn write_places(
    id: RuleId,
    rule: &PlannedRule,
    targets: &[ResolvedTarget],
    maps: &mut Maps,
) -> Result<Places, Refusal> {
    let places = places(rule, targets)?;
    write_entries(id, &places, maps)?;
    Ok(places)
}

/// Makes the inodes known to the programs.
pub(super) fn write_entries(id: RuleId, places: &Places, maps: &mut Maps) -> Result<(), Error> {
    places
        .entries()
        .into_iter()
        .try_for_each(|(place, entry)| maps.write_path(key(id, place), entry))
}

/// The key of a place.
pub(super) fn key(id: RuleId, place: Place) -> PathKey {
    PathKey::new(id, place.device, place.inode, place.nth)
}

/// Finds them; none where the rule is not about files.
pub fn places(rule: &PlannedRule, targets: &[ResolvedTarget]) -> Result<Places, Refusal> {
    match targets.get(rule.fault.target) {
        Some(target) => places_of(rule, target),
        None => Ok(Places::default()),
    }
}

/// The same, as this target sees them.
pub(super) fn places_of(rule: &PlannedRule, target: &ResolvedTarget) -> Result<Places, Refusal> {
    match rule.fault.kind.on_calls().map(OnCalls::calls) {
        Some(calls) if !calls.paths.is_empty() => Places::of(calls, target)
            .map_err(|error| Refusal::usage(format!("{}: {error}.", rule.fault.kind.name()))),
        _ => Ok(Places::default()),
    }
}

fn take_session(sleeps: SleepMap) -> Result<Session, Refusal> {
    let refused = |error: injector_host::sleep_server::Error| Refusal::failed(format!("{error}."));
    let server: Arc<SleepServer> = SleepServer::shared().map_err(refused)?;
    server
        .session(move |slot| sleeps.wake_boot_ns(slot))
        .map_err(refused)
}
