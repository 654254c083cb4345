//! Faults on system calls: which mechanism serves, and what has to be attached for it.

use std::collections::BTreeSet;

use injector_common::call::{Accept, CallRule, THREAD_NAME, filters, op, sleep};

use super::{Error, Mechanism, Need};
use crate::{
    experiment::{CallMechanism, Calls, FaultKind, SleepAt, Sleeps},
    kernel::calls::CallHook,
    syscall::{Syscall, points},
};

/// How many copies of a sleeping program stand on one system call. A program that sleeps is skipped for
/// every other thread on its CPU, so this many threads of a CPU can sleep in one call at once
/// (kernel/bpf/trampoline.c; `BPF_MAX_TRAMP_LINKS` is 38 on `x86_64`).
const MOST_COPIES: usize = 32;

/// How many programs are loaded for one fault at most: each takes a moment of arming.
const MOST_SLEEPERS: usize = 128;

/// What a fault on calls has beside its rule.
#[derive(Clone, Debug, Default)]
pub struct CallPlan {
    /// The record.
    pub record: CallRule,
    /// What has to be attached.
    pub hooks: BTreeSet<CallHook>,
    /// At which operations each system call is decided.
    pub accept: Vec<(Syscall, Accept)>,
}

/// The mechanism for a fault on calls: the first of its ladder that the host offers and that reaches all
/// of its calls; `None` for other faults.
pub(super) fn choose(
    fault: &FaultKind,
    offers: &dyn Fn(Need) -> bool,
) -> Result<Option<(Mechanism, CallPlan)>, Error> {
    let (ladder, calls): (&[Mechanism], _) = match fault {
        FaultKind::SysError(error) => (
            &[
                Mechanism::Lsm,
                Mechanism::SecurityReturn,
                Mechanism::SyscallReturn,
                Mechanism::KprobeOverride,
            ],
            &error.calls,
        ),
        FaultKind::SysDelay(delay)
            if delay.at == SleepAt::Enter && delay.sleeps == Sleeps::Single =>
        {
            (&[Mechanism::LsmPark, Mechanism::SyscallPark], &delay.calls)
        }
        // One program sleeps once; here the copies take turns with what is left.
        FaultKind::SysDelay(delay) => (&[Mechanism::SyscallPark], &delay.calls),
        FaultKind::KillAtCall(kill) => (&[Mechanism::SignalAtCall], &kill.calls),
        _ => return Ok(None),
    };
    let forced = calls.mechanism.map(Mechanism::from);
    if let Some(mechanism) = forced
        && !ladder.contains(&mechanism)
    {
        return Err(Error::WrongMechanism {
            fault: fault.name(),
            mechanism,
            those: ladder.to_vec(),
        });
    }
    let offered = |mechanism: &Mechanism| mechanism.needs().iter().all(|need| offers(*need));
    let reaching: Vec<Mechanism> = ladder
        .iter()
        .copied()
        .filter(|mechanism| forced.is_none_or(|forced| *mechanism == forced))
        .filter(|mechanism| calls.syscalls.iter().all(|call| reaches(*mechanism, *call)))
        .collect();
    // Where none is offered the first that would reach them is planned, so that the refusal names what it
    // lacks.
    let chosen = reaching
        .iter()
        .find(|one| offered(one))
        .or(reaching.first());
    let Some(mechanism) = chosen.copied() else {
        if let Some(mechanism) = forced {
            let beyond = calls
                .syscalls
                .iter()
                .filter(|call| !reaches(mechanism, **call));
            return Err(Error::BeyondMechanism {
                mechanism,
                calls: beyond.map(Syscall::to_string).collect(),
            });
        }
        return Err(Error::OutOfReach {
            fault: fault.name(),
            calls: calls.syscalls.iter().map(Syscall::to_string).collect(),
        });
    };
    Ok(Some((mechanism, plan(fault, calls, mechanism))))
}

impl From<CallMechanism> for Mechanism {
    fn from(forced: CallMechanism) -> Self {
        match forced {
            CallMechanism::Lsm => Self::Lsm,
            CallMechanism::FmodRetSecurity => Self::SecurityReturn,
            CallMechanism::FmodRetSyscall => Self::SyscallReturn,
            CallMechanism::KprobeOverride => Self::KprobeOverride,
            CallMechanism::LsmPark => Self::LsmPark,
            CallMechanism::SyscallPark => Self::SyscallPark,
        }
    }
}

