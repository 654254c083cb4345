//! `injector doctor`.
//!
//! First a verdict on each family of commands ([`verdict`]), then each cause once with its remedy, whatever it keeps
//! from working. What no command needs here is for `--all`. Without privileges no probe can tell what the host offers,
//! and then that is the cause of all that is missing.

mod pages;
mod verdict;

use rustix::thread::{CapabilitySet, capabilities};

use injector_engine::tell;
use injector_engine::worker::Output;
use injector_host::kernel::capability::{self, Missing};
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

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Which commands work, and why others do not.
    Verdicts,
    /// Each mechanism besides.
    Everything,
}

/// Probes this machine and prints what it offers. What is missing is no failure: that is the answer.
pub fn doctor(depth: Depth, output: Output) -> Exit {
    let mut survey = capability::survey();
    if let Some(cause) = withheld() {
        for capability in &mut survey {
            capability.missing = capability.missing.take().map(|_| cause.clone());
        }
    }
    match output {
        Output::Json => tell::json(&survey),
        Output::Text => tell::page(pages::page(&survey, depth)),
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
