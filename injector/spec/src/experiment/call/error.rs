//! Why a fault on calls cannot be as it is asked.

use std::time::Duration;

use injector_common::call::REMOTES;

use super::MOST_PATHS;
use crate::{
    faults::{LONGEST_CHAIN, LONGEST_SLEEP, MOST_BYTES, MOST_PLACES},
    quantity::{Errno, duration},
    syscall::Syscall,
};

/// What is wrong with a fault on system calls.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum CallFaultError {
    #[error("no system call is named; name one with --syscall, or some with --syscall-class")]
    NoCall,
    #[error(
        "{call} never returns {errno} by itself; an agent that is hardened against it is hardened against nothing. Choose another errno, or say --unusual"
    )]
    Unusual { call: Syscall, errno: Errno },
    #[error("a delay of zero is none; set --delay-enter or --delay-exit")]
    NoDelay,
    #[error(
        "a call would sleep for up to {}; {} is the most of one sleep, because sleepers hold up others who attach BPF programs. Say --chain for up to {}, or use `proc pause`",
        duration::format(*asked), duration::format(LONGEST_SLEEP), duration::format(LONGEST_CHAIN)
    )]
    TooLong { asked: Duration },
    #[error(
        "a call would sleep for up to {}; {} is the most of a chain of sleeps. Use `proc pause` for longer",
        duration::format(*asked), duration::format(LONGEST_CHAIN)
    )]
    ChainTooLong { asked: Duration },
    #[error(
        "`{0}` is no pattern for the names of threads: they have 1 to 15 bytes; use * and ? as in `tokio-*`"
    )]
    Thread(String),
    #[error("no path is named; name a file, a folder or a pattern under `path`")]
    NoPath,
    #[error(
        "{count} paths are named; {MOST_PATHS} is the most. Name a folder, or make another fault"
    )]
    ManyPaths { count: usize },
    #[error(
        "{nets} addresses and {ports} ranges of ports are {} far ends; {REMOTES} is the most. Use a larger network or range, or make another fault",
        nets * ports
    )]
    ManyRemotes { nets: usize, ports: usize },
    #[error(
        "--dest-ip and --dest-port are about IPv4 and IPv6 sockets; leave --path out, and --fd-kind or say --fd-kind inet"
    )]
    RemoteOfFile,
    #[error(
        "a fault on pipes is about pipes and unix sockets; say --fd-kind pipe, --fd-kind unix, or neither"
    )]
    NoPipe,
    #[error("--max-length is 1 to {MOST_BYTES} bytes, not {0}")]
    Length(u32),
    #[error("calls on regular files alone can be shortened; leave the kinds out")]
    OtherKind,
    #[error("--at-most is 1 byte or more; a call that moves nothing is at the end of its file")]
    NoBytes,
    #[error(
        "{0} has no vector to shorten; only readv, preadv, preadv2, writev, pwritev and pwritev2 have"
    )]
    NoVector(Syscall),
    #[error("--max-occurrences is 1 to {MOST_PLACES}, not {0}")]
    Occurrences(u32),
}
