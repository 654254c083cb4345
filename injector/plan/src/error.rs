//! Why a plan cannot be made.

use injector_spec::{
    error::Refusal,
    experiment::FilterError,
    syscall::{Syscall, points::Lock},
};

/// Why an experiment cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that has no address.
    #[error(
        "the host name `{name}` does not resolve: {why}; use an address, or check the resolver"
    )]
    Name {
        /// The name.
        name: String,
        /// What the resolver said.
        why: String,
    },
    /// A target with too many faults.
    #[error("the target `{target}` has {count} faults over all steps; {most} is the most")]
    TooManyFaults {
        /// The target.
        target: String,
        /// How many.
        count: usize,
        /// The most.
        most: usize,
    },
    /// Too many filters.
    #[error(
        "the filters need {count} prefixes; {most} is the most, so use larger networks or port ranges"
    )]
    TooManyFilters {
        /// How many.
        count: usize,
        /// The most.
        most: usize,
    },
    /// System calls that no mechanism for this fault meets, taken together.
    #[error(
        "{fault}: no one mechanism reaches {}; make a fault of each, so that each can have its own",
        calls.join(", ")
    )]
    OutOfReach {
        /// The fault.
        fault: &'static str,
        /// The calls.
        calls: Vec<String>,
    },
    /// A mechanism that is for other faults.
    #[error(
        "{fault} is not done by {mechanism}; leave --mechanism out, or name one of {}",
        those.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ")
    )]
    WrongMechanism {
        /// The fault.
        fault: &'static str,
        /// What was asked.
        mechanism: super::Mechanism,
        /// Those that it is done by.
        those: Vec<super::Mechanism>,
    },
    /// A thread would sleep with something locked that others need.
    #[error(
        "{}; leave --mechanism out, or say --mechanism syscall-park, which sleeps before anything is locked",
        would_wait(locked)
    )]
    OthersWouldWait {
        /// The calls, and what is locked.
        locked: Vec<(Syscall, Lock)>,
    },
    /// The same, and only there is it known which file a call is about.
    #[error(
        "{}; leave --path and --fd-kind out, because before anything is locked it is not known yet what these calls are about",
        would_wait(locked)
    )]
    OnlyWhereOthersWouldWait {
        /// The calls, and what is locked.
        locked: Vec<(Syscall, Lock)>,
    },
    /// Calls that the mechanism asked for does not meet.
    #[error(
        "{mechanism} does not meet {}; leave --mechanism out, or make a fault of each",
        calls.join(", ")
    )]
    BeyondMechanism {
        /// What was asked.
        mechanism: super::Mechanism,
        /// The calls.
        calls: Vec<String>,
    },
    /// A fault that cannot be done in the target's own memory, where a person insists on that.
    #[error("{fault} is not done by tls-rewrite: {why}; leave --by out, or say --by relay")]
    NotInPlace {
        /// The fault.
        fault: &'static str,
        /// What is in the way.
        why: super::in_place::Obstacle,
    },
    /// Filters that let nothing through, now that names are known.
    #[error(transparent)]
    Filters(#[from] FilterError),
    /// A glob that does not parse.
    #[error("a host name pattern is not a glob: {0}")]
    Glob(#[from] globset::Error),
}

/// What would happen if a thread slept at the hooks of these calls.
pub(super) fn would_wait(locked: &[(Syscall, Lock)]) -> String {
    let one = |(call, lock): &(Syscall, Lock)| format!("{call} ({})", lock.name());
    let calls: Vec<String> = locked.iter().map(one).collect();
    format!(
        "at the kernel's check of {} a thread would sleep with that locked, and others would wait for it",
        calls.join(", ")
    )
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::usage(error.to_string())
    }
}
