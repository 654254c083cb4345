//! How several rules on one frame compose: what becomes of it, and when.
//!
//! Slow links send first, one after the other in the order of their slots, starting when the frame
//! comes; then all the delays are added, as propagation adds to serialisation. So a link is never idle
//! for a frame that is still on its way, and frames leave it in the order in which they came. Each direction
//! has a link of its own. A delay with jitter keeps the packets of a connection in order
//! ([`order`](super::order)); only `net reorder` lets them overtake each other.

use injector_common::{
    RuleId, SCOPES, SLOTS, decide,
    frame::{Direction, Meta},
    rule_id,
};

use super::{
    dns,
    model::{Draws, Link, hold, nanoseconds},
    order::{Lane, Order},
    stats::DnsCounters,
    vnet::{meta, wire_bytes},
};
use injector_plan::line::{DnsFault, LineTable, LookUp, Model};

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Release(Release),
    /// It found a slow link's queue full.
    QueueFull,
    /// It was a look-up that is to time out.
    LookUpLost,
}

/// How a frame goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// When, in nanoseconds.
    pub at: u64,
    /// Its length; a failed look-up's answer may be shorter than the query.
    pub len: usize,
    /// The random number that says what to damage on the wire.
    pub damage: Option<u64>,
}

/// The rules at work.
#[derive(Debug)]
pub struct Rules {
    running: Box<[Option<Running>]>,
}

#[derive(Debug)]
struct Running {
    model: Model,
    memory: Memory,
    /// Where draws could let frames overtake each other.
    order: Option<Order>,
}

/// What a rule remembers; each kind uses its own part.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    draws: Draws,
    links: Links,
    damaged: u64,
    look_ups: DnsCounters,
    decide: decide::Memory,
}

/// A slow link for each direction.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    egress: Link,
    ingress: Link,
}

impl Links {
    fn towards(&mut self, direction: Direction) -> &mut Link {
        match direction {
            Direction::Egress => &mut self.egress,
            Direction::Ingress => &mut self.ingress,
        }
    }
}

impl Running {
    /// A rule with no past. One that ramps down would let frames overtake each other as well.
    fn new(model: &Model, is_ramping: bool) -> Self {
        let draws = matches!(model, Model::Delay(delay) if is_ramping || !delay.jitter.is_zero());
        Self {
            model: model.clone(),
            memory: Memory::default(),
            order: draws.then(Order::default),
        }
    }
}

impl Rules {
    /// The rules of a table, with no past.
    pub fn new(table: &LineTable) -> Self {
        let mut running: Box<[_]> = (0..SCOPES * SLOTS).map(|_| None).collect();
        for (id, model) in table.iter() {
            running[id as usize] = Some(Running::new(model, table.is_ramping(id)));
        }
        Self { running }
    }

    /// Changes the model of a rule that is there; what it remembers stays.
    pub fn change(&mut self, id: RuleId, model: Model) {
        if let Some(Some(running)) = self.running.get_mut(id as usize) {
            running.model = model;
        }
    }

    /// What becomes of `frame`, which comes at `now`. A look-up that fails is turned into its answer in
    /// place. `counted` is told what each rule on look-ups has counted.
    pub fn decide(
        &mut self,
        frame: &mut [u8],
        now: u64,
        mut counted: impl FnMut(RuleId, DnsCounters),
    ) -> Fate {
        let Some(Meta {
            direction,
            scope,
            slots,
            ..
        }) = meta(frame)
        else {
            return Fate::LookUpLost;
        };
        let mut release = Release {
            at: now,
            len: frame.len(),
            damage: None,
        };
        let lane = Lane::of(frame, direction);
        let (mut sent, mut look_up_held) = (now, 0u64);
        for slot in set_bits(slots) {
            let id = rule_id(u32::from(scope), slot);
            let Some(Running { model, memory, .. }) = &mut self.running[id as usize] else {
                continue;
            };
            match model {
                Model::Noop | Model::Delay(_) | Model::Reorder { .. } => {}
                Model::Bandwidth(bandwidth) => {
                    match memory.links.towards(direction).send(
                        *bandwidth,
                        sent,
                        wire_bytes(&frame[..release.len]),
                    ) {
                        Some(at) => sent = at,
                        None => return Fate::QueueFull,
                    }
                }
                Model::WireCorrupt { seed } => {
                    release.damage = Some(decide::random64(*seed, memory.damaged));
                    memory.damaged += 1;
                }
                Model::Dns(fault) => {
                    let outcome = look_up(fault, memory, &frame[..release.len]);
                    counted(id, memory.look_ups);
                    match outcome {
                        None => {}
                        Some(LookUp::Lost) => return Fate::LookUpLost,
                        Some(LookUp::Held(latency)) => {
                            look_up_held = look_up_held.saturating_add(nanoseconds(latency));
                        }
                        Some(LookUp::Answered(rcode)) => {
                            release.len = dns::answer(&mut frame[..release.len], rcode);
                        }
                    }
                }
            }
        }
        // Behind all else: a query that is held keeps none in its lane back.
        let held = self.held(u32::from(scope), slots, lane, sent);
        release.at = held.saturating_add(look_up_held);
        Fate::Release(release)
    }

