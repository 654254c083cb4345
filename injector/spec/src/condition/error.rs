//! Why a line is no condition.

use super::{
    json::JsonTestError,
    place::{HostError, HttpUrlError},
};
use crate::{
    pattern::PatternError,
    quantity::{bytes::BytesError, duration::DurationError},
};

/// Why a line is no condition.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Nothing is there.
    #[error("an empty line is no halt condition; write one, as in `host.load > 8`")]
    Empty,
    /// A text or a list does not end, or holds something else than texts.
    #[error(
        "`{0}` is neither a text nor a list of texts; write `\"...\"` or `[\"...\", \"...\"]`, as in JSON"
    )]
    Quotes(String),
    /// Its first word names no condition that this program knows.
    #[error("no halt condition is called `{name}`; {hint}")]
    Unknown {
        /// Its first word.
        name: String,
        /// What was meant, or what there is.
        hint: String,
    },
    /// A halt condition, where only a probe can stand.
    #[error(
        "`{0}` asks nothing; a probe is `http`, `tcp`, `command`, `file`, `journald`, `process` or `prometheus` with what \
         it asks, so write one of them"
    )]
    NoProbe(String),
    /// A word is missing.
    #[error("`{subject}` needs {what}; write it as in `{example}`")]
    Missing {
        /// The first word.
        subject: String,
        /// What is missing.
        what: &'static str,
        /// How it is right.
        example: &'static str,
    },
    /// A word that does not belong there.
    #[error("`{word}` has no place in a condition on `{subject}`; {hint}")]
    Stray {
        /// The first word.
        subject: String,
        /// The word.
        word: String,
        /// What was meant, or what there is.
        hint: String,
    },
    /// A number without its unit, or with another.
    #[error("`{text}` is no bound of `{subject}`; write {what}, as in `{example}`")]
    Number {
        /// The first word.
        subject: String,
        /// What stands there.
        text: String,
        /// What should.
        what: &'static str,
        /// How it is right.
        example: &'static str,
    },
    /// `<` where only too much is a reason to halt.
    #[error("`{subject}` halts above a bound, not below one; write `>` or `>=`")]
    Downwards {
        /// The first word.
        subject: String,
    },
    /// A value that would hold always, or never.
    #[error("`{subject} {sign} {number}` {why}; choose another bound")]
    Pointless {
        /// The first word.
        subject: String,
        /// The sign.
        sign: &'static str,
        /// The number.
        number: String,
        /// Why.
        why: &'static str,
    },
    /// Not a time.
    #[error("`{option}`: {why}")]
    Time {
        /// Which.
        option: String,
        /// Why not.
        why: DurationError,
    },
    /// A time that is too short or too long.
    #[error("`{option} {given}` is out of range; write {least} to {most}")]
    Range {
        /// Which.
        option: &'static str,
        /// What stands there.
        given: String,
        /// From.
        least: String,
        /// To.
        most: String,
    },
    /// How often something may fail.
    #[error(
        "`fails {0}` is out of range; write `fails N`, or `fails N of M` with N from 1 to M and M at most 64"
    )]
    Fails(String),
    /// A time of the clock.
    #[error(
        "`{0}` is no time on the clock; write a time of day, as in `clock >= 18:00`, or a date, as in \
         `clock >= 2026-11-25T18:00:00Z`"
    )]
    Clock(String),
    /// No status.
    #[error("`{0}` is not a status of HTTP; write a number from 100 to 599")]
    Status(String),
    /// A program without its whole path: what it means would depend on who starts the daemon.
    #[error(
        "`{0}` is no command; write the program with its whole path, as in `[\"/usr/local/bin/check\", \"--fast\"]`"
    )]
    Command(String),
    /// A path that hangs on where a process stands.
    #[error("`{0}` is no path of a file; write it whole, as in `/var/log/agent.log`")]
    Path(String),
    /// A unit that systemd could not have.
    #[error(
        "`{0}` is no unit of systemd; write its name, letters, digits and any of : - _ . \\ @, as in `my-agent` or \
         `my-agent.service`"
    )]
    Unit(String),
    /// Authorities of a server that shows no certificate.
    #[error(
        "`ca` says who may have signed the server's certificate, and one that is asked by `http:` shows none; write \
         `https:`, or leave `ca` out"
    )]
    NoCertificate,
    /// An answer would be given up before it is late.
    #[error(
        "`timeout {timeout}` is shorter than `within {within}`, so that no answer could be late; raise it, or leave \
         it out"
    )]
    Timeout {
        /// How long an answer may take.
        within: String,
        /// How long it is waited for.
        timeout: String,
    },
    /// A bound in a map without its sign.
    #[error("`{0}` says no order; write one of > >= < <= and a number, as in `\"< 5\"`")]
    NoSign(String),
    /// No number in a map.
    #[error("`{0}` is no number; write one, as in `\"< 5\"`")]
    PlainNumber(String),
    /// No whole number.
    #[error("`{0}` is no whole number; write one, as in `< 5`")]
    Whole(String),
    /// What names processes cannot be read.
    #[error("{0}")]
    Selector(String),
    /// What comes back has another process id.
    #[error(
        "a process that comes back has another id, so `restarts` needs processes that are named by cgroup, unit, \
         container or process; name them so"
    )]
    NoRestarts,
    /// No number of bytes.
    #[error(transparent)]
    Bytes(#[from] BytesError),
    /// No regular expression.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// No JSON path, or nothing that its values could be held against.
    #[error(transparent)]
    Json(#[from] JsonTestError),
    /// No host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// No address.
    #[error(transparent)]
    Url(#[from] HttpUrlError),
}
