use super::*;
use proptest::prelude::*;

#[test]
fn nothing_is_about_nothing() {
    let rule = CallRule::default();
    assert!(!rule.is_about(op::OPEN, 2));
    assert!(!rule.is_about(op::OPEN, NO_NUMBER));
}

#[test]
fn a_call_without_a_number_goes_by_its_operation() {
    let mut rule = CallRule {
        ops: 1 << op::OPEN,
        ..CallRule::default()
    };
    rule.add(257);
    assert!(rule.is_about(op::OPEN, 257));
    assert!(!rule.is_about(op::OPEN, 2));
    assert!(rule.is_about(op::OPEN, NO_NUMBER));
    assert!(!rule.is_about(op::READ, NO_NUMBER));
}

#[test]
fn what_was_left_is_for_its_own_thread_call_and_target_alone() {
    let left = Pending {
        thread_start_ns: 7,
        syscall: 257,
        sleeper: crate::rule_id(3, 5) + 1,
        ..Pending::NOTHING
    };
    assert!(left.is_of(7, 257, 3));
    assert!(!left.is_of(8, 257, 3), "another thread with its id");
    assert!(!left.is_of(7, 87, 3), "a later call");
    assert!(!left.is_of(7, 257, 2), "another target");
    assert!(!Pending::NOTHING.is_of(7, 257, 3));
}

#[test]
fn only_the_start_of_a_program_is_denied() {
    let rule = CallRule {
        denied: 1 << op::EXEC | 1 << op::SYSCALL,
        ..CallRule::default()
    };
    for start in [59, 322, NO_NUMBER] {
        assert!(rule.denies(op::EXEC, start) && !rule.is_about(op::EXEC, start));
    }
    assert!(!rule.denies(op::SYSCALL, 257));
    assert!(!rule.denies(op::OPEN, 59));
    assert!(!CallRule::default().denies(op::EXEC, 59));
}

proptest! {
    #[test]
    fn a_rule_is_about_the_calls_that_were_added(
        added in proptest::collection::vec(0u32..SYSCALLS, 0..20), asked in 0u32..SYSCALLS,
    ) {
        let mut rule = CallRule { ops: u64::MAX, ..CallRule::default() };
        for number in &added {
            rule.add(*number);
        }
        prop_assert_eq!(rule.is_about(op::READ, asked), added.contains(&asked));
    }

    #[test]
    fn a_far_end_is_meant_by_its_prefix_and_port(
        address: [u8; 16], other: [u8; 16], bits in 0u32..=128, first: u16, last in 1u16..,
        port: u16, place in 0usize..REMOTES,
    ) {
        let mut rule = CallRule::default();
        let halves = |address: [u8; 16]| {
            let (mut high, mut low) = ([0; 8], [0; 8]);
            high.copy_from_slice(&address[..8]);
            low.copy_from_slice(&address[8..]);
            (high, low)
        };
        let remote = |address| Remote::v6(halves(address).0, halves(address).1, port);
        prop_assert!(!rule.means(&remote(address)));
        rule.remotes[place] = RemoteFilter::new(address, bits, first, last);
        let port_fits = (first..=last).contains(&port);
        let is_v4 = |address| bits < 96 && remote(address).is_v4();
        prop_assert_eq!(rule.means(&remote(address)), port_fits && !is_v4(address));
        let same = |a: u8, b: u8| (a ^ b).leading_zeros();
        let mut shared = 0;
        for (a, b) in address.into_iter().zip(other) {
            shared += same(a, b).min(8);
            if a != b {
                break;
            }
        }
        let is_in = shared >= bits && !is_v4(other);
        prop_assert_eq!(rule.means(&remote(other)), port_fits && is_in);
        prop_assert!(!rule.means(&Remote::default()));
    }

    #[test]
    fn sleeps_stay_within_their_jitter(
        sleep_ns in 0u64..60_000_000_000, jitter_ns in 0u64..60_000_000_000, seed: u64, n: u64,
    ) {
        let rule = CallRule { sleep_ns, jitter_ns, ..CallRule::default() };
        let slept = rule.sleep_of(seed, n);
        prop_assert!(slept >= sleep_ns.saturating_sub(jitter_ns));
        prop_assert!(slept <= sleep_ns + jitter_ns);
    }
}
