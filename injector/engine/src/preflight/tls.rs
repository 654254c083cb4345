//! How targets speak TLS, as far as it can be seen before anything is attached.

use std::collections::BTreeMap;

use injector_host::targets::{ResolvedTarget, tls::Libraries};
use injector_plan::{Mechanism, Plan};
use injector_spec::error::Refusal;

/// As many processes of a target as are looked at.
const LOOKED_AT: usize = 64;

/// Refuses to stand in a target of which no process can have a library that is known. Of a target with more processes than are
/// looked at that is not known: its run goes on, and the report says which were not met.
pub(super) fn check(plan: &Plan, targets: &[ResolvedTarget]) -> Result<(), Refusal> {
    let mut libraries = Libraries::default();
    for (place, fault) in asked(plan) {
        let Some(target) = targets.get(place) else {
            continue;
        };
        let members = target.members();
        if members.len() > LOOKED_AT {
            continue;
        }
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
                "{fault} by tls-rewrite needs a TLS library that is known, and none of the target's {} processes can have one: process {pid} is {}; say --by relay, and have the relay open TLS by [relay] in the configuration",
                members.len(),
                runtime.words()
            )));
        }
    }
    Ok(())
}

/// The targets that are asked about, each once, with the first fault that asks.
fn asked(plan: &Plan) -> BTreeMap<usize, &'static str> {
    let rules = plan.rules.iter();
    let rules = rules.filter(|rule| rule.compiled.mechanism == Mechanism::TlsRewrite);
    let mut asked = BTreeMap::new();
    for rule in rules {
        asked
            .entry(rule.fault.target)
            .or_insert(rule.fault.kind.name());
    }
    asked
}

#[cfg(test)]
mod tests {
    use injector_plan::Names;
    use injector_spec::experiment::file;

    use super::*;

    #[test]
    fn each_target_is_looked_at_once() {
        let text = "targets: { a: { cgroup: /a }, b: { cgroup: /b }, c: { cgroup: /c } }\nduration: 1s\nfaults:\n  \
            - llm.error: { target: b, by: tls-rewrite }\n  - llm.empty: { target: b, by: tls-rewrite }\n  \
            - llm.empty: { target: a, by: tls-rewrite }\n  - llm.error: { target: c }\n";
        let experiment = file::parse(text, "in-place.yaml", None).unwrap();
        let plan = Plan::make(&experiment, &Names::default(), 1, &|_| true).unwrap();
        let asked: Vec<_> = asked(&plan).into_iter().collect();
        assert_eq!(asked, [(0, "llm.empty"), (1, "llm.error")]);
    }
}
