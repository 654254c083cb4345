use super::*;
use crate::rows::{self, Chosen};
use injector_spec::experiment::{
    CallDelay, CallError, CallMechanism, Calls, Direction, FdKind, PipeDelay, Realism, SleepAt,
    Sleeps, SysDelay, SysError,
};

/// The choice for a fault on calls.
fn choice(
    fault: &FaultKind,
    offers: &dyn Fn(Need) -> bool,
) -> Result<(Mechanism, CallPlan), Error> {
    let row = rows::row(fault, Direction::Egress);
    let Chosen::ByHost(done, ladder) = row.mechanism else {
        panic!("{fault:?} is not on calls");
    };
    choose(fault, done, ladder, offers)
}

fn calls(names: &str) -> Calls {
    Calls {
        syscalls: names.split(',').map(|name| name.parse().unwrap()).collect(),
        ..Calls::default()
    }
}

fn error(names: &str) -> FaultKind {
    FaultKind::SysError(SysError(CallError {
        calls: calls(names),
        errno: "EIO".parse().unwrap(),
        realism: Realism::Usual,
    }))
}

fn delay(names: &str, at: SleepAt) -> FaultKind {
    FaultKind::SysDelay(SysDelay(CallDelay {
        calls: calls(names),
        at,
        length: std::time::Duration::from_millis(5),
        jitter: std::time::Duration::ZERO,
        sleeps: Sleeps::Single,
    }))
}

fn chosen(fault: &FaultKind, offers: &[Need]) -> Mechanism {
    let offers = |need| offers.contains(&need);
    choice(fault, &offers).unwrap().0
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
fn of_pipes_and_sockets_only_sockets_have_a_hook_that_sleeps() {
    use Need::{Lsm, Park, SleepableSyscall, SyscallReturn};
    let slow = |kinds: &[FdKind]| {
        let calls = Calls {
            kinds: kinds.to_vec(),
            ..calls("read,sendto")
        };
        FaultKind::PipeDelay(PipeDelay(CallDelay {
            calls,
            at: SleepAt::Enter,
            length: std::time::Duration::from_millis(5),
            jitter: std::time::Duration::ZERO,
            sleeps: Sleeps::Single,
        }))
    };
    let all = [Lsm, SyscallReturn, SleepableSyscall, Park];
    assert_eq!(chosen(&slow(&[FdKind::Unix]), &all), Mechanism::LsmPark);
    assert_eq!(chosen(&slow(&[FdKind::Pipe]), &all), Mechanism::SyscallPark);
    assert_eq!(chosen(&slow(&[]), &all), Mechanism::SyscallPark);
}

#[test]
fn nobody_sleeps_at_a_hook_where_others_would_wait() {
    use Need::{Lsm, Park, SleepableSyscall, SyscallReturn};
    let all = [Lsm, SyscallReturn, SleepableSyscall, Park];
    for call in [
        "unlink",
        "unlinkat",
        "rename",
        "renameat2",
        "rmdir",
        "symlinkat",
        "chmod",
        "fchown",
        "openat,unlink",
    ] {
        let fault = delay(call, SleepAt::Enter);
        assert_eq!(chosen(&fault, &all), Mechanism::SyscallPark, "{call}");
        // What is missing is named, and why the hook will not do.
        assert_eq!(
            chosen(&fault, &[Lsm, Park]),
            Mechanism::SyscallPark,
            "{call}"
        );
        let why = why_not_at_hooks(&fault).unwrap();
        assert!(why.contains("others would wait"), "{why}");
        // Failing there keeps no other thread waiting.
        assert_eq!(chosen(&error(call), &all), Mechanism::Lsm, "{call}");
    }
    let open = delay("openat", SleepAt::Enter);
    assert_eq!(
        (chosen(&open, &all), why_not_at_hooks(&open)),
        (Mechanism::LsmPark, None)
    );
}

#[test]
fn who_insists_on_the_hook_is_told_what_others_would_wait_for() {
    for (call, lock) in [("unlink", "the folder"), ("fchmod", "the file")] {
        let FaultKind::SysDelay(mut fault) = delay(call, SleepAt::Enter) else {
            continue;
        };
        fault.0.calls.mechanism = Some(CallMechanism::LsmPark);
        let error = choice(&FaultKind::SysDelay(fault), &|_| true).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains(lock) && error.contains("syscall-park"),
            "{error}"
        );
    }
    let FaultKind::SysDelay(mut fault) = delay("rename", SleepAt::Enter) else {
        return;
    };
    fault.0.calls.kinds = vec![FdKind::Directory];
    let error = choice(&FaultKind::SysDelay(fault), &|_| true).unwrap_err();
    assert!(
        error.to_string().contains("leave --path and --fd-kind out"),
        "{error}"
    );
}

#[test]
fn whoever_decides_is_attached_last() {
    let offers = |_| true;
    let (_, plan) = choice(&delay("read", SleepAt::Enter), &offers).unwrap();
    assert!(matches!(plan.hooks.last(), Some(CallHook::Syscall { .. })));
    assert_eq!(plan.hooks.len(), MOST_COPIES + 3);
}
