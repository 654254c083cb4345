//! The plan itself: every rule in its slot, and what has to be attached for all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use injector_common::{SLOTS, rule::ActiveSlots, rule_id};

use super::{
    Attachment, CallPlan, Carrier, Compiled, Error, Mechanism, Names, Need, Watched,
    compile::compile, in_place, rows,
};
use injector_spec::{
    experiment::{Described, Experiment, Fault, Placed, Span},
    quantity::duration,
};

/// The most prefixes that the filter trie holds (`INJ_FILTERS` of the BPF crate).
const MOST_FILTERS: usize = 65_536;

/// What a run will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every fault as a rule, in the order of the experiment.
    pub rules: Vec<PlannedRule>,
    /// Operations that are watched, in the order of the experiment.
    pub watched: Vec<Watched>,
    /// When each step begins, from the first on, where gates open when their time is over.
    begin: Vec<Duration>,
}

/// A fault, compiled and placed.
#[derive(Clone, Debug)]
pub struct PlannedRule {
    /// Index of the step that it begins with.
    pub step: usize,
    /// Index of the last step in which it is on.
    pub last_step: usize,
    /// The fault as it was asked.
    pub fault: Fault,
    /// Its target.
    pub scope: u32,
    /// Its place in the order of composition.
    pub slot: u32,
    /// The same in words, with what is known now: addresses of names, the seed, remarks.
    pub described: Described,
    /// The rest.
    pub compiled: Compiled,
}

impl PlannedRule {
    /// Whether it is on in a step.
    pub fn is_on(&self, step: usize) -> bool {
        (self.step..=self.last_step).contains(&step)
    }

    /// Whether its connections are met in steps in which it is off, too: one that is made before would stay in the
    /// target's pool, and what is asked there later would never be met.
    fn is_met_throughout(&self) -> bool {
        self.compiled.mechanism.carrier() == Carrier::Relay
    }

    /// Whether it works without a program in the kernel.
    fn needs_no_program(&self) -> bool {
        self.compiled.mechanism.needs_no_program() && self.compiled.exec_deny.is_none()
    }
}

/// Which kinds of hook the rules of some targets need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "nine independent questions; any mixture of answers is valid"
)]
pub struct Hooks {
    /// Something acts on packets at devices.
    pub egress: bool,
    /// Something acts on packets that arrive at devices.
    pub ingress: bool,
    /// Something acts on packets before sockets.
    pub deliver: bool,
    /// Something fails `connect(2)`.
    pub connect: bool,
    /// Something holds frames, answers in a peer's place, or gives copies back to a device's ingress: the run has a TAP,
    /// and frames come back in a way that the sysctls of the loopback device must allow.
    pub line: bool,
    /// Something sends connections through a relay.
    pub relay: bool,
    /// Something answers requests in a target's own memory.
    pub rewrite: bool,
    /// Something disconnects sockets.
    pub reset: bool,
    /// Operations are watched.
    pub operations: bool,
    /// How programs stand on devices.
    pub attachment: Attachment,
}

impl Plan {
    /// Plans an experiment. `seed` feeds the faults that were given none, so that the journal can name
    /// the seed that repeats the run.
    pub fn make(
        experiment: &Experiment,
        names: &Names,
        seed: u64,
        offers: &dyn Fn(Need) -> bool,
    ) -> Result<Self, Error> {
        let mut rules = Vec::new();
        for (step, _, fault) in experiment.placed() {
            rules.push((step, fault));
        }
        let slots = slots(&rules, experiment)?;
        let mut planned = Vec::new();
        for (index, ((step, fault), slot)) in rules.into_iter().zip(slots).enumerate() {
            let scope = u32::try_from(fault.target).unwrap_or(u32::MAX);
            let own_seed = injector_common::decide::random64(seed, index as u64 + 1);
            let requests = in_place::choose(fault, &experiment.fail_on)?;
            let id = rule_id(scope, slot);
            let mut compiled = compile(fault, id, requests, names, (own_seed, offers))?;
            let selector = &experiment.targets[fault.target].selector;
            compiled.mechanism = compiled.mechanism.on(selector);
            planned.push(PlannedRule {
                step,
                last_step: fault.last_step(step),
                fault: fault.clone(),
                scope,
                slot,
                described: describe(
                    fault,
                    experiment.span(step, fault),
                    names,
                    compiled.rule.seed,
                ),
                compiled,
            });
        }
        let count = planned.iter().map(|rule| rule.compiled.filters.len()).sum();
        if count > MOST_FILTERS {
            return Err(Error::TooManyFilters {
                count,
                most: MOST_FILTERS,
            });
        }
        Ok(Self {
            rules: planned,
            watched: Watched::of(experiment, names),
            begin: begin(experiment),
        })
    }

    /// Every fault in its place, as every surface tells it.
    pub fn describe(&self, experiment: &Experiment) -> Vec<Placed> {
        let place = |rule: &PlannedRule| Placed {
            step: experiment.steps[rule.step].name.clone(),
            fault: rule.fault.kind.name().to_owned(),
            target: experiment.targets[rule.fault.target].name.clone(),
            mechanism: Some(rule.compiled.means().to_owned()),
            stays_on: rule.fault.stays_on,
            described: rule.described.clone(),
        };
        self.rules.iter().map(place).collect()
    }

    /// Refuses what no host could carry out, whatever it offers and whatever names stand for there.
    pub fn check(experiment: &Experiment) -> Result<(), Error> {
        Self::make(experiment, &Names::default(), 0, &|_| true).map(drop)
    }

    /// The rules that are on in a step.
    pub fn of_step(&self, step: usize) -> impl Iterator<Item = &PlannedRule> {
        self.rules.iter().filter(move |rule| rule.is_on(step))
    }

