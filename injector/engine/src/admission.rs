//! The questions by which targets are let in, once more while a run goes on: for one that was made again.
//!
//! What is asked is which processes the run reaches: the daemon's gates, how many processes and how much of
//! each cgroup, what the host's owner protects, each with the overrides that the run was started with. What
//! is not asked again is the run itself (its faults, its time, the hours, how many others go on): it has
//! begun. The configuration is the one that it began with, since the thread that looks after a run waits for
//! no disk.

use std::{collections::BTreeMap, path::PathBuf};

use crate::surroundings::Surroundings;
use injector_host::targets::{
    ResolvedTarget,
    process::{self, TaskKey},
};
use injector_plan::policy::{Case, Door, Footprint, Member, Override, Verdict, beside, once_more};
use injector_spec::{
    config::{Config, Moment},
    error::Refusal,
    experiment::Experiment,
};

/// The terms on which a run was let in.
#[derive(Clone, Debug)]
pub struct Admission {
    /// What the host allowed then.
    pub config: Config,
    /// The run.
    pub experiment: Experiment,
    /// Who asked.
    pub door: Door,
    /// Their user id.
    pub uid: u32,
    /// What they lifted.
    pub overrides: Vec<Override>,
    /// When it was let in.
    pub at: Moment,
}

impl Admission {
    /// Why these targets, as they are now, may not be met, if they may not.
    ///
    /// # Errors
    /// A refusal where it cannot be told.
    pub fn refusal(&self, targets: &[&ResolvedTarget]) -> Result<Option<Refusal>, Refusal> {
        let Surroundings {
            footprints,
            populations,
        } = Surroundings::of(targets)?;
        Ok(self.asked(once_more, &footprints, &populations).refusal())
    }

    /// Why these processes of a target's, which are no target themselves, may not be met, if they may not. One that ended
    /// meanwhile is met by nothing.
    pub fn refusal_beside(&self, target: &str, processes: &[TaskKey]) -> Option<Refusal> {
        let member = |key: &TaskKey| {
            let pid = key.tgid;
            let comm = process::info(pid).ok()?.comm;
            let cgroup = process::cgroup(pid).ok()?;
            Some(Member { pid, comm, cgroup })
        };
        let footprint = Footprint {
            target: target.to_owned(),
            cgroup: None,
            members: processes.iter().filter_map(member).collect(),
            picked: None,
        };
        self.asked(beside, &[footprint], &BTreeMap::new()).refusal()
    }

    fn asked(
        &self,
        question: fn(&Case<'_>) -> Verdict,
        footprints: &[Footprint],
        populations: &BTreeMap<PathBuf, usize>,
    ) -> Verdict {
        question(&Case {
            config: &self.config,
            experiment: &self.experiment,
            footprints,
            populations,
            // It has its place among them.
            running: 0,
            now: self.at,
            door: self.door,
            uid: self.uid,
            overrides: &self.overrides,
        })
    }
}
