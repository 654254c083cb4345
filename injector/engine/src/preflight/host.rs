//! What this host offers, each thing probed once while a run is prepared.

use std::{cell::RefCell, collections::BTreeMap};

use injector_host::kernel::capability::{Capability, Prober};
use injector_plan::Need;

/// The answers so far. Worth nothing for a later run: modules come and go.
#[derive(Default)]
pub(super) struct Host {
    known: RefCell<BTreeMap<Need, Capability>>,
    prober: RefCell<Prober>,
}

impl Host {
    /// What a probe says.
    pub(super) fn capability(&self, need: Need) -> Capability {
        if let Some(known) = self.known.borrow().get(&need) {
            return known.clone();
        }
        let found = self.prober.borrow_mut().probe(need);
        self.known.borrow_mut().insert(need, found.clone());
        found
    }

    /// Whether it is there.
    pub(super) fn offers(&self, need: Need) -> bool {
        self.capability(need).missing.is_none()
    }
}
