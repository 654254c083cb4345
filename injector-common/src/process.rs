//! Processes as the kernel side knows them.

/// Key of the process table: the thread group id in the host's PID namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    /// Thread group id; 0 is nobody.
    pub tgid: u32,
}

/// A process of a target. Together with its key it is the task key: tgid and start time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetProcess {
    /// Start time of the thread group leader on the boot clock, in nanoseconds
    /// (`task_struct::start_boottime`); a process with another start time is a stranger.
    pub start_boot_ns: u64,
    /// The scope that the process belongs to.
    pub scope: u32,
    /// 1 when children are targets too.
    pub follow: u32,
}
