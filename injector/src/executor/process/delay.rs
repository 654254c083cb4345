//! Opening and reading take longer, by fanotify: on kernels that let no program sleep near these calls.
//!
//! The run marks the files, again and again, because who saves one by renaming makes a new inode; a thread of its
//! own, the [`Doorman`], answers. Its doing ends with its descriptor, in whatever way this process ends; nothing
//! has to be put back.
//!
//! Rejected: marks on mounts or file systems, which would reach folders too. Everybody on the host would
//! wait for the doorman.

mod doorman;

use std::{collections::HashSet, os::fd::AsFd, path::PathBuf};

use injector_common::{call::filters, rule::Counters};
use rustix::fs::fstat;

use self::doorman::{Doorman, Orders, Whom};
use super::Moment;
use crate::{
    error::Refusal,
    experiment::{Calls, OnCalls},
    kernel::fanotify::{Asked, Listener},
    plan::PlannedRule,
    target::{self, cgroup},
};

/// The state of one fault.
#[derive(Debug)]
pub(super) struct Delayer {
    asked: Asked,
    /// There is one while the fault's step goes on.
    doorman: Option<Doorman>,
    /// Files that have their mark, by device and inode.
    marked: HashSet<(u64, u64)>,
    /// What was done when the doorman went.
    counters: Counters,
}

impl Delayer {
    /// The fault, where it is carried out like this.
    pub(super) fn of(rule: &PlannedRule) -> Option<Self> {
        let calls = rule.compiled.calls.as_ref()?;
        Some(Self {
            asked: calls.asked?,
            doorman: None,
            marked: HashSet::new(),
            counters: Counters::default(),
        })
    }

    /// Begins, and marks what has come since.
    pub(super) fn act(&mut self, rule: &PlannedRule, moment: &Moment<'_>) -> Result<(), Refusal> {
        let Some(calls) = rule.fault.kind.on_calls().map(OnCalls::calls) else {
            return Ok(());
        };
        let doorman = match self.doorman.take() {
            Some(doorman) => doorman,
            None => start(rule, moment)?,
        };
        let doorman = self.doorman.insert(doorman);
        if !doorman.is_there() {
            return Err(Refusal::failed(
                "the thread that answers the kernel has ended; whoever waited goes on.",
            ));
        }
        doorman.know(moment.members());
        let listener = doorman.listener();
        mark(calls, moment, &mut self.marked, listener, self.asked)
    }

    /// Lets everybody go on.
    pub(super) fn lift(&mut self) {
        if let Some(doorman) = self.doorman.take() {
            self.counters = doorman.end();
        }
        self.marked.clear();
    }

    pub(super) fn counters(&self) -> Counters {
        let now = self.doorman.as_ref().map(Doorman::counters);
        now.unwrap_or(self.counters)
    }
}

fn start(rule: &PlannedRule, moment: &Moment<'_>) -> Result<Doorman, Refusal> {
    let whom = match &moment.target.cgroup {
        None => Whom::Processes,
        Some(cgroup) => {
            let below = cgroup.directory.strip_prefix(cgroup::mount_point()?);
            Whom::Cgroup(PathBuf::from("/").join(below.unwrap_or(&cgroup.directory)))
        }
    };
    let calls = rule.compiled.calls.as_ref();
    let record = calls.map(|calls| calls.record).unwrap_or_default();
    let thread = (record.filters & filters::THREAD != 0)
        .then(|| record.thread[..record.thread_length as usize].to_vec());
    Ok(Doorman::start(Orders {
        whom,
        thread,
        rule: rule.compiled.rule,
        record,
        pulse: moment.run.pulse.clone(),
    })?)
}

/// The files that the paths lead to by now.
fn mark(
    calls: &Calls,
    moment: &Moment<'_>,
    marked: &mut HashSet<(u64, u64)>,
    listener: &Listener,
    asked: Asked,
) -> Result<(), Refusal> {
    // They were there when the run began. One that is gone for a moment is being replaced.
    let files = target::files(calls, moment.target).unwrap_or_default();
    for file in files {
        let Ok(stat) = fstat(&file) else {
            continue;
        };
        if marked.insert((stat.st_dev, stat.st_ino)) {
            listener.mark(file.as_fd(), asked)?;
        }
    }
    Ok(())
}
