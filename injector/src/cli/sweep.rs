//! `injector sweep`.

use serde::Serialize;

use injector_engine::tell;
use injector_engine::{
    cleanup::{self, Fate, Leftover, Sweeping},
    worker::Output,
};
use injector_spec::error::{Exit, Refusal};

/// What `--json` prints.
#[derive(Serialize)]
struct Swept<'a> {
    leftovers: &'a [Leftover],
}

/// Finds, removes, tells. Exits with 1 where something ought to be gone and is not.
pub fn sweep(sweeping: Sweeping, output: Output) -> Result<Exit, Refusal> {
    if !rustix::process::geteuid().is_root() {
        return Err(Refusal::usage(
            "what is left of runs is root's; run it with sudo.",
        ));
    }
    let found = cleanup::sweep(sweeping)?;
    match output {
        Output::Json => tell::json(&Swept { leftovers: &found }),
        Output::Text if found.is_empty() => tell::result("nothing is left of any run"),
        Output::Text => found
            .iter()
            .for_each(|leftover| tell::result(format!("{leftover}."))),
    }
    let has_failed = found
        .iter()
        .any(|leftover| matches!(leftover.fate, Fate::Failed { .. }));
    Ok(if has_failed { Exit::Failed } else { Exit::Done })
}
