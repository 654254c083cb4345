//! The daemon.
use std::sync::Arc;

use super::Output;
use crate::{
    error::{Exit, Refusal},
    supervisor::link::WorkerEnd,
};

/// Serves requests until it is told to end.
pub(super) fn run(_output: Output, _link: &Arc<WorkerEnd>) -> Result<Exit, Refusal> {
    Err(Refusal::usage("pending merge of the API"))
}
