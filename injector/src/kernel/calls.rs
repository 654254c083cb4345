//! Where programs for system calls are attached, and in which order.

use std::fs::File;

use injector_common::call::turn;

use super::{
    Error,
    links::{CgroupHook, Links},
    object::Object,
    trampoline::{Trampolines, Way},
};

/// An attachment of a program for system calls. Their order is the order of attaching: the kernel runs
/// what was attached last first, so whoever carries out comes before whoever decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallHook {
    /// Counts sleeps of a system call that found no copy free.
    Missed {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
    },
    /// Sleeps at the end of a system call.
    SleepAtExit {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
        /// Number of the copy.
        copy: u32,
    },
    /// Sleeps at the beginning of a system call.
    SleepAtEnter {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
        /// Number of the copy.
        copy: u32,
    },
    /// Decides at a hook of the security modules, as one of them.
    Lsm {
        /// The hook.
        hook: &'static str,
        /// The program.
        program: &'static str,
    },
    /// Decides at a hook of the security modules, in front of all of them.
    Security {
        /// The hook.
        hook: &'static str,
        /// The program.
        program: &'static str,
        /// Which of the two.
        turn: Turn,
    },
    /// Decides at the beginning of a system call.
    Syscall {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
        /// Which of the two.
        turn: Turn,
    },
    /// Decides at the beginning of a system call, by a kprobe.
    Kprobe {
        /// The kernel's function, `__x64_sys_...`.
        function: String,
    },
    /// At a tracepoint that all system calls of the host pass.
    Trace(TraceHook),
    /// Decides at a hook of the cgroups of all callers.
    Cgroup(CgroupHook),
}

impl CallHook {
    /// Which of two it is, where two stand at the place.
    const fn turn(&self) -> Option<Turn> {
        match self {
            Self::Security { turn, .. } | Self::Syscall { turn, .. } => Some(*turn),
            _ => None,
        }
    }
}

/// Which of two programs that decide at one place. While one runs for a thread, the kernel skips it for all others
/// of its CPU, and the second decides for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Turn {
    /// What the first was not run for.
    Again,
    /// Everything, as a rule.
    First,
}

impl Turn {
    /// In the order of attaching.
    pub const BOTH: [Self; 2] = [Self::Again, Self::First];

    /// How the attachment tells its program.
    const fn cookie(self) -> u64 {
        match self {
            Self::Again => turn::AGAIN,
            Self::First => turn::FIRST,
        }
    }
}

/// A program at a tracepoint of all system calls. There the kernel runs first what was attached first
/// (kernel/tracepoint.c, `func_add`), so the second of two comes behind the first here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TraceHook {
    /// Damages what calls have read, where they end.
    Damage,
    /// The same once more, for what the first was not run for.
    DamageAgain,
    /// Puts back what was cut of a call's vector, where it ends.
    Mend,
    /// The same once more, for what the first was not run for.
    MendAgain,
    /// Cuts vectors where calls begin.
    Cut,
    /// The same once more, for what the first was not run for.
    CutAgain,
    /// Signals where calls begin.
    Signal,
    /// The same once more, for what the first was not run for.
    SignalAgain,
}

impl TraceHook {
    /// The program and its tracepoint.
    const fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Damage => ("inj_sys_exit", "sys_exit"),
            Self::DamageAgain => ("inj_sys_exit_again", "sys_exit"),
            Self::Mend => ("inj_vector_end", "sys_exit"),
            Self::MendAgain => ("inj_vector_end_again", "sys_exit"),
            Self::Cut => ("inj_vector", "sys_enter"),
            Self::CutAgain => ("inj_vector_again", "sys_enter"),
            Self::Signal => ("inj_entry", "sys_enter"),
            Self::SignalAgain => ("inj_entry_again", "sys_enter"),
        }
    }

    /// Whether a call that the kernel does not run the program for goes through undecided. The first of two has
    /// one behind it.
    const fn decides(self) -> bool {
        matches!(self, Self::DamageAgain | Self::CutAgain | Self::SignalAgain)
    }
}

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
        let cookie = turn.map_or(turn::ALONE, Turn::cookie);
        let (loaded, link) = self.0.attach(program, way, cookie, &function, object.btf)?;
        links.trampoline(link);
        if turn == Some(Turn::Again) {
            links.watch(program, loaded);
        }
        Ok(())
    }
}
