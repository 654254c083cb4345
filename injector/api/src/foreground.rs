//! Runs in the foreground, which no daemon knows: their journals name a supervisor, and it takes signals.

use std::{io, path::Path, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use injector_host::targets::process::TaskKey;
use injector_record::{
    journal::{self, ListedRun, Process},
    report::RunReport,
};
use injector_spec::error::Refusal;

/// The longest that a supervisor may take: it gives its worker 8 s.
const END_WITHIN: Duration = Duration::from_secs(12);

/// Ends a run by its supervisor and returns what it did. When this returns, nothing of it fires.
pub fn stop(
    directory: &Path,
    listed: &ListedRun,
    supervisor: Process,
) -> Result<RunReport, Refusal> {
    let (run, pid) = (&listed.run, supervisor.pid);
    end(supervisor).map_err(|error| {
        Refusal::failed(format!(
            "the run {run} cannot be ended through its supervisor, process {pid}: {error}; its faults end \
             by themselves with its duration, or with `kill -KILL {pid}`"
        ))
    })?;
    let now = journal::list(directory)
        .ok()
        .and_then(|runs| runs.into_iter().find(|now| now.run == *run));
    now.and_then(|now| now.report).ok_or_else(|| {
        Refusal::failed(format!(
            "the run {run} has ended without a report; `injector list` says how"
        ))
    })
}

/// Asks the process to end, and waits until it has. One that is gone already has ended.
fn end(supervisor: Process) -> io::Result<()> {
    let Some(pid) = i32::try_from(supervisor.pid).ok().and_then(Pid::from_raw) else {
        return Err(io::Error::other("the journal names no process id"));
    };
    // First the descriptor, then the question which process it is: from here on it cannot be another.
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        process => process?,
    };
    let is_it =
        TaskKey::of(supervisor.pid).is_ok_and(|key| key.start_ticks == supervisor.start_ticks);
    if !is_it {
        return Ok(());
    }
    match pidfd_send_signal(&process, Signal::TERM) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        sent => sent?,
    }
    let timeout = Timespec {
        tv_sec: END_WITHIN.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout))? {
        0 => Err(io::Error::other("it did not end within 12 s")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_the_very_process_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        let start_ticks = TaskKey::of(pid).unwrap().start_ticks;
        // A stranger with the same id has nothing to do with it.
        end(Process {
            pid,
            start_ticks: start_ticks + 1,
        })
        .unwrap();
        assert!(child.try_wait().unwrap().is_none());
        end(Process { pid, start_ticks }).unwrap();
        assert!(!child.wait().unwrap().success());
        // And one that is gone has ended.
        end(Process { pid, start_ticks }).unwrap();
    }
}
