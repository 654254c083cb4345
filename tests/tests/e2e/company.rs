//! Which tests run at the same time, and what is held against the host's state before.
//!
//! Most tests run alone, between two snapshots of the host. A test whose processes, cgroups, namespaces and
//! journal are all its own may run together with others like it. They form groups: the snapshots are taken before
//! the first test of a group begins and after its last one has ended, so that what is left behind is told all the
//! same, with the names of the few tests that may have left it. No test joins a group that is large enough already,
//! so that a test that wants to be alone gets its turn.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use injector_tests::snapshot::Snapshot;

/// Tests that one group has at most.
const GROUP: usize = 16;

/// Which tests a test may run beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Company {
    /// It touches nothing that another test could notice.
    Others,
    /// It needs the host, or its time, for itself.
    Alone,
}

/// The host, as the tests share it.
#[derive(Debug, Default)]
pub(crate) struct Host {
    group: Mutex<Group>,
    changed: Condvar,
}

/// The tests that run now.
#[derive(Debug, Default)]
struct Group {
    running: usize,
    alone: bool,
    /// All that have joined since the first.
    names: Vec<String>,
    before: Snapshot,
}

impl Host {
    /// Waits for the test's turn, and takes the snapshot where it is the first of its group.
    pub(crate) fn enter(&self, name: &str, company: Company) -> Result<()> {
        let mut group = self.lock();
        while !group.admits(company) {
            group = self
                .changed
                .wait(group)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if group.running == 0 {
            group.before = Snapshot::take()?;
            group.names.clear();
        }
        group.running += 1;
        group.alone = company == Company::Alone;
        group.names.push(name.to_owned());
        Ok(())
    }

    /// The test is over; fails where it is the last of its group and the host is not as it was.
    pub(crate) fn leave(&self) -> Result<()> {
        let mut group = self.lock();
        group.running -= 1;
        let outcome = if group.running > 0 {
            Ok(())
        } else if let [_only] = group.names.as_slice() {
            group.before.assert_same()
        } else {
            let names = group.names.join(", ");
            let same = group.before.assert_same();
            same.with_context(|| format!("one of these tests, which ran together: {names}"))
        };
        if group.running == 0 {
            group.alone = false;
        }
        self.changed.notify_all();
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Group> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn admits(&self, company: Company) -> bool {
        match company {
            _ if self.running == 0 => true,
            Company::Alone => false,
            Company::Others => !self.alone && self.names.len() < GROUP,
        }
    }
}
