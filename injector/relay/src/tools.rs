//! Tools as agents call them: what a request calls ([`call`]), answers that are made up ([`words`]), how an answer is changed
//! ([`alter`]), and what tools have answered before ([`memory`]). All of it is pure.
//!
//! Source: the Model Context Protocol, revisions 2024-11-05 to 2026-07-28 ("Transports", "Tools"), over JSON-RPC 2.0. What
//! differs between revisions and is seen here: batches are of 2025-03-26 alone; results have a `resultType` from 2026-07-28
//! on; and the transport of 2024-11-05, by which an answer comes on another connection than its request, is not met.

pub(crate) mod alter;
pub(crate) mod call;
pub(crate) mod memory;
pub(crate) mod words;