    /// How long a rule has been on, so long after a step has begun in which it is. There is no gate among its steps.
    pub fn since(&self, rule: &PlannedRule, step: usize, elapsed: Duration) -> Duration {
        let begin = |step: usize| self.begin.get(step).copied().unwrap_or_default();
        elapsed + begin(step).saturating_sub(begin(rule.step))
    }

    /// The rules that are on in a step and that this part of a run carries out, each with its place in the plan.
    pub fn carried_out_by(
        &self,
        carrier: Carrier,
        step: usize,
    ) -> impl Iterator<Item = (usize, &PlannedRule)> {
        self.rules.iter().enumerate().filter(move |(_, rule)| {
            rule.is_on(step) && rule.compiled.mechanism.carrier() == carrier
        })
    }

    /// Which slots are on in a step, by scope.
    pub fn active(&self, step: usize) -> BTreeMap<u32, ActiveSlots> {
        let mut active = BTreeMap::<u32, ActiveSlots>::new();
        let rules = self.rules.iter();
        for rule in rules.filter(|rule| rule.is_on(step) || rule.is_met_throughout()) {
            let (slots, hooks) = (active.entry(rule.scope).or_default(), rule.compiled.hooks);
            slots.egress |= hooks.egress << rule.slot;
            slots.ingress |= hooks.ingress << rule.slot;
            slots.deliver |= hooks.deliver << rule.slot;
            slots.connect |= hooks.connect << rule.slot;
            slots.call |= hooks.call << rule.slot;
            slots.request |= hooks.request << rule.slot;
        }
        active
    }

    /// What has to be attached for these scopes.
    pub fn hooks(&self, scopes: &[u32]) -> Hooks {
        let mut hooks = Hooks::default();
        for rule in self
            .rules
            .iter()
            .filter(|rule| scopes.contains(&rule.scope))
        {
            let at = rule.compiled.hooks;
            hooks.egress |= at.egress != 0;
            hooks.ingress |= at.ingress != 0;
            hooks.deliver |= at.deliver != 0;
            hooks.connect |= at.connect != 0;
            hooks.line |= rule.compiled.line.is_some() || rule.compiled.gives_copies_back();
            hooks.relay |= rule.compiled.mechanism == Mechanism::Relay;
            hooks.rewrite |= rule.compiled.mechanism == Mechanism::TlsRewrite;
            hooks.reset |= rule.compiled.mechanism == Mechanism::Reset;
            if rule.compiled.attachment == Attachment::Filters {
                hooks.attachment = Attachment::Filters;
            }
        }
        hooks.operations = scopes.iter().any(|scope| self.watch(*scope) != 0);
        hooks
    }

    /// Which operations of a target are watched, as in [`injector_common::operation::watch`].
    pub fn watch(&self, scope: u32) -> u32 {
        let own = self.watched.iter().filter(|one| one.scope == scope);
        own.fold(0, |bits, one| bits | one.bits())
    }

    /// Whether a rule of these scopes, or the watch over their operations, needs a program in the kernel.
    pub fn needs_programs(&self, scopes: &[u32]) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| scopes.contains(&rule.scope) && !rule.needs_no_program())
            || scopes.iter().any(|scope| self.watch(*scope) != 0)
    }

    /// The rules of these scopes that are about system calls.
    pub fn on_calls(&self, scopes: &[u32]) -> impl Iterator<Item = (&PlannedRule, &CallPlan)> {
        self.rules
            .iter()
            .filter(|rule| scopes.contains(&rule.scope))
            .filter_map(|rule| Some((rule, rule.compiled.calls.as_ref()?)))
    }

    /// What the host must offer.
    pub fn needs(&self) -> BTreeSet<Need> {
        let rules = self.rules.iter().flat_map(|rule| rule.compiled.needs());
        let operations = self.watched.first().map(|_| Need::Operations);
        rules.chain(operations).collect()
    }
}

fn begin(experiment: &Experiment) -> Vec<Duration> {
    let steps = experiment.steps.iter();
    let begin = steps.scan(Duration::ZERO, |end, step| {
        let begin = *end;
        *end += step.duration;
        Some(begin)
    });
    begin.collect()
}

/// A fault in words, with what the plan has found out.
fn describe(fault: &Fault, span: Span, names: &Names, seed: u64) -> Described {
    let mut described = fault.describe();
    if !described.chance.is_empty() {
        described.chance.set("seed", seed);
    }
    described.resolved = fault
        .names()
        .map(|name| (name.to_owned(), names.addresses(name).to_vec()))
        .collect();
    described.remarks.extend(fault.remarks_in(span));
    if fault.stays_on > 0 {
        let (on, more) = (duration::format(span.on), fault.stays_on);
        let steps = if more == 1 { "step" } else { "steps" };
        let remark = format!("it stays on through {more} more {steps}, {on} in all");
        described.remarks.push(remark);
    }
    described
}

/// Gives the faults of each target their slots, in order of composition.
fn slots(rules: &[(usize, &Fault)], experiment: &Experiment) -> Result<Vec<u32>, Error> {
    let mut slots = vec![0; rules.len()];
    for (target, spec) in experiment.targets.iter().enumerate() {
        let mut own: Vec<usize> = (0..rules.len())
            .filter(|index| rules[*index].1.target == target)
            .collect();
        if own.len() > SLOTS {
            let (target, count) = (spec.name.clone(), own.len());
            return Err(Error::TooManyFaults {
                target,
                count,
                most: SLOTS,
            });
        }
        own.sort_by_key(|index| {
            let fault = rules[*index].1;
            (rows::row(&fault.kind, fault.direction).rank, *index)
        });
        for (slot, index) in (0..).zip(own) {
            slots[index] = slot;
        }
    }
    Ok(slots)
}
