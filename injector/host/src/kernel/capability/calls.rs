//! Do programs on system calls do here what they say? Each is tried on a real call of a thread of ours:
//! a BPF LSM program on a host without `bpf` among its security modules loads, attaches and never fires.

use std::{
    fs::File,
    hint::black_box,
    io::{self, IoSliceMut, Read},
    sync::atomic::{AtomicU32, Ordering},
};

use injector_common::{
    call::{Accept, CallRule, FIRST_IS_FD, filling, filters, kind, op},
    lease::Lease,
    process::{ProcessKey, TargetProcess},
    rule::{ActiveSlots, Counters, Rule, When, action},
    rule_id,
    threshold::Threshold,
};

use injector_plan::hooks::{CallHook, TraceHook, Turn};

use super::bench::Bench;
use crate::{
    kernel::{Error, clock::boot_ns, links::Links, maps::Maps},
    targets::process::TaskKey,
};

/// The name of the thread whose call is made to fail. No other thread of ours has it: two runs may start at once in a
/// daemon, and each would meet the other's rules.
fn thread_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("inj-try{:08x}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// An errno that open(2) never returns by itself.
const ERRNO: i32 = libc::ENOTNAM;

/// A call that a self-test makes.
#[derive(Clone, Copy)]
struct Trial {
    /// Where it is decided, one of [`op`].
    op: u32,
    hook: fn() -> CallHook,
}

const OPENAT: &str = "__x64_sys_openat";

/// BPF LSM programs fire.
pub(super) fn lsm(bench: &mut Bench) -> Result<(), Error> {
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    self_test(
        bench,
        Trial {
            op: op::OPEN,
            hook: || CallHook::Lsm {
                hook: "file_open",
                program: "inj_file_open",
            },
        },
    )
    .map_err(|error| match error {
        Error::Probe(why) if !modules.is_empty() => Error::Probe(format!(
            "{why}; the security modules here are {}",
            modules.trim()
        )),
        other => other,
    })
}

/// `fmod_ret` programs on `security_...` fire.
pub(super) fn security(bench: &mut Bench) -> Result<(), Error> {
    self_test(
        bench,
        Trial {
            op: op::OPEN,
            hook: || CallHook::Security {
                hook: "file_open",
                program: "inj_file_open",
                turn: Turn::First,
            },
        },
    )
}

/// `fmod_ret` programs on `__x64_sys_...` fire.
pub(super) fn syscall(bench: &mut Bench) -> Result<(), Error> {
    self_test(
        bench,
        Trial {
            op: op::SYSCALL,
            hook: || CallHook::Syscall {
                function: OPENAT.into(),
                turn: Turn::First,
            },
        },
    )
}

/// Kprobes on `__x64_sys_...` may override them.
pub(super) fn kprobe(bench: &mut Bench) -> Result<(), Error> {
    self_test(
        bench,
        Trial {
            op: op::SYSCALL,
            hook: || CallHook::Kprobe {
                function: OPENAT.into(),
            },
        },
    )
}

/// Sleepable programs on `__x64_sys_...` are let in, at both ends.
pub(super) fn sleepable_syscall(bench: &mut Bench) -> Result<(), Error> {
    let function = String::from(OPENAT);
    let hooks = [
        CallHook::SleepAtExit {
            function: function.clone(),
            copy: 0,
        },
        CallHook::SleepAtEnter { function, copy: 0 },
    ];
    // Without a lease and without a target.
    let (programs, object) = bench.programs()?;
    let mut links = Links::default();
    hooks
        .iter()
        .try_for_each(|hook| programs.attach(hook, &[], object, &mut links))
}

/// A program that every system call passes sends signals: signal 0, which is none, to a thread of ours.
pub(super) fn signals(bench: &mut Bench) -> Result<(), Error> {
    let aim = Aim::at_openat(
        op::ENTRY,
        action::SIGNAL,
        CallHook::Trace(TraceHook::Signal),
    );
    let (_, counted) = aim.on_a_thread(bench, || File::open("/dev/null").err())?;
    if counted.hit == 0 {
        return Err(Error::Probe(
            "the program is attached and sends no signal when a real call is made".into(),
        ));
    }
    Ok(())
}

/// Programs where system calls end change what a thread of ours reads.
pub(super) fn trace(bench: &mut Bench) -> Result<(), Error> {
    let read = u32::try_from(libc::SYS_read).unwrap_or_default();
    let mut call = CallRule {
        ops: 1 << op::TRACE,
        bytes: 1,
        places: 1,
        filling: filling::FLIP,
        ..CallRule::default()
    };
    call.add(read);
    let aim = Aim {
        hooks: [TraceHook::Damage, TraceHook::DamageAgain]
            .map(CallHook::Trace)
            .into(),
        action: action::DAMAGE,
        call,
        syscall: read,
        accept: 1 << op::TRACE | 1 << FIRST_IS_FD,
    };
    let (bytes, _) = aim.on_a_thread(bench, || {
        let mut bytes = [0; 16];
        let read = File::open("/dev/zero").and_then(|mut zeros| zeros.read(&mut bytes));
        read.map(|_| bytes)
    })?;
    match bytes {
        Ok(bytes) if bytes != [0; 16] => Ok(()),
        _ => Err(Error::Probe(
            "the programs are attached and do not change what a real call reads".into(),
        )),
    }
}

/// Programs where system calls begin and end cut a vector of a thread of ours, and put it back.
pub(super) fn vector(bench: &mut Bench) -> Result<(), Error> {
    let readv = u32::try_from(libc::SYS_readv).unwrap_or_default();
    let mut call = CallRule {
        ops: 1 << op::VECTOR,
        bytes: 5,
        ..CallRule::default()
    };
    call.add(readv);
    let aim = Aim {
        hooks: [TraceHook::Mend, TraceHook::MendAgain, TraceHook::Cut]
            .map(CallHook::Trace)
            .into(),
        action: action::SHORTEN,
        call,
        syscall: readv,
        accept: 1 << op::VECTOR | 1 << FIRST_IS_FD,
    };
    let (read, _) = aim.on_a_thread(bench, || {
        let (mut one, mut two) = ([0; 4], [0; 4]);
        let mut pieces = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        let read = File::open("/dev/zero").and_then(|mut file| file.read_vectored(&mut pieces));
        let left: usize = black_box(&pieces).iter().map(|piece| piece.len()).sum();
        read.map(|read| (read, left))
    })?;
    match read {
        Ok((5, 8)) => Ok(()),
        _ => Err(Error::Probe(
            "the programs are attached and do not cut a real call short, or do not put its vector back".into(),
        )),
    }
}

/// Lets a thread open a file, which is to fail.
fn self_test(bench: &mut Bench, trial: Trial) -> Result<(), Error> {
    let aim = Aim::at_openat(trial.op, action::FAIL, (trial.hook)());
    let (opened, _) = aim.on_a_thread(bench, || File::open("/dev/null").err())?;
    match opened.as_ref().and_then(io::Error::raw_os_error) {
        Some(ERRNO) => Ok(()),
        _ => Err(Error::Probe(
            "the program is attached and does not change what a real call returns".into(),
        )),
    }
}

/// A rule about a call of one thread of ours.
struct Aim {
    hooks: Vec<CallHook>,
    action: u32,
    call: CallRule,
    syscall: u32,
    accept: Accept,
}

impl Aim {
    /// At openat(2), which is met at this operation.
    fn at_openat(op: u32, action: u32, hook: CallHook) -> Self {
        let openat = u32::try_from(libc::SYS_openat).unwrap_or_default();
        let mut call = CallRule {
            ops: 1 << op,
            ..CallRule::default()
        };
        call.add(openat);
        Self {
            hooks: vec![hook],
            action,
            call,
            syscall: openat,
            accept: 1 << op,
        }
    }

    /// Attaches, makes this process a target whose rule is about one thread, and lets that thread act: what it
    /// met, and what was counted.
    fn on_a_thread<T: Send>(
        mut self,
        bench: &mut Bench,
        act: fn() -> T,
    ) -> Result<(T, Counters), Error> {
        let mut links = Links::default();
        let (programs, object) = bench.programs()?;
        for hook in std::mem::take(&mut self.hooks) {
            programs.attach(&hook, &[], object, &mut links)?;
        }
        let (name, slot) = (thread_name(), bench.slot());
        self.write(&name, slot, &mut bench.maps)?;
        bench.lease.write(Lease::from(boot_ns()))?;
        let acted = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, act)
                .map_err(|error| Error::system("start a thread to try things with", error))?;
            thread
                .join()
                .map_err(|_| Error::Probe("the thread that tries things broke".into()))
        });
        bench.lease.write(Lease::DISARMED)?;
        drop(links);
        bench.maps.activate(0, ActiveSlots::default())?;
        Ok((acted?, bench.maps.counters(rule_id(0, slot))?))
    }

    /// One rule, in a slot of scope 0.
    fn write(&self, thread: &str, slot: u32, maps: &mut Maps) -> Result<(), Error> {
        let mut call = CallRule {
            filters: filters::THREAD,
            kinds: kind::ANY,
            thread_length: u32::try_from(thread.len()).unwrap_or_default(),
            ..self.call
        };
        for (to, from) in call.thread.iter_mut().zip(thread.bytes()) {
            *to = from;
        }
        let rule = Rule {
            action: self.action,
            percent: Threshold::ALWAYS,
            errno: ERRNO.unsigned_abs(),
            when: When::ALWAYS,
            max_hits: u64::MAX,
            ..Rule::default()
        };
        let id = rule_id(0, slot);
        maps.write_rule(id, &rule)?;
        maps.write_call_rule(id, &call)?;
        maps.write_accept(self.syscall, self.accept)?;
        let own = TaskKey::of(std::process::id())
            .map_err(|error| Error::Probe(format!("this process cannot be looked at: {error}")))?;
        let (key, process): (ProcessKey, TargetProcess) = own.record(0, 0);
        maps.write_process(key, process)?;
        let on = ActiveSlots {
            call: 1 << slot,
            ..ActiveSlots::default()
        };
        maps.activate(0, on)
    }
}

#[cfg(test)]
mod tests {
    use injector_common::call::THREAD_NAME;

    use super::*;

    /// A name that is cut would be another thread's as well.
    #[test]
    fn each_thread_that_tries_things_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<String> = (0..1000).map(|_| thread_name()).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.len() < THREAD_NAME));
    }
}
