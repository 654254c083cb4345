//! One network namespace, armed: maps filled, programs attached, delay line running.
//!
//! [`ArmedNamespace::attach`] makes it ready: [`filling`], [`calls`], [`attaching`] with [`coverage`] of its devices.
//! [`keeping_up`] and [`follow`] go with what changes, [`claim`] reaches sockets that are open as often as [`pace`]
//! lets it, [`ending`] lets everything go.

mod attacher;
mod attaching;
mod calls;
pub(super) mod claim;
mod coverage;
mod ending;
mod filling;
mod follow;
mod keeping_up;
pub(super) mod pace;
pub(super) mod relay;
pub(super) mod rewrites;
mod unjudged;

use std::collections::{BTreeMap, HashSet};

use injector_common::{RuleId, rule::ActiveSlots};

pub use self::calls::places;
use self::{
    attacher::Book,
    calls::{Attached, CallFaults},
    claim::Sockets,
    coverage::Covered,
    filling::{make_tap, rewrites, sizes, start_line, write_rules},
    pace::Pace,
};
use super::ground::Ground;
use crate::{changes::Changes, fd_store::FdStore, halt_monitor, recorder::RunJournal, tell};
use injector_host::{
    delay_line::{DelayLine, Tap},
    kernel::{
        Error,
        clsact::Filters,
        debug_log::DebugLog,
        links::{Links, ProcessHook},
        maps::{CounterReader, EventRing, LeaseMap, Maps, OperationRing},
        netns::Namespace,
        object::Object,
        relay::RelayMaps,
        sysctl,
    },
    targets::{ResolvedTarget, process::TaskKey},
};
use injector_plan::{Attachment, Hooks, Plan, Values};
use injector_record::event::EventKind;
use injector_spec::{
    condition::{Condition, Counted},
    config::OpensTls,
    error::Refusal,
};

/// A namespace in which a run is armed.
///
/// The fields are dropped in this order: links first, so that nothing is redirected any more, the
/// delay line with its TAP last.
pub struct ArmedNamespace {
    links: Links,
    /// Programs on the cgroups of targets, by scope: they go and come with the cgroup.
    cgroup_links: BTreeMap<u32, Links>,
    covered: Option<Covered>,
    /// The programs of classic filters, where links cannot hold them.
    filters: Option<Filters>,
    object: Object,
    /// The maps: the run switches rules and reads counters by them.
    pub maps: Maps,
    /// The hits.
    pub events: EventRing,
    /// The operations that are watched.
    pub operations: OperationRing,
    /// What the programs say of themselves, in builds for debugging.
    pub debug_log: DebugLog,
    /// Where threads sleep.
    calls: Attached,
    line: Option<DelayLine>,
    tap: Option<Tap>,
    /// The process that connections go through.
    pub(super) relay: Option<relay::Relay>,
    /// What answers in the targets' own memory.
    pub(super) rewrites: Option<rewrites::Rewrites>,
    /// The namespace itself.
    pub namespace: Namespace,
    /// The scopes that live here.
    pub scopes: Vec<u32>,
    hooks: Hooks,
    sockets: Sockets,
    /// When sockets without a tag are looked for again.
    claims: Pace,
    /// When resets look for connections again.
    resets: Pace,
    /// When it is looked again who belongs to the targets that are answered in their own memory.
    joins: Pace,
    /// Processes that were found in other namespaces and told of.
    strangers: HashSet<TaskKey>,
}

/// What arming needs from the run.
pub struct Context<'r> {
    /// The plan.
    pub plan: &'r Plan,
    /// All targets, by scope.
    pub targets: &'r [ResolvedTarget],
    /// Where host settings are written down.
    pub journal: &'r mut RunJournal,
    /// The host settings changed so far.
    pub changes: &'r mut Changes,
    /// Who cleans up after us.
    pub fd_store: &'r dyn FdStore,
    /// Whether a listener wants to hear of each hit.
    pub listening: Listening,
    /// What is looked at meanwhile.
    pub conditions: &'r [Condition],
    /// What the relay opens TLS by.
    pub opens_tls: Option<&'r OpensTls>,
    /// The process that has asked for the run, which is no target.
    pub caller: u32,
}

/// What others hold of a namespace's maps.
pub struct Opened {
    /// For the watchdog.
    pub lease: LeaseMap,
    /// For the halt conditions.
    pub counters: CounterReader,
}

/// What the run's listener wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// Each hit, as in `injector events --follow`.
    ToHits,
    /// The run's turns; hits are counted.
    ToTurns,
}

