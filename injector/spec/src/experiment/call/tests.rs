use super::*;

fn error(call: &str, errno: &str, realism: Realism) -> Result<(), CallFaultError> {
    let calls = Calls {
        syscalls: vec![call.parse().unwrap()],
        ..Calls::default()
    };
    let errno = errno.parse().unwrap();
    CallError {
        calls,
        errno,
        realism,
    }
    .check()
}

#[test]
fn an_errno_that_never_comes_has_to_be_asked_for() {
    assert_eq!(error("openat", "ENOSPC", Realism::Usual), Ok(()));
    assert_eq!(error("read", "ECONNRESET", Realism::Usual), Ok(()));
    assert!(error("openat", "ECONNREFUSED", Realism::Usual).is_err());
    assert_eq!(error("openat", "ECONNREFUSED", Realism::Unusual), Ok(()));
    assert_eq!(error("fsync", "EIO", Realism::Usual), Ok(()));
}

#[test]
fn every_errno_of_the_lists_is_known() {
    for name in [OF_FILES, OF_SOCKETS, OF_PROCESSES].concat() {
        assert!(name.parse::<Errno>().is_ok(), "{name}");
    }
}

#[test]
fn sleeps_are_capped() {
    let of = |sleeps, length, jitter| CallDelay {
        calls: Calls {
            syscalls: vec!["read".parse().unwrap()],
            ..Calls::default()
        },
        at: SleepAt::Enter,
        length: Duration::from_secs(length),
        jitter: Duration::from_secs(jitter),
        sleeps,
    };
    let delay = |length, jitter| of(Sleeps::Single, length, jitter);
    assert_eq!(delay(9, 1).check(), Ok(()));
    assert!(delay(9, 2).check().is_err());
    assert!(delay(0, 0).check().is_err());
    assert_eq!(of(Sleeps::Chained, 55, 5).check(), Ok(()));
    assert!(of(Sleeps::Chained, 55, 6).check().is_err());
}
