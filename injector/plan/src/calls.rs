//! Faults on system calls: which mechanism serves, and what has to be attached for it.

mod record;

use std::collections::BTreeSet;

use injector_common::call::{Accept, CallRule, FIRST_IS_FD, kind, op};

use record::record;

use super::{Error, Mechanism, Need};
use crate::hooks::{CallHook, CgroupHook, TraceHook, Turn};
use injector_spec::{
    experiment::{CallMechanism, Calls, FaultKind, LONGEST_SLEEP, OnCalls, SleepAt},
    syscall::{
        Syscall,
        points::{self, Lock, Point},
    },
};

/// How many copies of a sleeping program stand on one system call. A program that sleeps is skipped for
/// every other thread on its CPU, so this many threads of a CPU can sleep in one call at once
/// (kernel/bpf/trampoline.c; `BPF_MAX_TRAMP_LINKS` is 38 on `x86_64`).
const MOST_COPIES: usize = 32;

/// How many of them a fault has for all of its calls together: each takes a moment of arming.
const MOST_SLEEPERS: usize = MOST_COPIES;

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
/// of its calls.
pub(super) fn choose(
    fault: &FaultKind,
    on_calls: OnCalls<'_>,
    ladder: &[Mechanism],
    offers: &dyn Fn(Need) -> bool,
) -> Result<(Mechanism, CallPlan), Error> {
    let calls = on_calls.calls();
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
    let subject = Subject::of(fault, calls);
    let offered = |mechanism: &Mechanism| mechanism.needs().iter().all(|need| offers(*need));
    let reaching: Vec<Mechanism> = ladder
        .iter()
        .copied()
        .filter(|mechanism| forced.is_none_or(|forced| *mechanism == forced))
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
        if let OnCalls::Delay(_) = on_calls
            && let locked = locked(calls, subject)
            && !locked.is_empty()
        {
            return Err(match forced {
                Some(Mechanism::LsmPark) => Error::OthersWouldWait { locked },
                _ => Error::OnlyWhereOthersWouldWait { locked },
            });
        }
        if let Some(mechanism) = forced {
            let beyond = calls
                .syscalls
                .iter()
                .filter(|call| !reaches(mechanism, **call, subject));
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
    Ok((mechanism, plan(fault, on_calls, mechanism)))
}

impl From<CallMechanism> for Mechanism {
    fn from(forced: CallMechanism) -> Self {
        match forced {
            CallMechanism::Lsm => Self::Lsm,
            CallMechanism::FmodRetSecurity => Self::SecurityReturn,
            CallMechanism::FmodRetSyscall => Self::SyscallReturn,
            CallMechanism::KprobeOverride => Self::KprobeOverride,
            CallMechanism::CgroupSockAddr => Self::SockAddr,
            CallMechanism::LsmPark => Self::LsmPark,
            CallMechanism::SyscallPark => Self::SyscallPark,
        }
    }
}

/// What a fault has to know about a call to tell whether it is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Subject {
    /// Kinds of files that are meant, as a mask of [`kind`].
    kinds: u32,
    /// Whether it depends on where the file lies.
    paths: bool,
    /// Whether it depends on the socket's far end.
    remotes: bool,
}

impl Subject {
    /// Nothing: all calls are.
    pub(super) const ANYTHING: Self = Self {
        kinds: kind::ANY,
        paths: false,
        remotes: false,
    };

    fn of(fault: &FaultKind, calls: &Calls) -> Self {
        let asked = calls.kinds.iter().fold(0, |mask, kind| mask | kind.bit());
        // A thread that waits in a call on anything else would wait with a vector that is not its own.
        let kinds = if let Some(OnCalls::Short(_)) = fault.on_calls() {
            kind::FILE
        } else if fault.is_about_pipes() && asked == 0 {
            kind::PIPE | kind::UNIX
        } else if calls.has_remotes() {
            kind::INET
        } else if asked == 0 {
            kind::ANY
        } else {
            asked
        };
        Self {
            kinds,
            paths: !calls.paths.is_empty(),
            remotes: calls.has_remotes(),
        }
    }

    /// The hooks at which a call is met and that know what is asked. A fault on any kind of file meets calls that
    /// are about none as well.
    fn points(self, call: Syscall) -> impl Iterator<Item = &'static Point> {
        points::of(call).filter(move |point| {
            (!self.paths || point.knows_files())
                && (!self.remotes || point.knows_remotes())
                && (self.kinds == kind::ANY || self.kinds & point.kinds() != 0)
        })
    }
}