impl ArmedNamespace {
    /// Makes everything ready and attaches it. No rule is switched on and the lease is not live, so
    /// nothing fires yet.
    ///
    /// # Errors
    /// Where a step is refused. The ground holds what was made by then, to be detached.
    pub(crate) fn attach(
        namespace: &Namespace,
        scopes: Vec<u32>,
        context: &mut Context<'_>,
        ground: &mut Ground,
    ) -> Result<(Opened, Vec<EventKind>), Refusal> {
        let (made, call_faults, opened) = Self::make(namespace, scopes, context)?;
        let armed = ground.hold(made);
        armed.rewrites = rewrites(&mut armed.object, &armed.scopes, context)?;
        if let Some(rewrites) = &mut armed.rewrites {
            rewrites.check()?;
        }
        if let Some(faults) = call_faults {
            let Self {
                links,
                object,
                maps,
                scopes,
                ..
            } = &mut *armed;
            armed.calls = faults.attach(scopes, context, maps, object, links)?;
        }
        let (links, object) = (&mut armed.links, &mut armed.object);
        if halt_monitor::counts(context.conditions, Counted::Retransmits) {
            links.process(object, ProcessHook::Retransmit)?;
        }
        if armed.hooks.operations {
            links.process(object, ProcessHook::Turned)?;
        }
        if armed.hooks.relay {
            links.process(object, ProcessHook::Relayed)?;
        }
        armed.attach_to_cgroups(context.targets)?;
        let book = Book {
            changes: context.changes,
            journal: context.journal,
        };
        let told = armed.attach_to_devices(book)?;
        Ok((opened, told))
    }

    /// Makes what is attached then: the TAP with its settings, the maps, the relay and the delay line.
    fn make(
        namespace: &Namespace,
        scopes: Vec<u32>,
        context: &mut Context<'_>,
    ) -> Result<(Self, Option<CallFaults>, Opened), Refusal> {
        let hooks = context.plan.hooks(&scopes);
        let tap = make_tap(namespace, hooks, context)?;
        let has_filters =
            hooks.attachment == Attachment::Filters && (hooks.egress || hooks.ingress);
        if tap.is_some() || has_filters {
            context
                .fd_store
                .keep_namespace(context.journal, namespace)?;
        }
        if tap.is_some() {
            for key in sysctl::LOOPBACK_NEEDS {
                context
                    .changes
                    .set_sysctl(namespace, key, "1", context.journal)?;
            }
        }
        let mut object =
            Object::load_for(calls::callers(&scopes, context)?, sizes(&scopes, context))?;
        let call_faults = CallFaults::of(&scopes, context, &mut object)?;
        let debug_log = DebugLog::take(&mut object, tell::aside);
        let counters = CounterReader::open(&mut object)?;
        let sockets = Sockets::of(&mut object);
        let operations = OperationRing::take(&mut object)?;
        let relay = if hooks.relay {
            Some(relay::Relay::start(
                namespace,
                RelayMaps::open(&mut object)?,
                context.opens_tls,
            )?)
        } else {
            None
        };
        let (mut maps, lease, events) = Maps::take(&mut object)?;
        write_rules(&mut maps, &scopes, context)?;
        if let Some(tap) = &tap {
            maps.write_tap(tap.ifindex)?;
        }
        let line = match &tap {
            Some(tap) => Some(start_line(tap, &scopes, context.plan)?),
            None => None,
        };
        let made = Self {
            links: Links::default(),
            cgroup_links: BTreeMap::new(),
            covered: None,
            filters: None,
            object,
            maps,
            events,
            operations,
            debug_log,
            calls: Attached::default(),
            line,
            tap,
            relay,
            rewrites: None,
            namespace: namespace.try_clone()?,
            scopes,
            hooks,
            sockets,
            claims: Pace::default(),
            resets: Pace::default(),
            joins: Pace::default(),
            strangers: HashSet::new(),
        };
        Ok((made, call_faults, Opened { lease, counters }))
    }

    /// Switches the slots of a scope.
    pub fn activate(&mut self, scope: u32, slots: ActiveSlots) -> Result<(), Error> {
        self.maps.activate(scope, slots)
    }

    /// Changes what is done to packets and calls that meet a rule from now on.
    pub fn change(&mut self, id: RuleId, values: &Values) -> Result<(), Refusal> {
        self.maps.change_rule(id, &values.rule)?;
        if let Some(call) = &values.call {
            self.maps.change_call_rule(id, call)?;
        }
        if let (Some(line), Some(model)) = (&self.line, &values.line) {
            line.change(id, model.clone())?;
        }
        Ok(())
    }

    /// Whether the delay line, if there is one, still runs.
    pub fn line_is_running(&self) -> bool {
        self.line.as_ref().is_none_or(DelayLine::is_running)
    }

    /// Whether threads that are put to sleep, if any are, still sleep and wake: a kill of the page holder ends that.
    pub fn sleep_server_is_serving(&self) -> bool {
        self.calls
            .session
            .as_ref()
            .is_none_or(|session| session.sleep_server().is_serving())
    }
}
