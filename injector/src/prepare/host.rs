//! What this host offers, each thing probed once while a run is prepared.

use std::{cell::RefCell, collections::BTreeMap};

use crate::{
    kernel::capability::{self, Capability},
    plan::Need,
};

/// The answers so far. Worth nothing for a later run: modules come and go.
#[derive(Debug, Default)]
pub(super) struct Host(RefCell<BTreeMap<Need, Capability>>);

impl Host {
    /// What a probe says.
    pub(super) fn capability(&self, need: Need) -> Capability {
        if let Some(known) = self.0.borrow().get(&need) {
            return known.clone();
        }
        let found = capability::probe(need);
        self.0.borrow_mut().insert(need, found.clone());
        found
    }

    /// Whether it is there.
    pub(super) fn offers(&self, need: Need) -> bool {
        self.capability(need).missing.is_none()
    }
}
