//! `injector doctor`.
//!
//! Each cause is told once, with its remedy, whatever it keeps from working. Without privileges no probe
//! can tell what the host offers, and then that is the cause of all that is missing.

use rustix::thread::{CapabilitySet, capabilities};

use injector_engine::tell;
use injector_engine::worker::Output;
use injector_host::kernel::capability::{self, Capability, Missing};
use injector_spec::error::Exit;

/// What the probes themselves need.
const PROBING: [(CapabilitySet, &str); 4] = [
    (CapabilitySet::BPF, "CAP_BPF"),
    (CapabilitySet::PERFMON, "CAP_PERFMON"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
];

/// The only map of the first user namespace, `user_namespaces(7)`.
const FIRST: [&str; 3] = ["0", "0", "4294967295"];

/// Probes this machine and prints what it offers. What is missing is no failure: that is the answer.
pub fn doctor(output: Output) -> Exit {
    let mut survey = capability::survey();
    if let Some(cause) = withheld() {
        for capability in &mut survey {
            capability.missing = capability.missing.take().map(|_| cause.clone());
        }
    }
    match output {
        Output::Json => tell::json(&survey),
        Output::Text => tell::result(text(&survey)),
    }
    Exit::Done
}

/// What keeps the probes themselves from working, if anything does.
fn withheld() -> Option<Missing> {
    let is_elsewhere = std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| !map.split_whitespace().eq(FIRST));
    if is_elsewhere {
        return Some(Missing {
            why: "this command runs in a user namespace, whose root may load no BPF program, so what the \
                  host offers cannot be tried"
                .into(),
            remedy: "run it as the host's root, outside of the container".into(),
        });
    }
    let have = capabilities(None).ok()?.effective;
    let lacks: Vec<&str> = PROBING
        .iter()
        .filter(|(one, _)| !have.contains(*one))
        .map(|(_, name)| *name)
        .collect();
    (!lacks.is_empty()).then(|| Missing {
        why: format!(
            "this command has not the privileges to try it ({})",
            lacks.join(", ")
        ),
        remedy: "run it with sudo".into(),
    })
}

fn text(survey: &[Capability]) -> String {
    let width = survey
        .iter()
        .map(|capability| capability.name.len())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    let mut causes: Vec<(&Missing, Vec<&str>)> = Vec::new();
    for Capability {
        name,
        serves,
        missing,
    } in survey
    {
        let state = match missing {
            None => "available",
            Some(missing) => {
                match causes.iter_mut().find(|(cause, _)| *cause == missing) {
                    Some((_, names)) => names.push(name),
                    None => causes.push((missing, vec![name])),
                }
                "missing"
            }
        };
        lines.push(format!("{name:width$}  {state:9}  {serves}"));
    }
    for (Missing { why, remedy }, names) in causes {
        let is_all = names.len() > 1 && names.len() == survey.len();
        let what = if is_all {
            "everything".to_owned()
        } else {
            names.join(", ")
        };
        lines.push(format!("missing: {what}"));
        lines.push(format!("    why: {why}"));
        lines.push(format!("    remedy: {remedy}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let capability = |name: &str, missing| Capability {
            name: name.into(),
            serves: "everything".into(),
            missing,
        };
        let missing = Missing {
            why: "no device".into(),
            remedy: "load tun".into(),
        };
        let survey = [
            capability("tap", Some(missing.clone())),
            capability("cgroup", None),
            capability("fuse", Some(missing)),
        ];
        let expected = "\
tap     missing    everything
cgroup  available  everything
fuse    missing    everything
missing: tap, fuse
    why: no device
    remedy: load tun";
        assert_eq!(text(&survey), expected);
    }
}
