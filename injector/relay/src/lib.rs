//! The relay: a process between a target and its peers, which reads what passes and answers in a peer's place.
//!
//! Programs in the kernel send the target's new connections here (`injector_host::kernel::relay`); the target sees the peer
//! that it asked for. Reading order: [`process`] is its life, [`conversation`] what the worker and it say to each other,
//! [`passage`] one connection; of a request [`asked`] says what it is, [`rules`] whether a fault takes it, [`act`] what that
//! asks for, and [`deed`] does it. Answers that are made up are in [`provider`] for models and in [`tools`] for tools, [`pieces`] takes a stream apart, and [`reactions`] is what the target does about it. [`script`] has the
//! same answers for targets that no relay stands in front of.
//!
//! Invariants:
//! - It serves connections that the kernel has written down and no others: it is no open proxy.
//! - It acts only while the run's lease is live and the rule is on. What it holds back goes on when that ends.
//! - It has no privilege and opens no file once it serves, and ends with the worker: by a signal when the worker dies, by the end of their
//!   conversation else.
//! - TLS it opens ([`sealed`]) only by an authority that the host's owner has named ([`authority`]), and only to a server that
//!   is trusted itself ([`authorities`]).
//! - What is no HTTP it passes on, byte by byte. A request that HTTP does not allow it refuses itself.
//!
//! Rejected: a proxy setting in the target (it may ignore it, and would have to be started anew); reading packets in the
//! kernel, where an answer of another length would need sequence numbers changed until the connection ends; and a thread of
//! the worker, which holds everything that a mistake in a parser must not reach.
#![forbid(unsafe_code)]

mod act;
mod asked;
pub mod authorities;
pub mod authority;
mod begun;
pub mod conversation;
mod deed;
mod flow;
mod passage;
mod pieces;
pub mod process;
mod provider;
mod reactions;
mod repeat;
mod rules;
pub mod script;
pub mod sealed;
mod stream;
mod tools;
mod tunnel;
