//! How targets speak TLS, as far as it can be seen before anything is attached.

use injector_host::targets::{ResolvedTarget, tls::Libraries};
use injector_plan::{Mechanism, Plan};
use injector_spec::error::Refusal;

/// As many processes of a target as are looked at.
const LOOKED_AT: usize = 64;

/// Refuses to stand in a target of which no process can have a library that is known. Of a target with more processes than are
/// looked at that is not known: its run goes on, and the report says which were not met.
pub(super) fn check(plan: &Plan, targets: &[ResolvedTarget]) -> Result<(), Refusal> {
    for rule in &plan.rules {
        if rule.compiled.mechanism != Mechanism::TlsRewrite {
            continue;
        }
        let Some(target) = targets.get(rule.fault.target) else {
            continue;
        };
        let members = target.members();
        if members.len() > LOOKED_AT {
            continue;
        }
        let mut libraries = Libraries::default();
        let mut first = None;
        let mut is_hopeless = true;
        for key in &members {
            // One that has ended meanwhile has nothing.
            let Ok(found) = libraries.of(key.tgid) else {
                continue;
            };
            is_hopeless &= found.libraries.is_empty() && found.runtime.is_some();
            first = first.or(found.runtime.map(|runtime| (key.tgid, runtime)));
        }
        if let Some((pid, runtime)) = first.filter(|_| is_hopeless) {
            return Err(Refusal::usage(format!(
                "{} by tls-rewrite needs a TLS library that is known, and none of the target's {} processes can have one: process {pid} is {}; say --by relay, and have the relay open TLS by [relay] in the configuration",
                rule.fault.kind.name(),
                members.len(),
                runtime.words()
            )));
        }
    }
    Ok(())
}
