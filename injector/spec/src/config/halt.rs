//! What ends every run on this host before its time.

use serde::Deserialize;

use crate::condition::Condition;

/// `[halt]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HaltDefaults {
    /// Conditions beside those of the experiment. No caller can lift them.
    pub conditions: Vec<Condition>,
}