/// The calls that cannot sleep at their hook because others would wait, each with what they would wait for.
fn locked(calls: &Calls, subject: Subject) -> Vec<(Syscall, Lock)> {
    let of = |call: &Syscall| {
        let mut locks = subject.points(*call).filter_map(Point::lock);
        Some((*call, locks.next()?))
    };
    calls.syscalls.iter().filter_map(of).collect()
}

/// Why a fault that is done at the calls' own functions is not done at their hooks, where that spares bystanders; a
/// refusal says so beside what the host lacks.
pub fn why_not_at_hooks(fault: &FaultKind) -> Option<String> {
    let on_calls @ OnCalls::Delay(_) = fault.on_calls()? else {
        return None;
    };
    let calls = on_calls.calls();
    let locked = locked(calls, Subject::of(fault, calls));
    (!locked.is_empty()).then(|| super::error::would_wait(&locked))
}

/// Whether a mechanism meets a call, and knows there what it is about.
fn reaches(mechanism: Mechanism, call: Syscall, subject: Subject) -> bool {
    match mechanism {
        Mechanism::Lsm | Mechanism::SecurityReturn => subject.points(call).next().is_some(),
        Mechanism::LsmPark => {
            let mut points = subject.points(call).peekable();
            points.peek().is_some() && points.all(|point| point.sleeper().is_some())
        }
        Mechanism::Trace => call.returns_bytes(),
        Mechanism::Vector => call.has_vector(),
        // Other sockets do not pass there.
        Mechanism::SockAddr => {
            let hooks = address_hooks(call);
            let knows = !subject.remotes || hooks.is_some_and(|(op, _)| op == op::ADDRESS_CONNECT);
            hooks.is_some() && knows && subject.kinds == kind::INET && !subject.paths
        }
        // A descriptor tells all but which peer a call is about to speak to.
        Mechanism::SyscallReturn
        | Mechanism::KprobeOverride
        | Mechanism::SyscallPark
        | Mechanism::SignalAtCall => {
            subject == Subject::ANYTHING || call.takes_descriptor() && !subject.remotes
        }
        // They stand elsewhere.
        Mechanism::Count
        | Mechanism::WireLoss
        | Mechanism::SocketLoss
        | Mechanism::BothLoss
        | Mechanism::Rewrite
        | Mechanism::Clone
        | Mechanism::DelayLine
        | Mechanism::Connect
        | Mechanism::Relay
        | Mechanism::TlsRewrite
        | Mechanism::Reset
        | Mechanism::Signal
        | Mechanism::Freeze
        | Mechanism::Stop
        | Mechanism::Limits
        | Mechanism::PluginSignal
        | Mechanism::PluginStop
        | Mechanism::PluginHold
        | Mechanism::PluginWrite => false,
    }
}

/// Where cgroups meet a call that says an address.
fn address_hooks(call: Syscall) -> Option<(u32, [CgroupHook; 2])> {
    match call.name() {
        "connect" => Some((
            op::ADDRESS_CONNECT,
            [CgroupHook::CallConnect4, CgroupHook::CallConnect6],
        )),
        "bind" => Some((
            op::ADDRESS_BIND,
            [CgroupHook::CallBind4, CgroupHook::CallBind6],
        )),
        _ => None,
    }
}

fn plan(fault: &FaultKind, on_calls: OnCalls<'_>, mechanism: Mechanism) -> CallPlan {
    let calls = on_calls.calls();
    let subject = Subject::of(fault, calls);
    let mut plan = CallPlan {
        record: record(on_calls, subject),
        hooks: BTreeSet::new(),
        accept: Vec::new(),
    };
    let share = MOST_SLEEPERS / calls.syscalls.len().max(1);
    let copies = share.clamp(links_of(on_calls), MOST_COPIES);
    for call in &calls.syscalls {
        plan.record.add(call.number());
        if let OnCalls::Delay(delay) = on_calls
            && mechanism == Mechanism::SyscallPark
        {
            sleepers(&mut plan, delay.at, *call, copies);
        }
        let ops = stand_at(&mut plan, *call, mechanism, subject);
        let accept = if call.takes_descriptor() {
            ops | 1 << FIRST_IS_FD
        } else {
            ops
        };
        plan.record.ops |= ops;
        plan.accept.push((*call, accept));
    }
    plan
}

