//! The process that outlives the executor: keeps what must not vanish with it, and cleans up after it.

use std::os::fd::BorrowedFd;

use crate::recorder::RunJournal;
use injector_host::kernel::netns::Namespace;
use injector_spec::error::Refusal;

/// The executor's view of the supervisor.
pub trait FdStore: Send + Sync {
    /// Hands over a copy of the journal's descriptor, which carries the lock. From now on the fd store
    /// restores what the journal says, should the executor die.
    fn keep_journal(&self, journal: &RunJournal) -> Result<(), Refusal>;

    /// Hands over copies of a TAP and of its namespace: a redirect to a TAP that is gone loses packets
    /// silently, so the TAP has to outlive the links.
    fn keep_tap(
        &self,
        journal: &RunJournal,
        namespace: &Namespace,
        tap: BorrowedFd<'_>,
    ) -> Result<(), Refusal>;

    /// Hands over a copy of a namespace whose settings are about to change: only a process that holds it
    /// can be sure to find it again.
    fn keep_namespace(&self, journal: &RunJournal, namespace: &Namespace) -> Result<(), Refusal>;

    /// Everything of the run is undone: the fd store lets go of its copies. When this returns they are
    /// closed.
    fn release(&self, journal: &RunJournal) -> Result<(), Refusal>;
}
