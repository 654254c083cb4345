//! One look at the target of one fault: who is in it now, and what may be done to them.

use injector_host::{
    kernel::Error,
    targets::{
        ResolvedTarget,
        guard::Guard,
        process::{self, TaskKey},
    },
};
use injector_plan::PlannedRule;
use injector_spec::{
    error::Refusal,
    experiment::{Many, Selector},
};

use crate::watchdog::Watchdog;

/// What a fault is to know of the run as it is now.
pub(super) struct Surroundings<'r> {
    /// The processes of a scope as they are now.
    pub(super) members: &'r dyn Fn(u32) -> Vec<TaskKey>,
    /// Knows whether the lease is live.
    pub(super) watchdog: &'r Watchdog,
    /// Why processes of a target of this name, which are no targets themselves, may not be met, if they may not.
    pub(super) beside: &'r dyn Fn(&str, &[TaskKey]) -> Option<Refusal>,
    /// Lets no process start a program in the rule's target from now on, where the rule says so.
    pub(super) bar: &'r dyn Fn(&PlannedRule) -> Result<(), Error>,
}

/// One look at one fault's target.
pub(super) struct Moment<'r> {
    /// Since the fault began, in nanoseconds.
    pub(super) since: u64,
    /// When it began, on the boot clock.
    pub(super) began: u64,
    /// When its step ends, on the boot clock.
    pub(super) ends_at: u64,
    pub(super) scope: u32,
    pub(super) target: &'r ResolvedTarget,
    pub(super) selector: &'r Selector,
    pub(super) guard: &'r Guard,
    pub(super) run: &'r Surroundings<'r>,
}

impl Moment<'_> {
    /// The processes of the target as they are now.
    pub(super) fn members(&self) -> Vec<TaskKey> {
        let mut members = (self.run.members)(self.scope);
        if self.target.cgroup.is_none() {
            // Those that were chosen by process stay on the list when they have ended.
            members.retain(TaskKey::is_alive);
        }
        members
    }

    /// The same, and those that match the target's pattern now. Where one process was meant, several new
    /// ones at once are not it, and where some were picked, none of the others is.
    pub(super) fn members_and_matches(&self) -> Vec<TaskKey> {
        let mut members = self.members();
        let Selector::Process {
            pattern,
            many,
            pick: None,
            ..
        } = self.selector
        else {
            return members;
        };
        let found = process::matching(pattern, self.guard.protected()).unwrap_or_default();
        let matches: Vec<TaskKey> = found
            .into_iter()
            .filter_map(|pid| TaskKey::of(pid).ok())
            .filter(|key| !members.contains(key))
            .collect();
        if *many == Many::All || matches.len() == 1 {
            members.extend(matches);
        }
        members
    }

    /// Whether the process is never a target. One that has ended is no target either.
    pub(super) fn is_protected(&self, key: TaskKey) -> bool {
        process::info(key.tgid).map_or(true, |info| self.guard.reason(&info).is_some())
    }

    /// Whether anything may be done still.
    pub(super) fn may_act(&self) -> bool {
        self.run.watchdog.is_live()
    }
}
