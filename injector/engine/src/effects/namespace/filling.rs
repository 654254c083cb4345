//! What a namespace is filled with before anything is attached: rules, tables, the delay line.

use std::os::fd::AsFd;

use injector_common::{rule::Rule, rule_id};

use injector_host::{
    delay_line::{self, DelayLine, Tap},
    kernel::{Error, devices, maps::Maps, netns::Namespace, object::Object, tap_label::TapLabel},
};
use injector_plan::{Carrier, Hooks, Known, Mechanism, Plan, Told, line::LineTable, tables::Sizes};
use injector_spec::{error::Refusal, experiment::Follow};

use super::{Context, Listening, keeping_up::with_new_children, rewrites::Rewrites};

/// How large the tables have to be.
pub(super) fn sizes(scopes: &[u32], context: &Context<'_>) -> Sizes {
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

pub(super) fn make_tap(
    namespace: &Namespace,
    hooks: Hooks,
    context: &mut Context<'_>,
) -> Result<Option<Tap>, Refusal> {
    if !hooks.line {
        return Ok(None);
    }
    let tap = namespace.run(Tap::create)??;
    // Evidence for `injector sweep`, and what other runs see of this one's settings.
    let label = TapLabel::of(context.journal.run()).to_string();
    namespace.run(|| devices::label(tap.ifindex, &label))??;
    context
        .fd_store
        .keep_tap(context.journal, namespace, tap.fd.as_fd())?;
    Ok(Some(tap))
}

pub(super) fn start_line(tap: &Tap, scopes: &[u32], plan: &Plan) -> Result<DelayLine, Refusal> {
    let rules = || {
        let rules = plan.rules.iter();
        rules.filter(|rule| scopes.contains(&rule.scope))
    };
    let mut table: LineTable = rules()
        .filter_map(|rule| Some(((rule.scope, rule.slot), rule.compiled.line.clone()?)))
        .collect();
    for rule in rules().filter(|rule| rule.is_ramping()) {
        table.set_ramping(rule.scope, rule.slot);
    }
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

/// What answers in the targets' own memory, where a rule of theirs does. Who holds it asks it whether it has reached any.
pub(super) fn rewrites(
    object: &mut Object,
    scopes: &[u32],
    context: &Context<'_>,
) -> Result<Option<Rewrites>, Refusal> {
    let plan = context.plan;
    if !plan.hooks(scopes).rewrite {
        return Ok(None);
    }
    let mut members = Vec::new();
    for scope in scopes {
        let Some(target) = context.targets.get(*scope as usize) else {
            continue;
        };
        if plan.hooks(&[*scope]).rewrite {
            let own = target.members();
            members.extend(match target.follow {
                Follow::Tree => with_new_children(own)?,
                Follow::Process => own,
            });
        }
    }
    Rewrites::start(object, plan, scopes, members, context.caller).map(Some)
}

pub(super) fn write_rules(
    maps: &mut Maps,
    scopes: &[u32],
    context: &Context<'_>,
) -> Result<(), Refusal> {
    for rule in context
        .plan
        .rules
        .iter()
        .filter(|rule| scopes.contains(&rule.scope))
    {
        let record = Rule {
            // What goes through the relay is told by request, and not by connection. What is answered in a target's own memory
            // is counted only.
            tell: u32::from(
                context.listening == Listening::ToHits
                    && rule.compiled.mechanism.carrier() != Carrier::Relay
                    && rule.compiled.mechanism != Mechanism::TlsRewrite,
            ),
            ..rule.compiled.rule
        };
        maps.write_rule(rule_id(rule.scope, rule.slot), &record)?;
        for (key, bits) in &rule.compiled.filters {
            maps.write_filter(*key, *bits)?;
        }
    }
    for scope in scopes {
        maps.watch(*scope, context.plan.watch(*scope))?;
        let target = context.targets.get(*scope as usize);
        if let Some(cgroup) = target.and_then(|target| target.cgroup.as_ref()) {
            maps.write_cgroup(cgroup.id, *scope)?;
        }
    }
    Ok(())
}
