//! What can go wrong between this program and the kernel.

use std::io;

/// An error of the kernel side. Each says what was tried, why it failed, and what helps.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary was built without the BPF programs.
    #[error(
        "this binary was built without the BPF programs, so it can arm nothing; \
         build it with `cargo xtask build`"
    )]
    NoObject,
    /// The object that this binary carries cannot be unpacked.
    #[error("the BPF programs in this binary are damaged, so it can arm nothing; install it anew")]
    DamagedObject,
    /// The kernel's type information is missing or unreadable.
    #[error(
        "cannot read the kernel's types from /sys/kernel/btf/vmlinux: {0}; the kernel needs CONFIG_DEBUG_INFO_BTF"
    )]
    Btf(String),
    /// The kernel refused the object as a whole.
    #[error("the kernel refused the BPF maps: {0}; run as root with CAP_BPF and CAP_NET_ADMIN")]
    Object(#[from] Box<aya::EbpfError>),
    /// The kernel refused a program.
    #[error("the kernel refused the BPF program `{program}`: {why}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The kernel's words; the verifier's log where there is one.
        why: String,
    },
    /// The object lacks a map or program that this code knows: the two were built apart.
    #[error(
        "the BPF object has no `{0}`; it was built from other sources, build again with `cargo xtask build`"
    )]
    Missing(&'static str),
    /// The programs for trampolines cannot be readied.
    #[error("the BPF programs for system calls cannot be readied: {0}")]
    Trampoline(String),
    /// The kernel has no such function that a program could be attached to.
    #[error("this kernel has no function `{0}` that a program could be attached to")]
    NoFunction(String),
    /// As many programs as the kernel allows stand at a function (kernel/bpf/trampoline.c,
    /// `bpf_trampoline_link_prog`).
    #[error(
        "`{0}` has no room for another program: the kernel lets 38 stand there, and a run that sleeps at that call takes most of them; end that run first, or delay another call"
    )]
    Crowded(String),
    /// A map refused a read or write.
    #[error("cannot {what} the BPF map `{map}`: {why}")]
    Map {
        /// Its name.
        map: &'static str,
        /// `read` or `write`.
        what: &'static str,
        /// The kernel's words.
        why: String,
    },
    /// Programs of an ended run that are still on their way through a call.
    #[error(
        "a program is still on its way through a call of the target 2 s after the run has ended; it finds no lease, and changes nothing. If the host is not just busy, look at the target's threads in /proc"
    )]
    InFlight,
    /// A probe failed.
    #[error("{0}")]
    Probe(String),
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried, as a sentence's rest.
        what: String,
        /// The errno.
        source: io::Error,
    },
}

impl Error {
    /// A failed system call; `what` completes "cannot ...".
    pub fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System {
            what: what.into(),
            source: source.into(),
        }
    }

    pub(crate) fn program(program: &'static str, error: &dyn std::error::Error) -> Self {
        Self::Program {
            program,
            why: chain(error),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

impl From<Error> for injector_spec::error::Refusal {
    fn from(error: Error) -> Self {
        Self::usage(error.to_string())
    }
}