/// Whether a mechanism meets a call.
fn reaches(mechanism: Mechanism, call: Syscall) -> bool {
    match mechanism {
        Mechanism::Lsm | Mechanism::SecurityReturn => points::of(call).next().is_some(),
        Mechanism::LsmPark => {
            points::of(call).next().is_some()
                && points::of(call).all(|point| point.sleepable.is_some())
        }
        _ => true,
    }
}

fn plan(fault: &FaultKind, calls: &Calls, mechanism: Mechanism) -> CallPlan {
    let mut plan = CallPlan {
        record: record(fault, calls),
        hooks: BTreeSet::new(),
        accept: Vec::new(),
    };
    let copies = (MOST_SLEEPERS / calls.syscalls.len().max(1)).clamp(1, MOST_COPIES);
    for call in &calls.syscalls {
        plan.record.add(call.number());
        if let FaultKind::SysDelay(delay) = fault
            && mechanism == Mechanism::SyscallPark
        {
            sleepers(&mut plan, delay.at, *call, copies);
        }
        let ops = stand_at(&mut plan, *call, mechanism);
        plan.record.ops |= ops;
        plan.accept.push((*call, ops));
    }
    plan
}

/// Attaches to where a mechanism meets a call; the operations that it is met at.
pub(super) fn stand_at(plan: &mut CallPlan, call: Syscall, mechanism: Mechanism) -> u64 {
    let function = call.function();
    let (hook, op) = match mechanism {
        Mechanism::Lsm | Mechanism::LsmPark | Mechanism::SecurityReturn => {
            return at_points(plan, call, mechanism);
        }
        Mechanism::SignalAtCall => (CallHook::Entry, op::ENTRY),
        Mechanism::KprobeOverride => (CallHook::Kprobe { function }, op::SYSCALL),
        _ => (CallHook::Syscall { function }, op::SYSCALL),
    };
    plan.hooks.insert(hook);
    1 << op
}

/// Attaches to the hooks of the security modules; the operations that they are for.
fn at_points(plan: &mut CallPlan, call: Syscall, mechanism: Mechanism) -> u64 {
    let mut ops = 0;
    for point in points::of(call) {
        let hook = point.hook;
        plan.hooks.insert(match (mechanism, point.sleepable) {
            (Mechanism::SecurityReturn, _) => CallHook::Security {
                hook,
                program: point.program,
            },
            (Mechanism::LsmPark, Some(program)) => CallHook::Lsm { hook, program },
            _ => CallHook::Lsm {
                hook,
                program: point.program,
            },
        });
        ops |= 1 << point.op;
    }
    ops
}

/// Attaches programs that sleep around a call, and one that counts who found none free.
fn sleepers(plan: &mut CallPlan, at: SleepAt, call: Syscall, copies: usize) {
    let function = call.function();
    for copy in (0..).take(copies) {
        let function = function.clone();
        plan.hooks.insert(match at {
            SleepAt::Enter => CallHook::SleepAtEnter { function, copy },
            SleepAt::Exit => CallHook::SleepAtExit { function, copy },
        });
    }
    plan.hooks.insert(CallHook::Missed { function });
}

