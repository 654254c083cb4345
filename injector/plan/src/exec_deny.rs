//! Lets no process start a program in a target after a kill: which mechanism serves, and what it needs.

use super::{
    CallPlan, Mechanism, Need,
    calls::{self, Subject},
};
use injector_spec::experiment::Respawn;

/// From the one that no start of a program gets around to the last resort.
const LADDER: [Mechanism; 4] = [
    Mechanism::Lsm,
    Mechanism::SecurityReturn,
    Mechanism::SyscallReturn,
    Mechanism::KprobeOverride,
];

/// The first mechanism that the host offers, or the one that a refusal is about; `None` where a fault lets
/// programs be started.
pub(super) fn choose(respawn: Option<Respawn>, offers: &dyn Fn(Need) -> bool) -> Option<Mechanism> {
    match respawn {
        Some(Respawn::DenyExec) => {}
        Some(Respawn::KillAgain) | None => return None,
    }
    let is_offered = |mechanism: &&Mechanism| mechanism.needs().iter().all(|need| offers(*need));
    Some(*LADDER.iter().find(is_offered).unwrap_or(&LADDER[0]))
}

/// Adds what it needs to a fault's plan.
pub(super) fn add(plan: &mut Option<CallPlan>, mechanism: Mechanism) {
    let plan = plan.get_or_insert_with(CallPlan::default);
    for name in ["execve", "execveat"] {
        // Both are in the table of calls.
        let Ok(call) = name.parse() else { continue };
        let ops = calls::stand_at(plan, call, mechanism, Subject::ANYTHING);
        plan.record.denied |= ops;
        plan.accept.push((call, ops));
    }
}

#[cfg(test)]
mod tests {
    use injector_common::call::op;

    use super::*;
    use crate::hooks::{CallHook, Turn};

    #[test]
    fn only_who_asks_for_it_gets_it() {
        let deny = Some(Respawn::DenyExec);
        assert_eq!(choose(None, &|_| true), None);
        assert_eq!(choose(Some(Respawn::KillAgain), &|_| true), None);
        assert_eq!(choose(deny, &|_| true), Some(Mechanism::Lsm));
        assert_eq!(choose(deny, &|_| false), Some(Mechanism::Lsm));
        let syscall = |need| need == Need::SyscallReturn;
        assert_eq!(choose(deny, &syscall), Some(Mechanism::SyscallReturn));
    }

    #[test]
    fn it_stands_where_programs_are_started() {
        let mut plan = None;
        add(&mut plan, Mechanism::Lsm);
        let at_hook = plan.unwrap();
        assert_eq!(at_hook.record.denied, 1 << op::EXEC);
        assert_eq!((at_hook.record.ops, at_hook.hooks.len()), (0, 1));
        let mut plan = None;
        add(&mut plan, Mechanism::SyscallReturn);
        let at_calls = plan.unwrap();
        assert_eq!(at_calls.record.denied, 1 << op::SYSCALL);
        for turn in Turn::BOTH {
            assert!(at_calls.hooks.contains(&CallHook::Syscall {
                function: "__x64_sys_execve".into(),
                turn,
            }));
        }
        assert_eq!(at_calls.hooks.len(), 4);
    }
}
