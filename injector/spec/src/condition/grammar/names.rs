//! The names that a condition may begin with.

use super::super::{ConditionError, Resource, Stalled, Whose};
use crate::{experiment::Flaw, nearest::nearest};

/// Names that are not made of parts.
const SIMPLE: [&str; 14] = [
    "host.load",
    "target.exits",
    "target.restarts",
    "hits",
    "errnos",
    "retransmits",
    "clock",
    "tcp",
    "http",
    "command",
    "prometheus",
    "file",
    "journald",
    "process",
];

pub(super) fn unknown(name: &str) -> ConditionError {
    let all = names();
    let hint = match nearest(name, all.iter().map(String::as_str)) {
        Some(like) => format!("did you mean `{like}`?"),
        None => format!("there are: {}", all.join(", ")),
    };
    ConditionError::Unknown {
        name: name.to_owned(),
        hint,
    }
}

/// Every name that a condition may begin with.
fn names() -> Vec<String> {
    let flaws = Flaw::ALL.iter().filter(|flaw| flaw.is_seen_live());
    let flaws = flaws.map(|flaw| flaw.name());
    let mut names: Vec<String> = SIMPLE.into_iter().chain(flaws).map(str::to_owned).collect();
    for whose in [Whose::Host, Whose::Target] {
        for resource in [Resource::Cpu, Resource::Memory, Resource::Io] {
            for stalled in [Stalled::Some, Stalled::Full] {
                names.push(pressure_name(whose, resource, stalled));
            }
        }
    }
    names
}

pub(in crate::condition) fn pressure_name(
    whose: Whose,
    resource: Resource,
    stalled: Stalled,
) -> String {
    let whose = match whose {
        Whose::Host => "host",
        Whose::Target => "target",
    };
    format!("{whose}.psi.{}.{}", resource.name(), stalled.name())
}

pub(super) fn pressure(name: &str) -> Option<(Whose, Resource, Stalled)> {
    let mut parts = name.split('.');
    let whose = match parts.next()? {
        "host" => Whose::Host,
        "target" => Whose::Target,
        _ => return None,
    };
    if parts.next()? != "psi" {
        return None;
    }
    let resource = match parts.next()? {
        "cpu" => Resource::Cpu,
        "memory" => Resource::Memory,
        "io" => Resource::Io,
        _ => return None,
    };
    let stalled = match parts.next()? {
        "some" => Stalled::Some,
        "full" => Stalled::Full,
        _ => return None,
    };
    parts.next().is_none().then_some((whose, resource, stalled))
}

impl Resource {
    /// Its name, in conditions and in the kernel's files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
        }
    }
}

impl Stalled {
    /// Its name, in conditions and in the kernel's files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Some => "some",
            Self::Full => "full",
        }
    }
}
