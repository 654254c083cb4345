//! Why a plan cannot be made.

use std::time::Duration;

use crate::error::Refusal;

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
    /// A fault that does not work in the direction asked.
    #[error(
        "{fault} works on what the target sends, not on what it receives; leave --direction out"
    )]
    EgressOnly {
        /// The fault.
        fault: &'static str,
    },
    /// ICMP arrives at no socket that the device programs could look up.
    #[error(
        "{fault} cannot act on ICMP that the target receives: the kernel has no look-up for the socket behind it; use --direction egress, or net loss"
    )]
    IngressIcmp {
        /// The fault.
        fault: &'static str,
    },
    /// A delay that the delay line does not hold.
    #[error(
        "{fault} would hold packets for {asked:?}; {most:?} is the most, use net blackhole for longer"
    )]
    TooLong {
        /// The fault.
        fault: &'static str,
        /// How long a packet might be held.
        asked: Duration,
        /// The most.
        most: Duration,
    },
    /// A filter that connect(2) cannot be asked about.
    #[error(
        "net connect fails a call before a connection exists, so --source-port and --connection say nothing about it; leave them out"
    )]
    BeforeConnection,
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
    /// Two ways to name the far end.
    #[error(
        "net partition names its far end with --peer; leave --dest-ip and --hostname out, or use net blackhole with them"
    )]
    TwoFarEnds,
    /// A glob that does not parse.
    #[error("a host name pattern is not a glob: {0}")]
    Glob(#[from] globset::Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::usage(error.to_string())
    }
}
