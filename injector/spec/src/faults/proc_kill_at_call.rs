//! `proc.kill --at-call`: the caller of a system call gets a signal. The flags are those of [`super::proc_kill`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    About, ActsOn, Definition, Drawn, Numbers, OnCalls, ProcessFaultError,
    processes::{DENIED, Respawn, whole_cgroup},
};
use crate::{
    experiment::{
        Calls, CheckError, Direction, Selector, Settings, Target,
        decided::Decided,
        settings::name,
        timing::{Span, Timing},
    },
    quantity::Signal,
};

/// The caller of a system call gets a signal, before the call does anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillAtCall {
    /// Which.
    pub signal: Signal,
    /// At which calls; which of them is the fault's chance.
    pub calls: Calls,
    /// What becomes of processes that appear in the target afterwards; nothing where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respawn: Option<Respawn>,
}

impl Definition for KillAtCall {
    fn acts_on(&self) -> ActsOn<'_> {
        ActsOn::Calls(OnCalls::Signal(self), About::Anything)
    }

    fn drawn(&self) -> Drawn {
        Drawn::ByChance
    }

    fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }

    fn check_on(&self, target: &Target) -> Result<(), CheckError> {
        Ok(self.check_for(&target.name, &target.selector)?)
    }

    fn timing(&self, _: Span) -> Timing {
        Timing::default()
    }

    fn describe(&self, parameters: &mut Settings, filters: &mut Settings) {
        parameters.one("signal", self.signal);
        parameters.some("respawn", self.respawn.map(name));
        filters.list("at-call", &self.calls.syscalls);
        self.calls.describe(filters);
    }

    fn details(&self, _: Direction) -> Vec<String> {
        vec![self.to_string()]
    }
}

impl Numbers for KillAtCall {
    fn numbers(&mut self) -> Vec<Decided<'_>> {
        let Self {
            signal: _,
            calls,
            respawn: _,
        } = self;
        calls.numbers()
    }
}

impl KillAtCall {
    fn check_for(&self, name: &str, selector: &Selector) -> Result<(), ProcessFaultError> {
        self.calls.check()?;
        match self.respawn {
            None => Ok(()),
            Some(Respawn::KillAgain) => Err(ProcessFaultError::AgainAtCall),
            Some(Respawn::DenyExec) => whole_cgroup(name, selector),
        }
    }
}

impl fmt::Display for KillAtCall {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SIG{} to each thread that calls ", self.signal)?;
        for (index, call) in self.calls.syscalls.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(out, "{comma}{call}")?;
        }
        match self.respawn {
            None => Ok(()),
            Some(_) => write!(out, "{DENIED}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Follow;

    #[test]
    fn programs_are_denied_in_whole_cgroups_only() {
        let at_call = |respawn| KillAtCall {
            signal: Signal::KILL,
            calls: Calls {
                syscalls: vec!["write".parse().unwrap()],
                ..Calls::default()
            },
            respawn,
        };
        let pid = Selector::Pids {
            pids: vec![7],
            follow: Follow::Process,
            pick: None,
        };
        let cgroup = Selector::Cgroup("a/b".into());
        let deny = at_call(Some(Respawn::DenyExec));
        assert_eq!(deny.check_for("agent", &cgroup), Ok(()));
        assert_eq!(
            deny.check_for("agent", &pid),
            Err(ProcessFaultError::NoWholeCgroup("agent".into()))
        );
        assert_eq!(at_call(None).check_for("agent", &pid), Ok(()));
        let again = at_call(Some(Respawn::KillAgain)).check_for("agent", &cgroup);
        assert_eq!(again, Err(ProcessFaultError::AgainAtCall));
    }
}
