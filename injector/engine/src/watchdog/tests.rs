use proptest::prelude::*;

use super::*;

fn leases(renewed_at: u64, deadline: u64) -> Leases {
    Leases {
        maps: Vec::new(),
        standing: Standing::Live,
        renewed_at,
        deadline,
        slots: Vec::new(),
        ending: None,
    }
}

#[test]
fn a_gap_longer_than_the_lease_is_never_mended() {
    let mut leases = leases(1_000, u64::MAX);
    leases.renew(1_000 + LEASE_NS).unwrap();
    assert_eq!(leases.standing, Standing::Live);
    leases.renew(1_000 + LEASE_NS + LEASE_NS + 1).unwrap();
    assert_eq!(leases.standing, Standing::Lapsed(LEASE_NS + 1));
    let renewed_at = leases.renewed_at;
    leases.renew(1_000 + 2 * LEASE_NS + 2).unwrap();
    assert_eq!(leases.renewed_at, renewed_at, "a lapsed lease was renewed");
}

/// What can come to a watchdog: time that passes, a person who stops or halts.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Passes(u64),
    Disarms,
    Halts,
}

proptest! {
    /// In any order: a lease that has ended stays so, for its first reason, and is renewed neither
    /// after a gap nor past the deadline.
    #[test]
    fn an_end_is_an_end(
        deadline in 1..40 * RENEW_EVERY_NS,
        turns in prop::collection::vec(prop_oneof![
            8 => (0..2 * RENEW_EVERY_NS).prop_map(Turn::Passes),
            1 => (LEASE_NS - 10..LEASE_NS + 10).prop_map(Turn::Passes),
            1 => Just(Turn::Disarms),
            1 => Just(Turn::Halts),
        ], 1..40),
    ) {
        let (mut leases, mut now) = (leases(0, deadline), 0);
        for turn in turns {
            let before = (leases.standing, leases.renewed_at);
            let expected = match turn {
                Turn::Disarms => Standing::Disarmed,
                Turn::Halts => Standing::Halted,
                Turn::Passes(length) => {
                    now += length;
                    let gap = now - before.1;
                    if now >= deadline {
                        Standing::Overdue
                    } else if gap > LEASE_NS {
                        Standing::Lapsed(gap)
                    } else {
                        Standing::Live
                    }
                }
            };
            match turn {
                Turn::Disarms => leases.end(Standing::Disarmed, None).unwrap(),
                Turn::Halts => leases.end(Standing::Halted, None).unwrap(),
                Turn::Passes(_) => leases.renew(now).unwrap(),
            }
            if before.0 == Standing::Live {
                prop_assert_eq!(leases.standing, expected);
            } else {
                prop_assert_eq!((leases.standing, leases.renewed_at), before);
            }
            prop_assert!(leases.renewed_at < deadline);
        }
    }
}

#[test]
fn the_deadline_ends_it() {
    let mut leases = leases(0, 10);
    leases.renew(10).unwrap();
    assert_eq!(leases.standing, Standing::Overdue);
}

#[test]
fn the_kill_switch_ends_it_and_keeps_it_from_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let kill_switch = KillSwitch::watch(directory.path()).unwrap();
        Watchdog::start(
            Vec::new(),
            u64::MAX,
            kill_switch,
            Vec::new(),
            &Brake::default(),
        )
        .unwrap()
    };
    let watchdog = start();
    let licence = watchdog.licence();
    assert_eq!(watchdog.standing(), Standing::Live);
    assert!(watchdog.is_live() && licence.is_live());
    std::fs::write(directory.path().join("halt"), "").unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while watchdog.standing() == Standing::Live {
        assert!(std::time::Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(watchdog.standing(), Standing::Halted);
    assert!(!watchdog.is_live() && !licence.is_live());
    assert_eq!(start().standing(), Standing::Halted);
    // What asks for a run that is gone hears that it may not go on.
    std::fs::remove_file(directory.path().join("halt")).unwrap();
    let licence = start().licence();
    assert!(!licence.is_live());
}

#[test]
fn the_first_reason_stays() {
    let mut leases = leases(0, 10);
    leases.renew(10).unwrap();
    leases.end(Standing::Disarmed, None).unwrap();
    assert_eq!(leases.standing, Standing::Overdue);
}

fn started(brake: &Brake) -> (tempfile::TempDir, Watchdog) {
    let directory = tempfile::tempdir().unwrap();
    let kill_switch = KillSwitch::watch(directory.path()).unwrap();
    let watchdog = Watchdog::start(Vec::new(), u64::MAX, kill_switch, Vec::new(), brake).unwrap();
    (directory, watchdog)
}

#[test]
fn the_brake_needs_no_look() {
    let brake = Brake::default();
    let (_directory, watchdog) = started(&brake);
    assert_eq!(watchdog.standing(), Standing::Live);
    brake.pull();
    assert_eq!(watchdog.standing(), Standing::Halted);
    let (_directory, later) = started(&brake);
    assert_eq!(later.standing(), Standing::Halted, "a run was armed later");
}

#[test]
fn a_condition_that_comes_to_hold_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let kill_switch = KillSwitch::watch(directory.path()).unwrap();
    let then = boot_ns() + 300_000_000;
    let slots = vec![Slot::clock("clock >= 18:00".into(), then)];
    let watchdog =
        Watchdog::start(Vec::new(), u64::MAX, kill_switch, slots, &Brake::default()).unwrap();
    assert_eq!(watchdog.standing(), Standing::Live);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while watchdog.standing() == Standing::Live {
        assert!(std::time::Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(watchdog.standing(), Standing::Breached);
    let ending = watchdog.ending().unwrap();
    assert!(ending.ended_boot_ns >= then, "before it held");
    assert_eq!(ending.breach.unwrap().seen_boot_ns, then);
}

#[test]
fn what_holds_already_never_lets_it_live() {
    let directory = tempfile::tempdir().unwrap();
    let kill_switch = KillSwitch::watch(directory.path()).unwrap();
    let slots = vec![Slot::clock("clock >= 18:00".into(), boot_ns())];
    let watchdog =
        Watchdog::start(Vec::new(), u64::MAX, kill_switch, slots, &Brake::default()).unwrap();
    // At once, not at the next look.
    assert_eq!(watchdog.standing(), Standing::Breached);
    assert!(!watchdog.is_live());
}

#[test]
fn a_breach_ends_it_and_says_why() {
    let (_directory, watchdog) = started(&Brake::default());
    let breach = Breach {
        condition: "hits > 5/s".into(),
        why: "there were 6 a second".into(),
        seen_boot_ns: 7,
    };
    watchdog.breach(breach.clone()).unwrap();
    watchdog.disarm().unwrap();
    assert_eq!(watchdog.standing(), Standing::Breached);
    let ending = watchdog.ending().unwrap();
    assert_eq!(ending.breach, Some(breach));
    assert!(ending.ended_boot_ns <= boot_ns());
}
