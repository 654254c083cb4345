//! One network namespace, armed: maps filled, programs attached, delay line running.

mod follow;

use std::{
    collections::{BTreeMap, HashSet},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use injector_common::{
    flow::Unjudged,
    rule::{ActiveSlots, Counters, Rule},
    rule_id,
};

use super::{
    FdStore,
    calls::{self, Attached, CallFaults},
    changes::Changes,
    claim::{Asking, Meet, Sockets},
    coverage::Covered,
    pace::{Begun, Pace, Reach},
    unjudged,
};
use crate::{halt_monitor, recorder::RunJournal, tell};
use injector_host::{
    delay_line::{self, DelayLine, Tap},
    kernel::{
        Error,
        clock::boot_ns,
        debug_log::DebugLog,
        devices,
        links::{DeviceHook, Links, ProcessHook, Skipped},
        maps::{CounterReader, EventRing, LeaseMap, Maps},
        netns::Namespace,
        object::Object,
        sysctl,
        tap_label::TapLabel,
    },
    targets::{ResolvedTarget, cgroup, process::TaskKey},
};
use injector_plan::{Hooks, Known, Plan, Told, hooks::CgroupHook, line::LineTable, tables::Sizes};
use injector_record::event::EventKind;
use injector_spec::{
    condition::{Condition, Counted},
    error::Refusal,
    experiment::Follow,
    printable,
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
    object: Object,
    /// The maps, for whoever switches rules and reads counters.
    pub maps: Maps,
    /// The hits.
    pub events: EventRing,
    /// What the programs say of themselves, in builds for debugging.
    pub debug_log: DebugLog,
    /// Where threads sleep.
    calls: Attached,
    line: Option<DelayLine>,
    tap: Option<OwnedFd>,
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
    /// When the run will be over as far as is known, on the boot clock, in nanoseconds.
    pub until: u64,
    /// Who cleans up after us.
    pub fd_store: &'r dyn FdStore,
    /// Whether anybody wants to hear of each hit.
    pub listening: Listening,
    /// What is looked at meanwhile.
    pub conditions: &'r [Condition],
}

/// What others hold of a namespace's maps.
pub struct Opened {
    /// For the watchdog.
    pub lease: LeaseMap,
    /// For the halt conditions.
    pub counters: CounterReader,
}

/// How long programs in flight are waited for. Each has some hundred instructions left.
const FLIGHT: Duration = Duration::from_secs(2);

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
    pub fn attach(
        namespace: &Namespace,
        scopes: Vec<u32>,
        context: &mut Context<'_>,
    ) -> Result<(Self, Opened, Vec<EventKind>), Refusal> {
        let hooks = context.plan.hooks(&scopes);
        let tap = make_tap(namespace, hooks, context)?;
        if hooks.loopback {
            context
                .fd_store
                .keep_namespace(context.journal, namespace)?;
            for key in sysctl::LOOPBACK_NEEDS {
                context
                    .changes
                    .set_sysctl(namespace, key, "1", context.until, context.journal)?;
            }
        }
        let mut object =
            Object::load_for(calls::callers(&scopes, context)?, sizes(&scopes, context))?;
        let call_faults = CallFaults::of(&scopes, context, &mut object)?;
        let debug_log = DebugLog::take(&mut object, tell::aside);
        let counters = CounterReader::open(&mut object)?;
        let sockets = Sockets::of(&mut object);
        let (mut maps, lease, events) = Maps::take(&mut object)?;
        write_rules(&mut maps, &scopes, context)?;
        if let Some(tap) = &tap {
            maps.write_tap(tap.ifindex)?;
        }
        let line = match &tap {
            Some(tap) => Some(start_line(tap, &scopes, context.plan)?),
            None => None,
        };
        let mut armed = Self {
            links: Links::default(),
            cgroup_links: BTreeMap::new(),
            covered: None,
            object,
            maps,
            events,
            debug_log,
            calls: Attached::default(),
            line,
            tap: None,
            namespace: namespace.try_clone()?,
            scopes,
            hooks,
            sockets,
            claims: Pace::default(),
            resets: Pace::default(),
            strangers: HashSet::new(),
        };
        if let Some(faults) = call_faults {
            let Self {
                links,
                object,
                maps,
                scopes,
                ..
            } = &mut armed;
            armed.calls = faults.attach(scopes, context, maps, object, links)?;
        }
        if halt_monitor::counts(context.conditions, Counted::Retransmits) {
            let Self { links, object, .. } = &mut armed;
            links.process(object, ProcessHook::Retransmit)?;
        }
        armed.attach_to_cgroups(context.targets)?;
        let told = armed.attach_to_devices(tap.as_ref())?;
        armed.tap = tap.map(|tap| tap.fd);
        Ok((armed, Opened { lease, counters }, told))
    }

    /// Programs on cgroups and, where a tree is followed, on the fork tracepoint.
    fn attach_to_cgroups(&mut self, targets: &[ResolvedTarget]) -> Result<(), Refusal> {
        let own: Vec<&ResolvedTarget> = self
            .scopes
            .iter()
            .filter_map(|scope| targets.get(*scope as usize))
            .collect();
        let (object, links) = (&mut self.object, &mut self.links);
        if own.iter().any(|target| target.follow == Follow::Tree) {
            links.process(object, ProcessHook::Fork)?;
            links.process(object, ProcessHook::Exit)?;
        }
        if own.iter().any(|target| target.cgroup.is_none()) {
            let root = open_cgroup(&cgroup::mount_point()?)?;
            links.cgroup(object, CgroupHook::BornOfProcess, &root)?;
            for hook in acting(self.hooks) {
                links.cgroup(object, hook, &root)?;
            }
        }
        for scope in self.scopes.clone() {
            if let Some(target) = targets.get(scope as usize) {
                self.attach_to_cgroup_of(scope, target, targets)?;
            }
        }
        Ok(())
    }

    /// Programs on the cgroup of a target, where it is chosen by one.
    fn attach_to_cgroup_of(
        &mut self,
        scope: u32,
        target: &ResolvedTarget,
        targets: &[ResolvedTarget],
    ) -> Result<(), Refusal> {
        let Some(cgroup) = &target.cgroup else {
            return Ok(());
        };
        let hooks = self.hooks;
        let packets = hooks.egress || hooks.ingress || hooks.deliver;
        let mut wanted = vec![CgroupHook::BornInCgroup];
        if packets {
            wanted.push(CgroupHook::ClaimOut);
        }
        if hooks.ingress || hooks.deliver {
            wanted.push(CgroupHook::ClaimIn);
        }
        if !self.acts_at_the_root(targets) {
            wanted.extend(acting(hooks));
        }
        let directory = open_cgroup(&cgroup.directory)?;
        let mut links = Links::default();
        for hook in wanted {
            links.cgroup(&mut self.object, hook, &directory)?;
        }
        // Those of a former cgroup went with it.
        self.cgroup_links.insert(scope, links);
        Ok(())
    }

    /// Whether a target here is chosen by process: then the programs that act are on the root, once for all.
    fn acts_at_the_root(&self, targets: &[ResolvedTarget]) -> bool {
        let mut own = self
            .scopes
            .iter()
            .filter_map(|scope| targets.get(*scope as usize));
        own.any(|target| target.cgroup.is_none())
    }

    /// Programs on the devices, and on the TAP first: what is redirected must find its way back.
    fn attach_to_devices(&mut self, tap: Option<&Tap>) -> Result<Vec<EventKind>, Refusal> {
        if !self.hooks.egress && !self.hooks.ingress {
            return Ok(Vec::new());
        }
        let mut covered = Covered::start(&self.namespace, tap.map(|tap| tap.ifindex))?;
        let (object, maps, links) = (&mut self.object, &mut self.maps, &mut self.links);
        let hooks = self.hooks;
        let told = self.namespace.run(|| {
            if let Some(tap) = tap {
                links.device(object, DeviceHook::Return, &tap.name)?;
            }
            covered.cover_present(object, maps, links, hooks)
        })??;
        self.covered = Some(covered);
        Ok(told)
    }

    /// Makes the targets known and tags what they have open. The lease is live by now, so that forks
    /// and sockets that come in between are caught by the programs.
    pub fn claim(&mut self, targets: &[ResolvedTarget]) -> Result<(), Refusal> {
        for scope in self.scopes.clone() {
            let Some(target) = targets.get(scope as usize) else {
                continue;
            };
            let follow = u32::from(target.follow == Follow::Tree);
            let mut members = target.members();
            if target.cgroup.is_none() {
                self.enter(&members, scope, follow)?;
            }
            if follow == 1 {
                // From here on the fork program catches every child; those that came before it did are
                // in the list now, and their children since are caught too.
                members = with_new_children(members)?;
                self.enter(&members, scope, follow)?;
            }
            self.sockets.claim(&members, scope, &mut self.maps);
        }
        Ok(())
    }

    /// Looks through the sockets of a scope for connections that these resets have not asked, where a look is due.
    pub(super) fn look(
        &mut self,
        scope: u32,
        targets: &[ResolvedTarget],
        asking: Asking,
        meet: &mut Meet<'_>,
    ) {
        let members = self.members(scope, targets);
        self.sockets
            .look(&members, scope, asking, &mut self.maps, meet);
    }

    /// Runs `look` where its turn has come; one that was costly waits longer for its next.
    pub(super) fn where_due(&mut self, look: impl FnOnce(&mut Self) -> Reach) {
        if !self.resets.is_due(boot_ns()) {
            return;
        }
        let begun = Begun::now();
        let reach = look(self);
        self.resets.looked(boot_ns(), begun.cost_ns(), reach);
    }

    /// Makes processes known to the programs.
    fn enter(&mut self, members: &[TaskKey], scope: u32, follow: u32) -> Result<(), Error> {
        members.iter().try_for_each(|key| {
            let (key, record) = key.record(scope, follow);
            self.maps.write_process(key, record)
        })
    }

    /// Tags sockets that appeared since, and covers devices that appeared since.
    pub fn keep_up(&mut self, targets: &[ResolvedTarget]) -> Vec<EventKind> {
        let mut told = Vec::new();
        let begun = Begun::now();
        let is_due = self.claims.is_due(boot_ns());
        for scope in self.scopes.clone() {
            let members = self.members(scope, targets);
            if is_due {
                self.sockets.claim(&members, scope, &mut self.maps);
            }
            told.extend(self.elsewhere(&members));
        }
        if is_due {
            self.claims.looked(boot_ns(), begun.cost_ns(), Reach::Whole);
        }
        told.extend(self.cover_new_devices());
        told
    }

    /// Processes that live in another network namespace, each told of once.
    fn elsewhere(&mut self, members: &[TaskKey]) -> Vec<EventKind> {
        let is_here = |key: &TaskKey| {
            Namespace::of_process(key.tgid).map_or(true, |n| n.inode() == self.namespace.inode())
        };
        let away: Vec<TaskKey> = members
            .iter()
            .filter(|key| !self.strangers.contains(key) && !is_here(key))
            .copied()
            .collect();
        // Those that have ended are nobody's any more.
        self.strangers.retain(|key| members.contains(key));
        self.strangers.extend(&away);
        away.iter()
            .map(|key| EventKind::ProcessNotCovered {
                pid: key.tgid,
                why: "it lives in a network namespace that this run is not armed in".into(),
            })
            .collect()
    }

    fn cover_new_devices(&mut self) -> Vec<EventKind> {
        let Some(covered) = &mut self.covered else {
            return Vec::new();
        };
        let devices = covered.changed();
        if devices.is_empty() {
            return Vec::new();
        }
        let (object, maps, links) = (&mut self.object, &mut self.maps, &mut self.links);
        let hooks = self.hooks;
        let told = self.namespace.run(|| {
            let mut told = Vec::new();
            for device in devices {
                let name = device.name.clone();
                match covered.cover(device, object, maps, links, hooks) {
                    Ok(what) => told.extend(what),
                    Err(error) => told.push(EventKind::DeviceNotCovered {
                        device: name,
                        why: error.to_string(),
                    }),
                }
            }
            told
        });
        told.unwrap_or_default()
    }

    /// The processes of a scope as they are now, followed children included.
    pub fn members(&self, scope: u32, targets: &[ResolvedTarget]) -> Vec<TaskKey> {
        let Some(target) = targets.get(scope as usize) else {
            return Vec::new();
        };
        if target.follow == Follow::Process {
            return target.members();
        }
        let processes = self.maps.processes().into_iter();
        processes
            .filter(|(_, process)| process.scope == scope)
            .map(|(key, process)| TaskKey {
                tgid: key.tgid,
                start_ticks: process.start_ticks,
            })
            .collect()
    }

    /// Switches the slots of a scope.
    pub fn activate(&mut self, scope: u32, slots: ActiveSlots) -> Result<(), Error> {
        self.maps.activate(scope, slots)
    }

    /// Whether the delay line, if there is one, still runs.
    pub fn line_is_running(&self) -> bool {
        self.line.as_ref().is_none_or(DelayLine::is_running)
    }

    /// Whether threads that are put to sleep, if any are, still sleep and wake: whoever kills the process that holds
    /// the pages they sleep on ends that.
    pub fn park_is_serving(&self) -> bool {
        self.calls
            .session
            .as_ref()
            .is_none_or(|session| session.park().is_serving())
    }

    /// A rule's counters, the delay line's share included.
    pub fn counters(
        &self,
        scope: u32,
        slot: u32,
        line: &delay_line::Stats,
    ) -> Result<Counters, Error> {
        let id = rule_id(scope, slot);
        let mut counters = self.maps.counters(id)?;
        if let Some(dns) = line.dns.get(&id) {
            counters.matched += dns.matched;
            counters.hit += dns.hit;
        }
        Ok(counters)
    }

    /// Lets everything that is held go, in order. The lease has ended and programs in flight are done.
    pub fn flush(&mut self) -> Result<delay_line::Stats, Refusal> {
        // Whoever sleeps goes on now, and finds no lease.
        self.calls.session = None;
        let flight = self.await_flight();
        let stats = match self.line.take() {
            None => delay_line::Stats::default(),
            Some(line) => line.flush()?,
        };
        flight?;
        Ok(stats)
    }

    /// Calls that the kernel let by without asking the programs that decide, in words.
    pub fn unseen(&self) -> impl Iterator<Item = String> {
        self.links.skipped().into_iter().map(|Skipped { program, calls }| {
            format!(
                "{calls} calls of this host missed the program `{program}`, which was busy with another thread of the same CPU; as many calls of the target at most went through unseen and are in no counter"
            )
        })
    }

    /// Packets that reached the targets and that no rule was asked about, in words.
    pub fn unjudged(&self) -> Vec<String> {
        if !self.hooks.ingress {
            return Vec::new();
        }
        let of_scope = |scope: &u32| self.maps.unjudged(*scope).unwrap_or_default();
        let all = self.scopes.iter().map(of_scope);
        unjudged::told(all.fold(Unjudged::default(), Unjudged::add))
    }

    /// Waits until no sleepable program is on its way through a call of a target.
    fn await_flight(&self) -> Result<(), Error> {
        let deadline = Instant::now() + FLIGHT;
        while self.maps.in_flight()? > 0 {
            if Instant::now() > deadline {
                return Err(Error::InFlight);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Detaches everything, then closes the TAP.
    pub fn detach(self) {
        let Self {
            links,
            cgroup_links,
            covered,
            object,
            maps,
            events,
            debug_log,
            calls,
            line,
            tap,
            ..
        } = self;
        // Sleepers first: a program that sleeps keeps what it is attached to.
        drop(calls.session);
        drop(links);
        drop(cgroup_links);
        drop((covered, object, maps, events, debug_log));
        drop((line, tap, calls.places));
    }
}

fn open_cgroup(directory: &Path) -> Result<std::fs::File, Error> {
    std::fs::File::open(directory).map_err(|error| {
        let shown = printable::path(directory);
        Error::system(format!("open the cgroup {shown}"), error)
    })
}

/// How large the tables have to be.
fn sizes(scopes: &[u32], context: &Context<'_>) -> Sizes {
    let own = || {
        scopes
            .iter()
            .filter_map(|scope| context.targets.get(*scope as usize))
    };
    let known = if own().any(|target| target.follow == Follow::Tree) {
        Known::Followed
    } else {
        Known::Present(own().map(|target| target.processes.len()).sum())
    };
    let told = match context.listening {
        Listening::ToHits => Told::Hits,
        Listening::ToTurns => Told::Nothing,
    };
    context.plan.sizes(scopes, known, told)
}

/// The cgroup programs that act, and those that learn for the devices' programs, as against those that tag.
fn acting(hooks: Hooks) -> impl Iterator<Item = CgroupHook> {
    [
        (hooks.deliver, CgroupHook::Deliver),
        (hooks.ingress, CgroupHook::LearnIn),
        (hooks.ingress, CgroupHook::LearnOut),
        (hooks.connect, CgroupHook::Connect4),
        (hooks.connect, CgroupHook::Connect6),
        (hooks.reset, CgroupHook::Sequence),
    ]
    .into_iter()
    .filter_map(|(is_wanted, hook)| is_wanted.then_some(hook))
}

fn make_tap(
    namespace: &Namespace,
    hooks: Hooks,
    context: &mut Context<'_>,
) -> Result<Option<Tap>, Refusal> {
    if !hooks.line {
        return Ok(None);
    }
    let tap = namespace.run(Tap::create)??;
    // Evidence for `injector sweep`; a device without it is gone with its descriptor all the same.
    let label = TapLabel::of(context.journal.run()).to_string();
    let labelled = namespace.run(|| devices::label(tap.ifindex, &label))?;
    if hooks.loopback {
        // It is also what other runs see of this one's settings.
        labelled?;
    }
    context
        .fd_store
        .keep_tap(context.journal, namespace, tap.fd.as_fd())?;
    Ok(Some(tap))
}

fn start_line(tap: &Tap, scopes: &[u32], plan: &Plan) -> Result<DelayLine, Refusal> {
    let table: LineTable = plan
        .rules
        .iter()
        .filter(|rule| scopes.contains(&rule.scope))
        .filter_map(|rule| Some(((rule.scope, rule.slot), rule.compiled.line.clone()?)))
        .collect();
    let fd = tap
        .fd
        .try_clone()
        .map_err(|error| Error::system("copy the TAP's descriptor", error))?;
    Ok(DelayLine::spawn(
        fd,
        &table,
        &delay_line::Options::default(),
    )?)
}

fn write_rules(maps: &mut Maps, scopes: &[u32], context: &Context<'_>) -> Result<(), Refusal> {
    for rule in context
        .plan
        .rules
        .iter()
        .filter(|rule| scopes.contains(&rule.scope))
    {
        let record = Rule {
            tell: u32::from(context.listening == Listening::ToHits),
            ..rule.compiled.rule
        };
        maps.write_rule(rule_id(rule.scope, rule.slot), &record)?;
        for (key, bits) in &rule.compiled.filters {
            maps.write_filter(*key, *bits)?;
        }
    }
    for scope in scopes {
        let target = context.targets.get(*scope as usize);
        if let Some(cgroup) = target.and_then(|target| target.cgroup.as_ref()) {
            maps.write_cgroup(cgroup.id, *scope)?;
        }
    }
    Ok(())
}

/// Adds the children that were forked since the processes were looked up and before the fork program
/// was attached.
fn with_new_children(mut members: Vec<TaskKey>) -> Result<Vec<TaskKey>, Refusal> {
    let pids: Vec<u32> = members.iter().map(|key| key.tgid).collect();
    for pid in injector_host::targets::process::trees(&pids)? {
        if let Ok(key) = TaskKey::of(pid)
            && !members.contains(&key)
        {
            members.push(key);
        }
    }
    Ok(members)
}
