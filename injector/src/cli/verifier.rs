//! `injector verifier`, which is for developers: `cargo xtask verifier` reads it.

use super::tell;
use crate::{
    error::{Exit, Refusal},
    kernel::verifier,
};

/// Prints one JSON object a line, one for each BPF program. A program that this kernel refuses is an
/// answer and no failure.
pub fn verifier() -> Result<Exit, Refusal> {
    for figures in verifier::figures()? {
        tell::json(&figures);
    }
    Ok(Exit::Done)
}
