//! Where programs for system calls are attached, and in which order.

use std::fs::File;

use injector_plan::hooks::{CallHook, Turn};

use super::{
    Error,
    links::Links,
    object::Object,
    trampoline::{Trampolines, Way},
};

/// Attaches programs for system calls to the maps of an object.
pub struct CallPrograms(Trampolines);

impl CallPrograms {
    /// Readies the programs. To be called before the object's maps are taken.
    pub fn of(object: &mut Object) -> Result<Self, Error> {
        object.trampolines().map(Self)
    }

    /// Attaches one. These are the cgroups of all callers that are looked at.
    pub fn attach(
        &self,
        hook: &CallHook,
        cgroups: &[File],
        object: &mut Object,
        links: &mut Links,
    ) -> Result<(), Error> {
        let (program, way, function) = match hook {
            CallHook::Kprobe { function } => {
                return links.kprobe(object, "inj_call_kprobe", function);
            }
            CallHook::Trace(hook) => {
                let (program, tracepoint) = hook.program();
                let loaded = links.raw_tracepoint(object, program, tracepoint)?;
                if let Some(loaded) = loaded.filter(|_| hook.decides()) {
                    links.watch(program, loaded);
                }
                return Ok(());
            }
            CallHook::Cgroup(hook) => {
                return cgroups
                    .iter()
                    .try_for_each(|cgroup| links.cgroup(object, *hook, cgroup));
            }
            CallHook::Missed { function } => ("inj_call_missed", Way::Exit, function.clone()),
            CallHook::SleepAtExit { function, .. } => {
                ("inj_call_exit_s", Way::Exit, function.clone())
            }
            CallHook::SleepAtEnter { function, .. } => {
                ("inj_call_enter_s", Way::ModifyReturn, function.clone())
            }
            CallHook::Syscall { function, .. } => ("inj_call", Way::ModifyReturn, function.clone()),
            CallHook::Lsm { hook, program } => (*program, Way::Lsm, format!("bpf_lsm_{hook}")),
            CallHook::Security { hook, program, .. } => {
                (*program, Way::ModifyReturn, format!("security_{hook}"))
            }
        };
        let turn = hook.turn();
        let cookie = turn.map_or(injector_common::call::turn::ALONE, Turn::cookie);
        let (loaded, link) = self.0.attach(program, way, cookie, &function, object.btf)?;
        links.trampoline(link);
        if turn == Some(Turn::Again) {
            links.watch(program, loaded);
        }
        Ok(())
    }
}
