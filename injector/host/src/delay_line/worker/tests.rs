//! The loop on a pair of sockets and with a clock that the test moves.
#![expect(clippy::cast_possible_truncation, reason = "small numbers in tests")]

use super::*;
use crate::delay_line::{
    Stats,
    testing::{self, Peer},
};
use injector_plan::line::{Delay, Distribution, Model};
use std::{cell::Cell, rc::Rc};

const MS: u64 = 1_000_000;

#[derive(Clone)]
struct TestClock(Rc<Cell<u64>>);

impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.0.get()
    }
}

struct Bench {
    worker: Worker<TestClock>,
    peer: Peer,
    clock: Rc<Cell<u64>>,
}

impl Bench {
    fn new(table: &LineTable, options: &Options) -> Self {
        let (tap, peer) = testing::pair();
        let clock = Rc::new(Cell::new(1_000 * MS));
        let counters = Arc::new(Counters::default());
        let worker = Worker::new(tap, table, options, counters, TestClock(Rc::clone(&clock)));
        Self {
            worker,
            peer,
            clock,
        }
    }

    fn pass(&mut self, by: u64) -> &mut Self {
        self.clock.set(self.clock.get() + by);
        while self.worker.turn().unwrap() == Turn::Busy {}
        self
    }

    fn stats(&self) -> Stats {
        self.worker.counters.read()
    }
}

fn held(latency_ms: u64) -> Model {
    Model::Reorder {
        latency: Duration::from_millis(latency_ms),
    }
}

fn table(models: impl IntoIterator<Item = Model>) -> LineTable {
    models
        .into_iter()
        .enumerate()
        .map(|(slot, model)| ((0, slot as u32), model))
        .collect()
}

#[test]
fn frames_wait_their_time_and_keep_their_order() {
    let mut bench = Bench::new(&table([held(100)]), &Options::default());
    for n in 0..50 {
        bench.peer.send(n, 1);
    }
    bench.pass(0).pass(99 * MS);
    assert!(bench.peer.received().is_empty());
    bench.pass(MS);
    assert_eq!(bench.peer.received(), (0..50).collect::<Vec<_>>());
    assert_eq!((bench.stats().frames, bench.stats().released), (50, 50));
}

#[test]
fn a_shorter_delay_overtakes() {
    let mut bench = Bench::new(
        &table([held(100), held(10), Model::Noop]),
        &Options::default(),
    );
    for (n, slots) in [(0, 1), (1, 2), (2, 4), (3, 0), (4, 8), (5, 1)] {
        bench.peer.send(n, slots);
    }
    assert_eq!(bench.pass(0).peer.received(), [2, 3, 4]);
    assert_eq!(bench.pass(10 * MS).peer.received(), [1]);
    assert_eq!(bench.pass(90 * MS).peer.received(), [0, 5]);
}

