//! Do programs on system calls do here what they say? Each is tried on a real call of a thread of ours:
//! a BPF LSM program on a host without `bpf` among its security modules loads, attaches and never fires.

use std::{fs::File, io};

use injector_common::{
    call::{CallRule, THREAD_NAME, filters, op},
    lease::Lease,
    process::{ProcessKey, TargetProcess},
    rule::{ActiveSlots, Counters, Rule, When, action},
    threshold::Threshold,
};

use crate::{
    kernel::{
        Error,
        calls::{CallHook, CallPrograms},
        clock::boot_ns,
        links::Links,
        maps::Maps,
        object::{Callers, Object},
    },
    target::process::TaskKey,
};

/// The name of the thread whose call is made to fail; no other thread of ours has it.
const THREAD: &str = "inj-self-test";

/// An errno that open(2) never returns by itself.
const ERRNO: i32 = libc::ENOTNAM;

/// A call that a self-test makes.
#[derive(Clone, Copy)]
struct Trial {
    /// Where it is decided, one of [`op`].
    op: u32,
    /// What is done then, one of [`action`].
    action: u32,
    hook: fn() -> CallHook,
}

const OPENAT: &str = "__x64_sys_openat";

/// BPF LSM programs fire.
pub(super) fn lsm() -> Result<(), Error> {
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    self_test(Trial {
        op: op::OPEN,
        action: action::FAIL,
        hook: || CallHook::Lsm {
            hook: "file_open",
            program: "inj_file_open",
        },
    })
    .map_err(|error| match error {
        Error::Probe(why) if !modules.is_empty() => Error::Probe(format!(
            "{why}; the security modules here are {}",
            modules.trim()
        )),
        other => other,
    })
}

/// `fmod_ret` programs on `security_...` fire.
pub(super) fn security() -> Result<(), Error> {
    self_test(Trial {
        op: op::OPEN,
        action: action::FAIL,
        hook: || CallHook::Security {
            hook: "file_open",
            program: "inj_file_open",
        },
    })
}

/// `fmod_ret` programs on `__x64_sys_...` fire.
pub(super) fn syscall() -> Result<(), Error> {
    self_test(Trial {
        op: op::SYSCALL,
        action: action::FAIL,
        hook: || CallHook::Syscall {
            function: OPENAT.into(),
        },
    })
}

/// Kprobes on `__x64_sys_...` may override them.
pub(super) fn kprobe() -> Result<(), Error> {
    self_test(Trial {
        op: op::SYSCALL,
        action: action::FAIL,
        hook: || CallHook::Kprobe {
            function: OPENAT.into(),
        },
    })
}

/// Sleepable programs on `__x64_sys_...` are let in, at both ends.
pub(super) fn sleepable_syscall() -> Result<(), Error> {
    let function = String::from(OPENAT);
    attaches(&[
        CallHook::SleepAtExit {
            function: function.clone(),
            copy: 0,
        },
        CallHook::SleepAtEnter { function, copy: 0 },
    ])
}

/// A program that every system call passes sends signals: signal 0, which is none, to a thread of ours.
pub(super) fn signals() -> Result<(), Error> {
    let (_, counted) = try_out(Trial {
        op: op::ENTRY,
        action: action::SIGNAL,
        hook: || CallHook::Entry,
    })?;
    if counted.hit == 0 {
        return Err(Error::Probe(
            "the program is attached and sends no signal when a real call is made".into(),
        ));
    }
    Ok(())
}

/// Attaches without a lease and without a target.
fn attaches(hooks: &[CallHook]) -> Result<(), Error> {
    let mut object = Object::load()?;
    let programs = CallPrograms::of(&mut object)?;
    let mut links = Links::default();
    hooks
        .iter()
        .try_for_each(|hook| programs.attach(hook, &mut object, &mut links))
}

/// Tries an errno out.
fn self_test(trial: Trial) -> Result<(), Error> {
    let (error, _) = try_out(trial)?;
    match error.as_ref().and_then(io::Error::raw_os_error) {
        Some(ERRNO) => Ok(()),
        _ => Err(Error::Probe(
            "the program is attached and does not change what a real call returns".into(),
        )),
    }
}

/// Attaches, makes this process a target whose rule is about one thread, and lets that thread open a file:
/// what it met, and what was counted.
fn try_out(trial: Trial) -> Result<(Option<io::Error>, Counters), Error> {
    let callers = Callers {
        processes: 1,
        ..Callers::default()
    };
    let mut object = Object::load_for(callers)?;
    let programs = CallPrograms::of(&mut object)?;
    let mut links = Links::default();
    programs.attach(&(trial.hook)(), &mut object, &mut links)?;
    let (mut maps, mut lease, _events) = Maps::take(&mut object)?;
    aim(&mut maps, trial)?;
    lease.write(Lease::from(boot_ns()))?;
    let opened = std::thread::Builder::new()
        .name(THREAD.into())
        .spawn(|| File::open("/dev/null").err())
        .map(std::thread::JoinHandle::join)
        .map_err(|error| Error::system("start a thread to try things with", error))?;
    lease.write(Lease::DISARMED)?;
    drop(links);
    let error = opened.unwrap_or_else(|_| Some(io::Error::other("the thread broke")));
    Ok((error, maps.counters(0)?))
}

/// One rule, in slot 0 of scope 0, about calls to open by that thread.
fn aim(maps: &mut Maps, trial: Trial) -> Result<(), Error> {
    let op = trial.op;
    let mut call = CallRule {
        ops: 1 << op,
        filters: filters::THREAD,
        thread_length: u32::try_from(THREAD.len()).unwrap_or_default(),
        ..CallRule::default()
    };
    const { assert!(THREAD.len() < THREAD_NAME) };
    call.thread[..THREAD.len()].copy_from_slice(THREAD.as_bytes());
    let openat = u32::try_from(libc::SYS_openat).unwrap_or_default();
    call.add(openat);
    let rule = Rule {
        action: trial.action,
        percent: Threshold::ALWAYS,
        errno: ERRNO.unsigned_abs(),
        when: When::ALWAYS,
        max_hits: u64::MAX,
        ..Rule::default()
    };
    maps.write_rule(0, &rule)?;
    maps.write_call_rule(0, &call)?;
    maps.write_accept(openat, 1 << op)?;
    let own = TaskKey::of(std::process::id())
        .map_err(|error| Error::Probe(format!("this process cannot be looked at: {error}")))?;
    let (key, process): (ProcessKey, TargetProcess) = own.record(0, 0);
    maps.write_process(key, process)?;
    let on = ActiveSlots {
        call: 1,
        ..ActiveSlots::default()
    };
    maps.activate(0, on)
}
