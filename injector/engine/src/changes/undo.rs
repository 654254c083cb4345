//! Putting one change back: it takes no journal, no disk, and nothing that another process could hold up for long.
//!
//! The worker does it at the end of a step, the guardian where the worker does not come to that, and the start after
//! next where neither did. It may be done twice: what has its old value already is left as it is.

use super::{
    Fate, cgroup_file, filters,
    shared::{self, LoopbackSetting, Patience},
    stopped,
};
use injector_host::kernel::{Error, netns::Namespace};
use injector_record::journal::HostChange;

/// Undoes a change of a run. The namespace is that of [`HostChange::namespace`], where it could be found; the patience is that
/// of all that is undone together.
pub fn undo(
    change: &HostChange,
    namespace: Option<&Namespace>,
    run: &str,
    patience: &Patience,
) -> Result<Fate, Error> {
    match change {
        HostChange::Sysctl { key, old, new, .. } => {
            // A namespace that is gone took its settings with it.
            let Some(namespace) = namespace else {
                return Ok(Fate::Gone);
            };
            let setting = LoopbackSetting {
                namespace,
                key,
                run,
                patience,
            };
            shared::leave(&setting, old, new)
        }
        HostChange::CgroupFile { path, old, new } => cgroup_file::restore(path, old, new),
        HostChange::StoppedProcesses { processes } => stopped::restore(processes),
        HostChange::DeviceFilters {
            boot,
            since_boot_ns,
            ifindex,
            clsact,
            filters,
            ..
        } => {
            let announced = filters::Announced {
                boot,
                since_boot_ns: *since_boot_ns,
                ifindex: *ifindex,
                clsact: *clsact,
            };
            namespace.map_or(Ok(Fate::Gone), |namespace| {
                filters::remove(namespace, &announced, filters, run, patience)
            })
        }
    }
}
