//! `injector verifier`, which is for developers: `cargo xtask verifier` reads it.

use injector_engine::tell;
use injector_host::kernel::verifier;
use injector_spec::error::{Exit, Refusal};

/// Prints one JSON object a line, one for each BPF program. A program that this kernel refuses is an
/// answer and no failure.
pub fn verifier() -> Result<Exit, Refusal> {
    for figures in verifier::figures()? {
        tell::json(&figures);
    }
    Ok(Exit::Done)
}
