//! Faults on system calls: which mechanism serves, and what has to be attached for it.

use std::collections::BTreeSet;

use injector_common::call::{
    Accept, CallRule, FIRST_IS_FD, THREAD_NAME, filling, filters, kind, op, sleep,
};

use super::{Error, Mechanism, Need};
use crate::{
    experiment::{FaultKind, Filling, OnCalls, SleepAt},
    kernel::calls::CallHook,
    syscall::{
        Syscall,
        points::{self, Point},
    },
};

/// How many copies of a sleeping program stand on one system call. A program that sleeps is skipped for
/// every other thread on its CPU, so this many threads of a CPU can sleep in one call at once
/// (kernel/bpf/trampoline.c; `BPF_MAX_TRAMP_LINKS` is 38 on `x86_64`).
const MOST_COPIES: usize = 32;

/// How many programs are loaded for one fault at most: each takes a moment of arming.
const MOST_SLEEPERS: usize = 128;

/// What a fault on calls has beside its rule.
#[derive(Clone, Debug)]
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
    let Some(on_calls) = fault.on_calls() else {
        return Ok(None);
    };
    let calls = on_calls.calls();
    let ladder: &[Mechanism] = match on_calls {
        OnCalls::Error(_) => &[
            Mechanism::Lsm,
            Mechanism::SecurityReturn,
            Mechanism::SyscallReturn,
            Mechanism::KprobeOverride,
        ],
        OnCalls::Delay(delay) if delay.at == SleepAt::Enter => {
            &[Mechanism::LsmPark, Mechanism::SyscallPark]
        }
        OnCalls::Delay(_) => &[Mechanism::SyscallPark],
        OnCalls::Damage(_) => &[Mechanism::Trace],
    };
    let subject = Subject::of(fault);
    let offered = |mechanism: &Mechanism| mechanism.needs().iter().all(|need| offers(*need));
    let reaching: Vec<Mechanism> = ladder
        .iter()
        .copied()
        .filter(|mechanism| {
            let mut calls = calls.syscalls.iter();
            calls.all(|call| reaches(*mechanism, *call, subject))
        })
        .collect();
    // Where none is offered the first that would reach them is planned, so that the refusal names what it
    // lacks.
    let chosen = reaching
        .iter()
        .find(|one| offered(one))
        .or(reaching.first());
    let Some(mechanism) = chosen.copied() else {
        return Err(Error::OutOfReach {
            fault: fault.name(),
            calls: calls.syscalls.iter().map(Syscall::to_string).collect(),
        });
    };
    Ok(Some((mechanism, plan(fault, on_calls, mechanism))))
}

/// What a fault has to know about a call to tell whether it is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// Nothing: all calls are.
    Anything,
    /// Which file it is about.
    File,
    /// Whether it is about a pipe or a unix socket.
    Pipe,
}

impl Subject {
    fn of(fault: &FaultKind) -> Self {
        let has_paths = fault
            .on_calls()
            .is_some_and(|on_calls| !on_calls.calls().paths.is_empty());
        match (fault.is_about_pipes(), has_paths) {
            (true, _) => Self::Pipe,
            (false, true) => Self::File,
            (false, false) => Self::Anything,
        }
    }

    /// Whether it is known at a hook.
    fn is_known_at(self, point: &Point) -> bool {
        match self {
            Self::Anything => true,
            Self::File => point.knows_files(),
            Self::Pipe => point.knows_pipes(),
        }
    }

    /// The hooks at which a call is met.
    fn points(self, call: Syscall) -> impl Iterator<Item = &'static Point> {
        points::of(call).filter(move |point| self.is_known_at(point))
    }

    /// The kinds of descriptors that are meant.
    const fn kinds(self) -> u32 {
        match self {
            Self::Anything | Self::File => kind::ANY,
            Self::Pipe => kind::PIPE | kind::UNIX,
        }
    }
}

/// Whether a mechanism meets a call, and knows there what it is about.
fn reaches(mechanism: Mechanism, call: Syscall, subject: Subject) -> bool {
    match mechanism {
        Mechanism::Lsm | Mechanism::SecurityReturn => subject.points(call).next().is_some(),
        Mechanism::LsmPark => {
            let mut points = subject.points(call).peekable();
            points.peek().is_some() && points.all(|point| point.sleepable.is_some())
        }
        Mechanism::Trace => call.returns_bytes(),
        _ => subject == Subject::Anything || call.takes_descriptor(),
    }
}