    /// When a frame that was sent at `sent` comes out of the delays of its rules.
    fn held(&mut self, scope: u32, slots: u32, lane: Lane, sent: u64) -> u64 {
        let mut at = sent;
        // Added last: what is held back on purpose has no part in the order of the others.
        let mut back = 0u64;
        for slot in set_bits(slots) {
            let Some(running) = &mut self.running[rule_id(scope, slot) as usize] else {
                continue;
            };
            match &running.model {
                Model::Delay(delay) => {
                    at = at.saturating_add(hold(delay, &mut running.memory.draws));
                    if let Some(order) = &mut running.order {
                        at = order.behind(lane, at);
                    }
                }
                Model::Reorder { latency } => back = back.saturating_add(nanoseconds(*latency)),
                Model::Noop | Model::Bandwidth(_) | Model::WireCorrupt { .. } | Model::Dns(_) => {}
            }
        }
        at.saturating_add(back)
    }
}

/// What becomes of the look-up in `frame`, where it is hit.
fn look_up(fault: &DnsFault, memory: &mut Memory, frame: &[u8]) -> Option<LookUp> {
    let name = dns::queried_name(frame)?;
    let counters = &mut memory.look_ups;
    counters.seen += 1;
    if !fault.names(name.as_str()) {
        return None;
    }
    counters.matched += 1;
    if !decide::decide(&fault.rule, counters.matched, &mut memory.decide)
        || counters.hit >= fault.rule.max_hits
    {
        return None;
    }
    counters.hit += 1;
    Some(fault.outcome)
}

/// The numbers of the bits that are set, from bit 0 up.
fn set_bits(mut bits: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lowest = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (lowest < u32::BITS).then_some(lowest)
    })
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers in tests")]
mod tests {
    use super::*;
    use crate::delay_line::vnet::VNET;
    use injector_common::{frame::Direction, threshold::Threshold};
    use injector_plan::line::{Bandwidth, Delay, Distribution};
    use proptest::prelude::*;
    use std::{num::NonZeroU64, time::Duration};

    fn frame(scope: u16, slots: u32, len: usize) -> Vec<u8> {
        frame_to(Direction::Egress, scope, slots, len)
    }

    fn frame_to(direction: Direction, scope: u16, slots: u32, len: usize) -> Vec<u8> {
        let mut frame = vec![0; VNET + len];
        let meta = Meta {
            direction,
            scope,
            device: 0,
            slots,
        };
        frame[VNET + 6..VNET + 12].copy_from_slice(&meta.encode());
        frame
    }

    fn delay(latency_ms: u64, jitter_ms: u64) -> Model {
        Model::Delay(Delay {
            latency: Duration::from_millis(latency_ms),
            jitter: Duration::from_millis(jitter_ms),
            correlation: Threshold::NEVER,
            distribution: Distribution::Normal,
            seed: 1,
        })
    }

    fn megabit() -> Model {
        Model::Bandwidth(Bandwidth {
            bits_per_second: NonZeroU64::new(1_000_000).unwrap(),
        })
    }