fn record(fault: &FaultKind, calls: &Calls) -> CallRule {
    let mut record = CallRule::default();
    if let FaultKind::SysDelay(delay) = fault {
        let ns = |length: std::time::Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        record.sleep_ns = ns(delay.length);
        record.jitter_ns = ns(delay.jitter);
        record.sleep_at = match delay.at {
            SleepAt::Enter => sleep::ENTER,
            SleepAt::Exit => sleep::EXIT,
        };
    }
    if let FaultKind::KillAtCall(kill) = fault {
        record.signal = kill.signal.number().unsigned_abs();
    }
    if let Some(pattern) = &calls.thread {
        record.filters |= filters::THREAD;
        let bytes = &pattern.as_bytes()[..pattern.len().min(THREAD_NAME)];
        record.thread[..bytes.len()].copy_from_slice(bytes);
        record.thread_length = u32::try_from(bytes.len()).unwrap_or_default();
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{CallDelay, CallError, Realism};

    fn calls(names: &str) -> Calls {
        Calls {
            syscalls: names.split(',').map(|name| name.parse().unwrap()).collect(),
            thread: None,
            mechanism: None,
        }
    }

    fn error(names: &str) -> FaultKind {
        FaultKind::SysError(CallError {
            calls: calls(names),
            errno: "EIO".parse().unwrap(),
            realism: Realism::Usual,
        })
    }

    fn delay(names: &str, at: SleepAt) -> FaultKind {
        FaultKind::SysDelay(CallDelay {
            calls: calls(names),
            at,
            length: std::time::Duration::from_millis(5),
            jitter: std::time::Duration::ZERO,
            sleeps: Sleeps::Single,
        })
    }

    fn chosen(fault: &FaultKind, offers: &[Need]) -> Mechanism {
        let offers = |need| offers.contains(&need);
        choose(fault, &offers).unwrap().unwrap().0
    }

    #[test]
    fn the_first_rung_that_is_offered_and_reaches_all_is_taken() {
        use Need::{Lsm, Park, SecurityReturn, SleepableSyscall, SyscallReturn};
        assert_eq!(
            chosen(&error("openat"), &[Lsm, SyscallReturn]),
            Mechanism::Lsm
        );
        assert_eq!(
            chosen(&error("openat"), &[SecurityReturn]),
            Mechanism::SecurityReturn
        );
        let all = [Lsm, SyscallReturn, SleepableSyscall, Park];
        assert_eq!(
            chosen(&error("openat,fsync"), &all),
            Mechanism::SyscallReturn
        );
        assert_eq!(
            chosen(&delay("openat", SleepAt::Enter), &all),
            Mechanism::LsmPark
        );
        assert_eq!(
            chosen(&delay("read", SleepAt::Enter), &all),
            Mechanism::SyscallPark
        );
        assert_eq!(
            chosen(&delay("openat", SleepAt::Exit), &all),
            Mechanism::SyscallPark
        );
        // Nothing is offered: the refusal is about the first rung that would reach it.
        assert_eq!(chosen(&error("fsync"), &[]), Mechanism::SyscallReturn);
    }

    #[test]
    fn a_chain_of_sleeps_takes_a_program_each() {
        let FaultKind::SysDelay(single) = delay("openat", SleepAt::Enter) else {
            unreachable!("it is a delay")
        };
        let chained = FaultKind::SysDelay(CallDelay {
            sleeps: Sleeps::Chained,
            ..single
        });
        let all = [
            Need::Lsm,
            Need::SyscallReturn,
            Need::SleepableSyscall,
            Need::Park,
        ];
        assert_eq!(chosen(&chained, &all), Mechanism::SyscallPark);
        let naps = crate::experiment::LONGEST_CHAIN.as_nanos()
            / u128::from(injector_common::call::LONGEST_SLEEP_NS);
        assert!(naps as usize <= MOST_COPIES);
    }

    #[test]
    fn a_mechanism_can_be_forced() {
        use clap::ValueEnum;
        let forced = |names: &str, mechanism| {
            FaultKind::SysError(CallError {
                calls: Calls {
                    mechanism: Some(mechanism),
                    ..calls(names)
                },
                errno: "EIO".parse().unwrap(),
                realism: Realism::Usual,
            })
        };
        let kprobe = forced("openat", CallMechanism::KprobeOverride);
        let everything = [Need::Lsm, Need::SyscallReturn, Need::KprobeOverride];
        assert_eq!(chosen(&kprobe, &everything), Mechanism::KprobeOverride);
        // Where it is missing no other is taken, so that the refusal names it.
        assert_eq!(chosen(&kprobe, &[Need::Lsm]), Mechanism::KprobeOverride);
        let offers = |_| true;
        assert!(matches!(
            choose(&forced("openat,fsync", CallMechanism::Lsm), &offers),
            Err(Error::BeyondMechanism { calls, .. }) if calls == ["fsync"]
        ));
        assert!(matches!(
            choose(&forced("openat", CallMechanism::LsmPark), &offers),
            Err(Error::WrongMechanism { .. })
        ));
        for one in CallMechanism::value_variants() {
            let word = one.to_possible_value().unwrap();
            assert_eq!(Mechanism::from(*one).name(), word.get_name());
        }
    }

    #[test]
    fn whoever_decides_is_attached_last() {
        let offers = |_| true;
        let (_, plan) = choose(&delay("read", SleepAt::Enter), &offers)
            .unwrap()
            .unwrap();
        assert!(matches!(plan.hooks.last(), Some(CallHook::Syscall { .. })));
        assert_eq!(plan.hooks.len(), MOST_COPIES + 2);
    }
}