/// How many sleeps one call takes at most, each in a program of its own.
fn links_of(on_calls: OnCalls<'_>) -> usize {
    let OnCalls::Delay(delay) = on_calls else {
        return 1;
    };
    let longest = delay.length.saturating_add(delay.jitter).as_nanos();
    let links = longest.div_ceil(LONGEST_SLEEP.as_nanos());
    usize::try_from(links)
        .unwrap_or(MOST_COPIES)
        .clamp(1, MOST_COPIES)
}

/// Attaches to where a mechanism meets a call; the operations that it is met at.
pub(super) fn stand_at(
    plan: &mut CallPlan,
    call: Syscall,
    mechanism: Mechanism,
    subject: Subject,
) -> u64 {
    let function = call.function();
    let (hook, op) = match mechanism {
        Mechanism::Lsm | Mechanism::LsmPark | Mechanism::SecurityReturn => {
            return at_points(plan, call, mechanism, subject);
        }
        Mechanism::Trace => {
            plan.hooks.insert(CallHook::Trace(TraceHook::Damage));
            (CallHook::Trace(TraceHook::DamageAgain), op::TRACE)
        }
        Mechanism::Vector => {
            let before = [TraceHook::Mend, TraceHook::MendAgain, TraceHook::Cut];
            plan.hooks.extend(before.map(CallHook::Trace));
            (CallHook::Trace(TraceHook::CutAgain), op::VECTOR)
        }
        Mechanism::SockAddr => {
            let Some((op, hooks)) = address_hooks(call) else {
                return 0;
            };
            plan.hooks.extend(hooks.map(CallHook::Cgroup));
            return 1 << op;
        }
        Mechanism::SignalAtCall => {
            plan.hooks.insert(CallHook::Trace(TraceHook::Signal));
            (CallHook::Trace(TraceHook::SignalAgain), op::ENTRY)
        }
        Mechanism::KprobeOverride => (CallHook::Kprobe { function }, op::SYSCALL),
        Mechanism::SyscallReturn | Mechanism::SyscallPark => {
            let both = Turn::BOTH.map(|turn| CallHook::Syscall {
                function: function.clone(),
                turn,
            });
            plan.hooks.extend(both);
            return 1 << op::SYSCALL;
        }
        // They stand elsewhere, see [`reaches`].
        Mechanism::Count
        | Mechanism::WireLoss
        | Mechanism::SocketLoss
        | Mechanism::BothLoss
        | Mechanism::Rewrite
        | Mechanism::Clone
        | Mechanism::DelayLine
        | Mechanism::Connect
        | Mechanism::Relay
        | Mechanism::TlsRewrite
        | Mechanism::Reset
        | Mechanism::Signal
        | Mechanism::Freeze
        | Mechanism::Stop
        | Mechanism::Limits
        | Mechanism::PluginSignal
        | Mechanism::PluginStop
        | Mechanism::PluginHold
        | Mechanism::PluginWrite => return 0,
    };
    plan.hooks.insert(hook);
    1 << op
}

/// Attaches to the hooks of the security modules; the operations that they are for.
fn at_points(plan: &mut CallPlan, call: Syscall, mechanism: Mechanism, subject: Subject) -> u64 {
    let mut ops = 0;
    for point in subject.points(call) {
        let hook = point.hook;
        let program = match (mechanism, point.sleeper()) {
            (Mechanism::LsmPark, Some(sleepable)) => sleepable,
            _ => point.program,
        };
        if mechanism == Mechanism::SecurityReturn {
            let both = Turn::BOTH.map(|turn| CallHook::Security {
                hook,
                program,
                turn,
            });
            plan.hooks.extend(both);
        } else {
            plan.hooks.insert(CallHook::Lsm { hook, program });
        }
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

/// The record of a fault that differs from the one of `planned` in what ramps: where it is asked stays.
pub(super) fn again(fault: &FaultKind, on_calls: OnCalls<'_>, planned: &CallRule) -> CallRule {
    let subject = Subject::of(fault, on_calls.calls());
    CallRule {
        syscalls: planned.syscalls,
        ops: planned.ops,
        denied: planned.denied,
        ..record(on_calls, subject)
    }
}

#[cfg(test)]
mod tests;
