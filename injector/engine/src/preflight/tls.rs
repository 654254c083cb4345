//! How targets speak TLS, as far as it can be seen before anything is attached: by which a fault on requests is planned.

use std::collections::BTreeSet;

use injector_host::targets::{
    ResolvedTarget,
    tls::{Found, Libraries},
};
use injector_plan::{
    Mechanism, Plan,
    in_place::{RelayTls, Tls},
};
use injector_spec::{
    config::Config,
    error::Refusal,
    experiment::{Experiment, OnRequests},
};

/// As many processes of a target as are looked at.
const LOOKED_AT: usize = 64;

/// What is known of it. Targets that no fault on requests to models is about are not looked at.
pub(super) fn known(
    experiment: &Experiment,
    targets: &[Option<&ResolvedTarget>],
    config: &Config,
) -> Tls {
    let asked = experiment.placed().filter_map(|(_, _, fault)| {
        let on = fault.kind.on_requests();
        matches!(on, Some(OnRequests::Models(_))).then_some(fault.target)
    });
    let asked: BTreeSet<usize> = asked.collect();
    let has_library = |index: &usize| {
        let target = targets.get(*index).copied().flatten();
        target.is_some_and(|target| {
            let found = found(target);
            found.iter().any(|(_, found)| !found.libraries.is_empty())
        })
    };
    Tls {
        relay: match config.relay.opens_tls {
            Some(_) => RelayTls::Opened,
            None => RelayTls::Sealed,
        },
        with_library: asked.into_iter().filter(has_library).collect(),
    }
}

/// What the processes of a target have for TLS.
fn found(target: &ResolvedTarget) -> Vec<(u32, Found)> {
    let mut libraries = Libraries::default();
    let members = target.members().into_iter().take(LOOKED_AT);
    // One that has ended meanwhile has nothing.
    members
        .filter_map(|key| Some((key.tgid, libraries.of(key.tgid).ok()?)))
        .collect()
}

/// Refuses to stand in a target of which no process can have a library that is known.
pub(super) fn check(plan: &Plan, targets: &[ResolvedTarget]) -> Result<(), Refusal> {
    for rule in &plan.rules {
        if rule.compiled.mechanism != Mechanism::TlsRewrite {
            continue;
        }
        let Some(target) = targets.get(rule.fault.target) else {
            continue;
        };
        let found = found(target);
        let is_hopeless = |found: &Found| found.libraries.is_empty() && found.runtime.is_some();
        if !found.iter().all(|(_, found)| is_hopeless(found)) {
            continue;
        }
        let first = found
            .iter()
            .find_map(|(pid, found)| Some((pid, found.runtime?)));
        if let Some((pid, runtime)) = first {
            return Err(Refusal::usage(format!(
                "{} by tls-rewrite needs a TLS library that is known, and process {pid} is {}; say --by relay, and have the relay open TLS by [relay] in the configuration",
                rule.fault.kind.name(),
                runtime.words()
            )));
        }
    }
    Ok(())
}
