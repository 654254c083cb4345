//! Processes as the kernel side knows them.

/// A tick of `/proc/PID/stat` (`USER_HZ` is 100 on every architecture that this runs on), in
/// nanoseconds. The kernel divides `task_struct::start_boottime` by it (fs/proc/array.c,
/// `do_task_stat`).
pub const TICK_NS: u64 = 10_000_000;

/// Key of the process table: the thread group id in the host's PID namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    /// Thread group id; 0 is no process.
    pub tgid: u32,
}

/// A process of a target. Together with its key it is the task key: tgid and start time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetProcess {
    /// Start time of the thread group leader on the boot clock, in ticks of [`TICK_NS`], as
    /// `/proc/PID/stat` shows it; a process with another start time is a stranger.
    pub start_ticks: u64,
    /// The scope that the process belongs to.
    pub scope: u32,
    /// 1 when children are targets too.
    pub follow: u32,
}