fn plan(fault: &FaultKind, on_calls: OnCalls<'_>, mechanism: Mechanism) -> CallPlan {
    let (calls, subject) = (on_calls.calls(), Subject::of(fault));
    let mut plan = CallPlan {
        record: record(on_calls, subject),
        hooks: BTreeSet::new(),
        accept: Vec::new(),
    };
    let copies = (MOST_SLEEPERS / calls.syscalls.len().max(1)).clamp(1, MOST_COPIES);
    for call in &calls.syscalls {
        plan.record.add(call.number());
        let at_the_call = if call.takes_descriptor() {
            1 << FIRST_IS_FD
        } else {
            0
        };
        let (ops, accept) = match mechanism {
            Mechanism::Lsm | Mechanism::LsmPark | Mechanism::SecurityReturn => {
                let ops = at_points(&mut plan, *call, mechanism, subject);
                (ops, ops)
            }
            Mechanism::Trace => {
                plan.hooks.extend([CallHook::SysExit, CallHook::SysEnter]);
                (1 << op::TRACE, 1 << op::TRACE | at_the_call)
            }
            _ => {
                attach_to_the_call(&mut plan, on_calls, *call, mechanism, copies);
                (1 << op::SYSCALL, 1 << op::SYSCALL | at_the_call)
            }
        };
        plan.record.ops |= ops;
        plan.accept.push((*call, accept));
    }
    plan
}

/// Attaches to the hooks of the security modules; the operations that they are for.
fn at_points(plan: &mut CallPlan, call: Syscall, mechanism: Mechanism, subject: Subject) -> u64 {
    let mut ops = 0;
    for point in subject.points(call) {
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

/// Attaches to the call's own function.
fn attach_to_the_call(
    plan: &mut CallPlan,
    on_calls: OnCalls<'_>,
    call: Syscall,
    mechanism: Mechanism,
    copies: usize,
) {
    let function = call.function();
    if mechanism == Mechanism::KprobeOverride {
        plan.hooks.insert(CallHook::Kprobe { function });
        return;
    }
    if let OnCalls::Delay(delay) = on_calls {
        for copy in (0..).take(copies) {
            let function = function.clone();
            plan.hooks.insert(match delay.at {
                SleepAt::Enter => CallHook::SleepAtEnter { function, copy },
                SleepAt::Exit => CallHook::SleepAtExit { function, copy },
            });
        }
        plan.hooks.insert(CallHook::Missed {
            function: function.clone(),
        });
    }
    plan.hooks.insert(CallHook::Syscall { function });
}

fn record(on_calls: OnCalls<'_>, subject: Subject) -> CallRule {
    let calls = on_calls.calls();
    let mut record = CallRule {
        kinds: subject.kinds(),
        ..CallRule::default()
    };
    match on_calls {
        OnCalls::Error(_) => {}
        OnCalls::Delay(delay) => {
            let ns =
                |length: std::time::Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
            record.sleep_ns = ns(delay.length);
            record.jitter_ns = ns(delay.jitter);
            record.sleep_at = match delay.at {
                SleepAt::Enter => sleep::ENTER,
                SleepAt::Exit => sleep::EXIT,
            };
        }
        OnCalls::Damage(damage) => {
            record.bytes = damage.max_length;
            record.places = damage.max_occurrences;
            record.filling = match damage.filling {
                Filling::Zero => filling::ZERO,
                Filling::Random => filling::RANDOM,
                Filling::Flip => filling::FLIP,
            };
        }
    }
    if !calls.paths.is_empty() {
        record.filters |= filters::PATH;
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
    use crate::experiment::{CallDelay, CallError, Calls, Realism};

    fn calls(names: &str) -> Calls {
        Calls {
            syscalls: names.split(',').map(|name| name.parse().unwrap()).collect(),
            ..Calls::default()
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
    fn whoever_decides_is_attached_last() {
        let offers = |_| true;
        let (_, plan) = choose(&delay("read", SleepAt::Enter), &offers)
            .unwrap()
            .unwrap();
        assert!(matches!(plan.hooks.last(), Some(CallHook::Syscall { .. })));
        assert_eq!(plan.hooks.len(), MOST_COPIES + 2);
    }
}