    fn at(rules: &mut Rules, frame: &mut [u8], now: u64) -> u64 {
        match rules.decide(frame, now, |_, _| {}) {
            Fate::Release(release) => release.at,
            fate => panic!("{fate:?}"),
        }
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn delays_add_up_and_links_queue() {
        let mut table = LineTable::new();
        table.set(3, 0, megabit());
        table.set(3, 4, delay(100, 0));
        table.set(
            3,
            31,
            Model::Reorder {
                latency: Duration::from_millis(7),
            },
        );
        let mut rules = Rules::new(&table);
        // 125 bytes take 1 ms at 1 Mbit/s.
        let mut both = frame(3, 1 << 31 | 1 << 4 | 1, 125);
        assert_eq!(at(&mut rules, &mut both, 5 * MS), (5 + 1 + 107) * MS);
        assert_eq!(at(&mut rules, &mut both, 5 * MS), (5 + 2 + 107) * MS);
        assert_eq!(at(&mut rules, &mut frame(3, 1 << 4, 125), 5 * MS), 105 * MS);
        assert_eq!(at(&mut rules, &mut frame(3, 1, 125), 5 * MS), 8 * MS);
    }

    /// A link goes on where it was, frames that came before keep their place, and a rule that is not there stays so.
    #[test]
    fn a_change_is_for_the_frames_that_come_after_it() {
        let mut table = LineTable::new();
        table.set(3, 0, megabit());
        table.set(3, 4, delay(100, 0));
        table.set_ramping(3, 4);
        let mut rules = Rules::new(&table);
        // 125 bytes take 1 ms at 1 Mbit/s.
        assert_eq!(at(&mut rules, &mut frame(3, 1, 125), 0), MS);
        let half = Model::Bandwidth(Bandwidth {
            bits_per_second: NonZeroU64::new(500_000).unwrap(),
        });
        rules.change(rule_id(3, 0), half);
        assert_eq!(at(&mut rules, &mut frame(3, 1, 125), 0), 3 * MS);
        assert_eq!(at(&mut rules, &mut frame(3, 1 << 4, 60), 10 * MS), 110 * MS);
        rules.change(rule_id(3, 4), delay(20, 0));
        assert_eq!(at(&mut rules, &mut frame(3, 1 << 4, 60), 20 * MS), 110 * MS);
        assert_eq!(at(&mut rules, &mut frame(3, 1 << 4, 60), 95 * MS), 115 * MS);
        rules.change(rule_id(9, 9), delay(20, 0));
        assert_eq!(at(&mut rules, &mut frame(9, 1 << 9, 60), 7), 7);
    }

    #[test]
    fn a_rule_that_is_not_there_lets_go() {
        let mut table = LineTable::new();
        table.set(3, 4, delay(100, 0));
        let mut rules = Rules::new(&table);
        assert_eq!(at(&mut rules, &mut frame(4, 1 << 4, 60), 9), 9);
        assert_eq!(at(&mut rules, &mut frame(3, 1 << 5, 60), 9), 9);
        assert_eq!(at(&mut rules, &mut frame(3, 0, 60), 9), 9);
    }

    #[test]
    fn each_direction_has_a_link_of_its_own() {
        let mut table = LineTable::new();
        table.set(0, 0, megabit());
        let mut rules = Rules::new(&table);
        let (mut out, mut back) = (frame(0, 1, 125), frame_to(Direction::Ingress, 0, 1, 125));
        for n in 1..4 {
            assert_eq!(at(&mut rules, &mut out, 0), n * MS);
            assert_eq!(at(&mut rules, &mut back, 0), n * MS);
        }
    }

    #[test]
    fn a_full_queue_loses_frames() {
        let mut table = LineTable::new();
        table.set(0, 0, megabit());
        let mut rules = Rules::new(&table);
        let mut large = frame(0, 1, 62_500);
        for _ in 0..3 {
            assert!(matches!(
                rules.decide(&mut large, 0, |_, _| {}),
                Fate::Release(_)
            ));
        }
        assert_eq!(rules.decide(&mut large, 0, |_, _| {}), Fate::QueueFull);
        assert!(matches!(
            rules.decide(&mut large, 501 * MS, |_, _| {}),
            Fate::Release(_)
        ));
    }

    proptest! {
        /// Any mix of rules without jitter keeps the order of frames that go through the same ones.
        #[test]
        fn without_jitter_frames_keep_their_order(
            models in prop::collection::vec(0u64..4, 1..6),
            frames in prop::collection::vec((0u64..50 * MS, 14usize..3000), 2..60),
        ) {
            let mut table = LineTable::new();
            for (slot, kind) in models.iter().enumerate() {
                let model = match kind {
                    0 => megabit(),
                    1 => Model::Reorder { latency: Duration::from_millis(3) },
                    2 => Model::WireCorrupt { seed: 3 },
                    _ => delay(10, 0),
                };
                table.set(0, slot as u32, model);
            }
            let (mut rules, mut now, mut last) = (Rules::new(&table), 0, 0);
            for (gap, len) in frames {
                now += gap;
                if let Fate::Release(release) =
                    rules.decide(&mut frame(0, (1 << models.len()) - 1, len), now, |_, _| {})
                {
                    prop_assert!(release.at >= last && release.at >= now);
                    last = release.at;
                }
            }
        }

        /// With jitter, and however wide, frames of a connection keep their order; and what came after a pause
        /// that is longer than any draw waits for exactly what it has drawn.
        #[test]
        fn with_jitter_frames_keep_their_order(
            latency in 0u64..50,
            jitter in 1u64..100,
            gaps in prop::collection::vec(0u64..20 * MS, 2..60),
        ) {
            let mut table = LineTable::new();
            table.set(0, 0, delay(latency, jitter));
            let Model::Delay(alone) = delay(latency, jitter) else { unreachable!() };
            let (mut rules, mut draws) = (Rules::new(&table), Draws::default());
            let (mut now, mut last) = (0, 0);
            for gap in gaps {
                now += gap;
                let drawn = now + hold(&alone, &mut draws);
                let out = at(&mut rules, &mut frame(0, 1, 60), now);
                prop_assert_eq!(out, drawn.max(last));
                last = out;
            }
            // Four deviations at most.
            now = last + (latency + 4 * jitter) * MS;
            let drawn = now + hold(&alone, &mut draws);
            prop_assert_eq!(at(&mut rules, &mut frame(0, 1, 60), now), drawn);
        }

        #[test]
        fn no_frame_goes_before_it_came(bytes in prop::collection::vec(any::<u8>(), 0..200), now: u32) {
            let mut table = LineTable::new();
            for (scope, slot) in (0..64).flat_map(|scope| (0..32).map(move |slot| (scope, slot))) {
                table.set(scope, slot, delay(5, 50));
            }
            let mut bytes = bytes;
            if let Fate::Release(release) = Rules::new(&table).decide(&mut bytes, now.into(), |_, _| {}) {
                prop_assert!(release.at >= now.into() && release.len <= bytes.len());
            }
        }
    }
}
