//! Mechanisms that probes do not find, for tests of what is done in their place.
//!
//! A kernel that has TCX would never use classic filters otherwise, and the tests run on such a one. Builds for release
//! read nothing from the environment here.

use super::Error;
use injector_plan::Need;

/// Names of mechanisms, with commas between.
const VARIABLE: &str = "INJECTOR_WITHHOLD";

/// Refuses what is withheld.
pub(super) fn check(need: Need) -> Result<(), Error> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let names = std::env::var(VARIABLE).unwrap_or_default();
    if names.split(',').any(|name| name == need.name()) {
        return Err(Error::Probe(format!("{VARIABLE} withholds it")));
    }
    Ok(())
}