/// Draws below zero go on at once, but not past a frame that is due and waits for its tick.
#[test]
fn jitter_keeps_the_order_of_a_connection() {
    let jittery = Model::Delay(Delay {
        latency: Duration::from_micros(100),
        jitter: Duration::from_millis(2),
        correlation: injector_common::threshold::Threshold::NEVER,
        distribution: Distribution::Normal,
        seed: 5,
    });
    let mut bench = Bench::new(&table([jittery]), &Options::default());
    let mut back = Vec::new();
    for n in 0..300 {
        bench.peer.send(n, 1);
        bench.pass(13_000);
        back.extend(bench.peer.received());
    }
    back.extend(bench.pass(20 * MS).peer.received());
    assert_eq!(back, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_flush_lets_everything_go_in_order_and_undamaged() {
    let delay = Model::Delay(Delay {
        latency: Duration::from_mins(1),
        jitter: Duration::ZERO,
        correlation: injector_common::threshold::Threshold::NEVER,
        distribution: Distribution::Uniform,
        seed: 0,
    });
    let models = [delay, held(5_000), Model::WireCorrupt { seed: 1 }];
    let mut bench = Bench::new(&table(models), &Options::default());
    for (n, slots) in [(0, 1), (1, 0b110), (2, 1)] {
        bench.peer.send(n, slots);
    }
    bench.pass(0);
    bench.peer.send(3, 1);
    bench.worker.flush().unwrap();
    assert_eq!(bench.peer.received(), [1, 0, 2, 3]);
    assert_eq!((bench.stats().released, bench.stats().damaged), (4, 0));
}

#[test]
fn what_is_overdue_after_a_gap_is_lost() {
    let mut bench = Bench::new(&table([held(100), held(4_000)]), &Options::default());
    bench.peer.send(0, 1);
    bench.peer.send(1, 2);
    bench.pass(0);
    // Sent while the worker is stopped: it cannot know when.
    bench.peer.send(2, 4);
    bench.pass(LEASE_NS + 101 * MS);
    assert!(bench.peer.received().is_empty());
    assert_eq!(bench.stats().late, 2);
    // What is not overdue goes on in time.
    bench.peer.send(3, 4);
    assert_eq!(bench.pass(MS).peer.received(), [3]);
    assert_eq!(bench.pass(1_900 * MS).peer.received(), [1]);
}

#[test]
fn a_pause_within_the_lease_loses_nothing() {
    let mut bench = Bench::new(&table([held(100)]), &Options::default());
    bench.peer.send(0, 1);
    bench.pass(0).pass(LEASE_NS - 101 * MS);
    assert_eq!((bench.peer.received(), bench.stats().late), (vec![0], 0));
}

#[test]
fn what_finds_no_room_is_counted() {
    let few = Options {
        frames: 10,
        ..Options::default()
    };
    let mut bench = Bench::new(&table([held(100)]), &few);
    for n in 0..25 {
        bench.peer.send(n, 1);
    }
    bench.pass(0);
    assert_eq!((bench.stats().frames, bench.stats().overflowed), (25, 15));
    assert_eq!(
        bench.pass(100 * MS).peer.received(),
        (0..10).collect::<Vec<_>>()
    );

    let small = Options {
        bytes: 0,
        ..Options::default()
    };
    let mut bench = Bench::new(&table([held(100)]), &small);
    for n in 0..40 {
        bench.peer.send_long(n, 1, 60_000);
        bench.pass(0);
    }
    assert!(bench.stats().overflowed > 0);
    let received = bench.pass(100 * MS).peer.received();
    assert_eq!(received.len() as u64, 40 - bench.stats().overflowed);
    assert!(received.is_sorted());
}

#[test]
fn frames_too_short_to_be_ours_are_lost() {
    let mut bench = Bench::new(&table([]), &Options::default());
    bench.peer.send_raw(&[0; VNET + ETHERNET - 1]);
    bench.pass(0);
    assert_eq!((bench.stats().foreign, bench.stats().released), (1, 0));
}

#[test]
fn damage_is_done_at_release() {
    let mut bench = Bench::new(
        &table([Model::WireCorrupt { seed: 9 }]),
        &Options::default(),
    );
    // The test's frames are not IP, so nothing could tell the damage and they are lost instead.
    bench.peer.send(0, 1);
    bench.pass(0).pass(MS);
    assert_eq!((bench.stats().damaged, bench.stats().released), (1, 0));
}

#[test]
fn frames_cost_no_allocation() {
    let mut bench = Bench::new(
        &table([held(1), Model::WireCorrupt { seed: 2 }]),
        &Options::default(),
    );
    let mut most = 0;
    for round in 0..200 {
        for n in 0..20 {
            bench.peer.send_long(n, 1 + (n & 2), 60 + 300 * n as usize);
        }
        let before = testing::allocations();
        bench.pass(0).pass(2 * MS);
        most = most.max(testing::allocations() - before);
        assert!(bench.worker.wheel.is_empty(), "round {round}");
        bench.peer.received();
    }
    assert_eq!(most, 0);
    assert_eq!(bench.stats().frames, 4_000);
    assert!(testing::allocations() > 0, "the count does not count");
}
