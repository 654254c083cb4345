//! Processes and threads that stand still until the value is dropped.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::Cgroup;
use injector_tests::eventually::eventually;

/// Processes in a cgroup that is frozen.
pub(crate) struct Frozen {
    cgroup: Option<Cgroup>,
    home: Vec<(u32, String)>,
}

impl Frozen {
    /// Freezes them.
    pub(crate) fn hold(pids: &[u32]) -> Result<Self> {
        let cgroup = Cgroup::create("frozen")?;
        let mut this = Self {
            cgroup: None,
            home: Vec::new(),
        };
        let directory = cgroup.path().to_owned();
        this.cgroup = Some(cgroup);
        for pid in pids {
            let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
            let home = text.lines().find_map(|line| line.strip_prefix("0::"));
            this.home.push((*pid, home.unwrap_or("/").to_owned()));
            fs::write(directory.join("cgroup.procs"), pid.to_string())?;
        }
        fs::write(directory.join("cgroup.freeze"), "1")?;
        eventually("the cgroup to freeze", Duration::from_secs(5), || {
            let events = fs::read_to_string(directory.join("cgroup.events"))?;
            Ok(events.contains("frozen 1").then_some(()))
        })?;
        Ok(this)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let Some(cgroup) = &self.cgroup else { return };
        let _thawed = fs::write(cgroup.path().join("cgroup.freeze"), "0");
        let Ok(mount) = injector_tests::cgroup::mount() else {
            return;
        };
        for (pid, home) in &self.home {
            let procs = mount
                .join(home.trim_start_matches('/'))
                .join("cgroup.procs");
            // It may have ended by now.
            let _gone = fs::write(procs, pid.to_string());
        }
    }
}

/// A thread that ptrace(2) has stopped. It goes on when the thread that stopped it ends, or lets go.
pub(crate) struct Hung(libc::pid_t);

impl Hung {
    /// Stops the first thread of this name.
    pub(crate) fn hold(process: u32, name: &str) -> Result<Self> {
        let threads = fs::read_dir(format!("/proc/{process}/task"))?;
        let mut ids = threads.flatten().filter(|thread| {
            fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        });
        let thread = ids
            .next()
            .with_context(|| format!("the worker has no thread `{name}`"))?;
        let id: libc::pid_t = thread.file_name().to_string_lossy().parse()?;
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: requests without memory of ours.
        let (seized, stopped) = unsafe {
            (
                libc::ptrace(libc::PTRACE_SEIZE, id, nothing, nothing),
                libc::ptrace(libc::PTRACE_INTERRUPT, id, nothing, nothing),
            )
        };
        ensure!(
            seized == 0 && stopped == 0,
            "cannot stop the thread `{name}`: {}",
            std::io::Error::last_os_error()
        );
        let stat = format!("/proc/{process}/task/{id}/stat");
        eventually("the thread to stand still", Duration::from_secs(5), || {
            let text = fs::read_to_string(&stat)?;
            Ok(text.contains(") t ").then_some(()))
        })?;
        // A traced thread that is killed is there until its tracer has seen it die.
        std::thread::spawn(move || {
            // SAFETY: no memory of ours; the call fails when there is nothing left to wait for.
            while unsafe { libc::waitpid(id, std::ptr::null_mut(), libc::__WALL) } > 0 {}
        });
        Ok(Self(id))
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: as above; a thread that is gone is refused.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, nothing, nothing) };
    }
}
