//! Streams of records, as a kernel would tell them.

use injector_common::operation::{Told, what, why};
use injector_spec::experiment::{NamedOperation, OperationKind, ProbeRole, Ratio};
use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn asked(within_ms: Option<u64>) -> NamedOperation {
    NamedOperation {
        name: "calls".into(),
        role: ProbeRole::SteadyState,
        of: "agent".into(),
        kind: OperationKind::Request,
        connect_to: Vec::new(),
        within: within_ms.map(Duration::from_millis),
        ratio: Ratio::WHOLE,
    }
}

fn told(at_ms: u64, cookie: u64, what: u32) -> Told {
    Told {
        boot_ns: at_ms * MS,
        cookie,
        what,
        port: 80,
        ..Told::default()
    }
}

fn begin(at_ms: u64, cookie: u64) -> Told {
    told(at_ms, cookie, what::REQUEST_BEGAN)
}

fn answer(at_ms: u64, cookie: u64) -> Told {
    told(at_ms, cookie, what::REQUEST_ANSWERED)
}

fn fail(at_ms: u64, cookie: u64, why: u32) -> Told {
    Told {
        why,
        ..told(at_ms, cookie, what::REQUEST_FAILED)
    }
}

fn stream(within_ms: Option<u64>, records: &[Told]) -> Stream {
    let mut stream = Stream::new(&asked(within_ms), 1_000);
    for record in records {
        stream.take(record);
    }
    stream
}

fn right(stream: &Stream, now_ms: u64) -> Vec<(u64, bool)> {
    let answers = stream.answers(now_ms * MS);
    answers
        .iter()
        .map(|answer| (answer.begun_ns / MS, answer.is_right))
        .collect()
}

#[test]
fn each_way_to_be_bad_is_told_from_the_others() {
    let stream = stream(
        Some(100),
        &[
            begin(0, 1),
            answer(100, 1),
            begin(200, 1),
            answer(301, 1),
            begin(400, 1),
            fail(410, 1, 104),
            begin(500, 2),
            fail(510, 2, why::CLOSED),
            begin(600, 3),
            // Without a beginning.
            answer(650, 9),
        ],
    );
    let all = [(0, true), (200, false), (400, false), (500, false)];
    assert_eq!(right(&stream, 900), all, "not overdue yet");
    assert_eq!(right(&stream, 901), [&all[..], &[(600, false)]].concat());
    let bad = stream.account(901 * MS, None).bad;
    let expected = [
        ("ECONNRESET", 1),
        ("closed by the peer", 1),
        ("late", 1),
        ("no end", 1),
    ];
    let found: Vec<_> = bad
        .iter()
        .map(|(why, number)| (why.as_str(), *number))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_connect_is_overdue_as_soon_as_it_is_too_old() {
    let connects = NamedOperation {
        kind: OperationKind::Connect,
        ..asked(Some(100))
    };
    let mut stream = Stream::new(&connects, 1_000);
    stream.take(&told(0, 1, what::CONNECT_BEGAN));
    assert_eq!(right(&stream, 100), []);
    assert_eq!(right(&stream, 101), [(0, false)]);
    stream.look(101 * MS);
    stream.take(&told(130, 2, what::CONNECT_BEGAN));
    let account = stream.account(130 * MS, Some(0));
    let reaction = account.reaction.unwrap();
    assert_eq!((reaction.after_ms, reaction.what), (130, Reacted::Retry));
}

#[test]
fn the_end_of_the_target_is_a_reaction() {
    let mut stream = stream(Some(100), &[begin(0, 1)]);
    // An end before the impact is none, and what a target does before its end comes first.
    stream.target_ended(MS);
    stream.take(&begin(10, 2));
    let reaction = |stream: &Stream| stream.account(900 * MS, Some(10 * MS)).reaction;
    assert_eq!(reaction(&stream), None);
    stream.take(&fail(50, 2, why::GIVEN_UP));
    stream.target_ended(70 * MS);
    let ended = Reaction {
        after_ms: 60,
        what: Reacted::TargetEnded,
    };
    assert_eq!(reaction(&stream), Some(ended));
    let text = stream.account(900 * MS, Some(10 * MS)).to_string();
    assert!(
        text.contains("reacted 60ms after the impact by its own end"),
        "{text}"
    );
    // The one that is there again tries again.
    stream.take(&begin(90, 3));
    assert_eq!(reaction(&stream), Some(ended));
    assert_eq!(stream.account(900 * MS, None).retries, 1);
}

/// A client that fails at once and waits 20, 40, 80 and 160 ms before it tries again, until it is answered.
#[test]
fn gaps_that_double_and_what_they_amplify_are_told() {
    let mut told = vec![begin(0, 1), answer(2, 1)];
    let mut at = 10;
    told.extend([begin(at, 2), fail(at + 1, 2, why::GIVEN_UP)]);
    for (cookie, gap) in [(3, 20), (4, 40), (5, 80), (6, 160)] {
        at += 1 + gap;
        told.extend([begin(at, cookie), fail(at + 1, cookie, why::GIVEN_UP)]);
    }
    told.extend([begin(at + 100, 7), answer(at + 102, 7)]);
    // A new series begins with its own gap.
    told.extend([
        begin(500, 8),
        fail(501, 8, why::GIVEN_UP),
        begin(511, 9),
        answer(512, 9),
    ]);
    let account = stream(Some(100), &told).account(900 * MS, Some(10 * MS));
    assert_eq!(account.retries, 6);
    let gaps = account.gaps.unwrap();
    assert_eq!((gaps.least_ms, gaps.most_ms), (10, 160));
    assert_eq!(gaps.growth_percent, Some(200));
    // Eight from the impact on, of which two were meant.
    assert_eq!(account.amplification_percent, Some(400));
    let text = account.to_string();
    assert!(
        text.contains("6 retries after 10ms to 160ms, each x2 the one before; x4 the operations"),
        "{text}"
    );
    let calm = stream(Some(100), &[begin(0, 1), answer(2, 1)]).account(900 * MS, Some(0));
    assert_eq!((calm.gaps, calm.amplification_percent), (None, None));
}

#[test]
fn a_retry_follows_what_failed_and_is_the_reaction() {
    let mut stream = stream(
        Some(100),
        &[
            begin(0, 1),
            fail(10, 1, why::GIVEN_UP),
            begin(40, 2),
            answer(45, 2),
            begin(50, 2),
        ],
    );
    // It becomes overdue, is given up, and tried again elsewhere.
    stream.look(351 * MS);
    stream.take(&fail(380, 2, why::GIVEN_UP));
    stream.take(&Told {
        port: 81,
        ..begin(390, 3)
    });
    stream.take(&begin(460, 4));
    let account = stream.account(470 * MS, Some(50 * MS));
    assert_eq!(account.retries, 2);
    let gaps = account.gaps.unwrap();
    assert_eq!((gaps.least_ms, gaps.most_ms), (30, 80));
    let reaction = account.reaction.unwrap();
    assert_eq!(
        (reaction.after_ms, reaction.what),
        (340, Reacted::OtherFarEnd)
    );
}

#[test]
fn a_refused_connect_is_one_that_ended_at_once() {
    let refused = Told {
        why: 111,
        ..told(5, 0, what::CONNECT_REFUSED)
    };
    let stream = stream(Some(100), &[refused]);
    assert_eq!(right(&stream, 9), [(5, false)]);
    assert_eq!(stream.account(9 * MS, None).bad["ECONNREFUSED"], 1);
}

#[test]
fn the_limit_comes_from_enough_of_the_baseline() {
    let pairs = |number: u64| -> Vec<Told> {
        let pair = |index: u64| [begin(index * 10, 1), answer(index * 10 + 2, 1)];
        (0..number).flat_map(pair).collect()
    };
    let mut few = stream(None, &pairs(199));
    assert!(few.find_limit().unwrap_err().contains("199"));
    let mut enough = stream(None, &pairs(200));
    assert_eq!(enough.find_limit(), Ok(()));
    // The second half alone has operations that take twenty times as long, all of them or some; or both halves have.
    for (slow_from, every, is_noisy) in [
        (100, 1, true),
        (100, 9, true),
        (100, 12, false),
        (0, 5, false),
    ] {
        let took = |index: u64| {
            let is_slow = index >= slow_from && index.is_multiple_of(every);
            if is_slow { 40 } else { 2 }
        };
        let pair = |index: u64| [begin(index * 50, 1), answer(index * 50 + took(index), 1)];
        let told: Vec<Told> = (0..200).flat_map(pair).collect();
        let found = stream(None, &told).find_limit();
        let said = found.err().unwrap_or_default();
        assert_eq!(
            said.contains("too noisy"),
            is_noisy,
            "{slow_from} {every}: {said}"
        );
    }
    assert_eq!(enough.limit(), Some(Duration::from_millis(3)));
    enough.take(&begin(3_000, 1));
    enough.take(&answer(3_004, 1));
    assert_eq!(right(&enough, 3_005).last(), Some(&(3_000, false)));
}

#[test]
fn what_was_lost_is_not_judged() {
    let mut stream = stream(Some(100), &[begin(0, 1), answer(1, 1)]);
    assert_eq!(stream.unmeasurable(), None);
    stream.lost(3);
    assert!(stream.unmeasurable().unwrap().contains("3 records"));
}

#[test]
fn more_than_is_kept_is_not_judged() {
    let mut stream = Stream::new(&asked(Some(100)), 2);
    for index in 0..3 {
        stream.take(&begin(index, 1));
        stream.take(&answer(index, 1));
    }
    assert!(
        stream
            .unmeasurable()
            .unwrap()
            .contains("more than 2 operations")
    );
}

#[test]
fn what_is_open_when_the_watch_ends_is_judged_by_that_moment() {
    let mut stream = stream(Some(100), &[begin(0, 1), begin(50, 2)]);
    stream.close(320 * MS);
    assert_eq!(right(&stream, 10_000), [(0, false)]);
}

#[test]
fn a_journal_gets_all_numbers_and_few_good_ones() {
    let mut stream = Stream::new(&asked(Some(100)), 1_000);
    for index in 0..900 {
        stream.take(&begin(1_000 + index, 1));
        stream.take(&answer(1_000 + index, 1));
    }
    stream.take(&begin(1_950, 1));
    stream.take(&fail(1_960, 1, 104));
    let (samples, seconds) = stream.for_journal(1_999 * MS);
    assert_eq!((samples.len(), seconds.len()), (21, 0));
    let (samples, seconds) = stream.for_journal(2_000 * MS);
    assert_eq!(samples.len(), 0);
    assert_eq!((seconds[0].good, seconds[0].bad), (900, 1));
}

#[test]
fn samples_of_a_second_are_few_in_whatever_order_they_began() {
    let mut stream = Stream::new(&asked(Some(10_000)), 1_000);
    // Each of 200 on two connections: one had begun a second before.
    for index in 0..200 {
        stream.take(&begin(500 + index, index));
    }
    for index in 0..200 {
        let now = 1_000 + 2 * index;
        stream.take(&answer(now, index));
        stream.take(&begin(now, 1_000));
        stream.take(&answer(now + 1, 1_000));
    }
    let (samples, seconds) = stream.for_journal(2_000 * MS);
    let good: Vec<_> = seconds.iter().map(|second| second.good).collect();
    assert_eq!((samples.len(), good), (20, vec![200, 200]));
}

#[test]
fn a_journal_gets_the_last_second_and_what_never_ended() {
    let mut stream = stream(
        Some(100),
        &[
            begin(500, 1),
            begin(1_100, 2),
            answer(1_150, 2),
            begin(1_400, 3),
        ],
    );
    assert_eq!(stream.for_journal(1_500 * MS).1, []);
    stream.close(1_500 * MS);
    stream.close(9_000 * MS);
    let (samples, seconds) = stream.for_journal(1_500 * MS);
    assert_eq!(samples.len(), 1, "{samples:?}");
    assert_eq!(samples[0].wrong.as_deref(), Some("no end"));
    assert_eq!(samples[0].took_us, 1_000_000);
    let told: Vec<_> = seconds
        .iter()
        .map(|second| (second.at_ns / MS, second.good, second.bad))
        .collect();
    assert_eq!(told, [(0, 0, 1), (1_000, 1, 0)]);
    assert_eq!(stream.for_journal(9_000 * MS), (Vec::new(), Vec::new()));
}

/// A client on one connection that is kept, whose requests each take a millisecond and are ten apart, and whose
/// answers are told with the next request.
#[test]
fn an_answer_that_is_told_late_is_not_overdue() {
    let mut stream = Stream::new(&asked(None), 10_000);
    for index in 0..1_000 {
        let began = index * 10;
        stream.take(&begin(began, 1));
        if index == 500 {
            assert_eq!(stream.find_limit(), Ok(()));
        }
        // Nothing is told while it waits.
        stream.look((began + 9) * MS);
        assert!(right(&stream, began + 9).iter().all(|(_, good)| *good));
        stream.take(&answer(began + 1, 1));
    }
    stream.take(&begin(10_000, 1));
    stream.close(10_009 * MS);
    assert!(right(&stream, 10_009).iter().all(|(_, good)| *good));
    let account = stream.account(10_009 * MS, Some(0));
    assert_eq!((account.retries, account.reaction), (0, None));
    assert!(account.bad.is_empty(), "{account:?}");
}

proptest! {
    /// Whatever is told, each operation is there once, and all that ended are.
    #[test]
    fn no_operation_is_lost_or_double(
        records in prop::collection::vec((0u64..50, 0u64..4, 1u32..9, 0u32..200), 0..200),
    ) {
        let mut stream = Stream::new(&asked(Some(20)), 1_000);
        let (mut now, mut began) = (0, 0);
        for (step, cookie, what, why) in records {
            now += step;
            let is_begin = [what::REQUEST_BEGAN, what::CONNECT_BEGAN, what::CONNECT_REFUSED].contains(&what);
            began += usize::from(is_begin);
            stream.take(&Told { why, ..told(now, cookie, what) });
            stream.look(now * MS);
        }
        let open = stream.open.len();
        prop_assert_eq!(stream.kept.len() + open, began);
        prop_assert_eq!(stream.answers(u64::MAX).len(), began);
        let account = stream.account(u64::MAX, Some(0));
        let bad = stream.answers(u64::MAX).iter().filter(|answer| !answer.is_right).count();
        prop_assert_eq!(account.bad.values().sum::<u64>(), u64::try_from(bad).unwrap());
    }
}

/// One operation every 100 ms on one connection, which takes a second while the fault is on: from the tenth second to
/// the twelfth of twenty.
fn slow_for_a_while() -> Stream {
    let mut stream = Stream::new(&asked(Some(300)), 1_000);
    let mut now = 0;
    while now < 20_000 {
        stream.take(&begin(now, 1));
        let took = if (10_000..12_000).contains(&now) {
            1_000
        } else {
            2
        };
        stream.take(&answer(now + took, 1));
        now += took + 100;
    }
    stream
}

fn judged(stream: &Stream) -> crate::measure::Judgement {
    use crate::measure::{Case, Measured, Times, What, judge};
    use injector_spec::experiment::{Objectives, SteadyState};
    let times = Times {
        begun_ns: 0,
        faults_ns: Some(10_000 * MS),
        hit_ns: Some(10_000 * MS),
        lifted_ns: Some(12_000 * MS),
        ended_ns: 20_000 * MS,
    };
    let steady_state = SteadyState {
        probes: Vec::new(),
        operations: vec![stream.asked().clone()],
        objectives: Objectives::default(),
        detect: None,
        ledgers: Vec::new(),
    };
    judge(&Case {
        steady_state: &steady_state,
        measured: &[Measured {
            what: What::Operations(stream),
            answers: stream.answers(times.ended_ns).into(),
        }],
        alarm: &[],
        times,
        planned: 1,
        met: 1,
        cut_short: None,
    })
}

#[test]
fn a_recovery_of_operations_is_exact() {
    let stream = slow_for_a_while();
    let answers = stream.answers(u64::MAX);
    let bad: Vec<u64> = answers
        .iter()
        .filter(|one| !one.is_right)
        .map(|one| one.begun_ns)
        .collect();
    let recovered = answers
        .iter()
        .find(|one| one.begun_ns > bad[bad.len() - 1])
        .unwrap();
    let judgement = judged(&stream);
    assert_eq!(judgement.verdict, crate::measure::Verdict::Held);
    let took = judgement.probes[0].fate.recovery().unwrap();
    let rta = (recovered.begun_ns - bad[0]) / MS;
    assert_eq!((took.rta_ms, took.least_ms, took.most_ms), (rta, rta, rta));
    assert_eq!(judgement.probes[0].under_fault.bad, 2);
    let account = judgement.probes[0].operations.as_ref().unwrap();
    assert_eq!(account.bad["late"], 2);
}

#[test]
fn nothing_is_told_in_numbers_where_a_record_was_lost() {
    let mut stream = slow_for_a_while();
    stream.lost(1);
    let judgement = judged(&stream);
    assert_eq!(judgement.verdict.name(), "inconclusive");
    let told = &judgement.probes[0];
    assert_eq!((told.baseline.answers, told.under_fault.answers), (0, 0));
    assert!(
        told.to_string().contains("1 record of operations was lost"),
        "{told}"
    );
}

#[test]
fn an_impact_does_not_rest_on_what_was_not_seen() {
    assert!(judged(&slow_for_a_while()).impact.is_some());
    let mut stream = slow_for_a_while();
    stream.lost(1);
    assert_eq!(judged(&stream).impact, None);
}

#[test]
fn a_share_forgives_as_many_as_it_says() {
    let with = |ratio: &str| {
        let mut asked = asked(Some(300));
        asked.ratio = ratio.parse().unwrap();
        let mut stream = slow_for_a_while();
        stream.asked = asked;
        judged(&stream).probes[0].under_fault.bad
    };
    assert_eq!((with(">= 99%"), with(">= 98%")), (2, 0));
}
