//! When each held frame goes on: a timer wheel.
//!
//! Two levels of 4096 slots: ticks of 50 µs in the near one, which spans 0.2 s, and whole spans in the
//! far one, which reaches 14 minutes. An entry is put in and taken out in constant time, and moves once,
//! from the far level to the near one, when its span begins. Entries of one tick come out in the order
//! in which they went in: a span's far entries move before any new entry can join them.
//!
//! All entries live in one preallocated slab, linked by their numbers; nothing is allocated after
//! [`Wheel::new`]. A heap was rejected for its logarithm and because it keeps no order among equals; one
//! level with rounds because every turn would visit entries that are not due.
#![expect(
    clippy::cast_possible_truncation,
    reason = "slots are below 4096 and entries are numbered in 32 bits"
)]

/// The length of a tick in nanoseconds. Frames come out at most this much late, and never early.
pub const TICK_NS: u64 = 50_000;

/// Slots of a level.
const SLOTS: u64 = 4096;

/// Words of a level's map of occupied slots.
const WORDS: usize = SLOTS as usize / 64;

/// The longest that an entry can wait, in nanoseconds; what is due later comes out then.
pub const HORIZON_NS: u64 = (SLOTS - 1) * SLOTS * TICK_NS;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// The number of an entry while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub u32);

/// Entries in the order of their times.
#[derive(Debug)]
pub struct Wheel<T> {
    nodes: Vec<Node<T>>,
    capacity: usize,
    free: u32,
    len: usize,
    near: Level,
    far: Level,
    /// The tick that was asked for last: nothing waits for an earlier one.
    cursor: u64,
}

#[derive(Debug)]
struct Node<T> {
    tick: u64,
    next: u32,
    value: T,
}

impl<T: Copy> Wheel<T> {
    /// A wheel for at most `capacity` entries at a time, none of which is due before `now_ns`.
    pub fn new(capacity: usize, now_ns: u64) -> Self {
        let capacity = capacity.min(NONE as usize);
        Self {
            // Not touched until used, so the kernel gives the memory only then.
            nodes: Vec::with_capacity(capacity),
            capacity,
            free: NONE,
            len: 0,
            near: Level::new(),
            far: Level::new(),
            cursor: now_ns / TICK_NS,
        }
    }

    /// How many entries wait.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lets `value` wait until `due_ns`; `None` if the wheel is full.
    pub fn insert(&mut self, due_ns: u64, value: T) -> Option<Key> {
        let last = (self.cursor / SLOTS + SLOTS) * SLOTS - 1;
        let tick = due_ns.div_ceil(TICK_NS).clamp(self.cursor, last);
        let node = Node {
            tick,
            next: NONE,
            value,
        };
        let index = if self.free != NONE {
            let index = self.free;
            self.free = self.nodes[index as usize].next;
            self.nodes[index as usize] = node;
            index
        } else if self.nodes.len() < self.capacity {
            self.nodes.push(node);
            // `capacity` is at most NONE, which fits.
            (self.nodes.len() - 1) as u32
        } else {
            return None;
        };
        self.len += 1;
        self.place(index);
        Some(Key(index))
    }

    /// The entry that waits under `key`.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.nodes
            .get_mut(key.0 as usize)
            .map(|node| &mut node.value)
    }

    /// Takes the next entry that is due at `now_ns`, with the time for which it waited.
    pub fn pop(&mut self, now_ns: u64) -> Option<(u64, T)> {
        let now = now_ns / TICK_NS;
        loop {
            let span = self.cursor / SLOTS;
            if let Some(slot) = self.near.first_from(self.cursor % SLOTS) {
                let tick = span * SLOTS + slot;
                if tick > now {
                    self.cursor = self.cursor.max(now);
                    return None;
                }
                self.cursor = tick;
                return self.take(slot);
            }
            match self.next_span() {
                Some(next) if next * SLOTS <= now => {
                    self.cursor = next * SLOTS;
                    self.begin_span(next);
                }
                _ => {
                    self.cursor = self.cursor.max(now);
                    return None;
                }
            }
        }
    }

    /// When [`Wheel::pop`] should be called next, in nanoseconds: no later than the next entry is due,
    /// and earlier only once a span.
    pub fn next_ns(&self) -> Option<u64> {
        self.near
            .first_from(self.cursor % SLOTS)
            .map(|slot| self.cursor / SLOTS * SLOTS + slot)
            .or_else(|| self.next_span().map(|span| span * SLOTS))
            .map(|tick| tick * TICK_NS)
    }

    /// Takes the next entry, due or not.
    pub fn pop_any(&mut self) -> Option<(u64, T)> {
        while let Some(next) = self.next_ns() {
            if let Some(entry) = self.pop(next) {
                return Some(entry);
            }
        }
        None
    }

    fn take(&mut self, slot: u64) -> Option<(u64, T)> {
        let index = self.near.lists[slot as usize].first;
        let node = self.nodes.get_mut(index as usize)?;
        let (tick, value) = (node.tick, node.value);
        self.near.set_first(slot, node.next);
        node.next = self.free;
        self.free = index;
        self.len -= 1;
        Some((tick * TICK_NS, value))
    }

    /// Links an entry into the list of its tick or span.
    fn place(&mut self, index: u32) {
        let tick = self.nodes[index as usize].tick;
        let (level, slot) = if tick / SLOTS == self.cursor / SLOTS {
            (&mut self.near, tick % SLOTS)
        } else {
            (&mut self.far, tick / SLOTS % SLOTS)
        };
        if let Some(last) = level.append(slot, index) {
            self.nodes[last as usize].next = index;
        }
    }

    /// The first span after the cursor's that has entries.
    fn next_span(&self) -> Option<u64> {
        let from = self.cursor / SLOTS + 1;
        let slot = from % SLOTS;
        let around = || {
            self.far
                .first_from(0)
                .map(|found| from + found + SLOTS - slot)
        };
        self.far
            .first_from(slot)
            .map(|found| from + found - slot)
            .or_else(around)
    }

    /// Moves the entries of the cursor's span to the near level, in order.
    fn begin_span(&mut self, span: u64) {
        let mut index = self.far.lists[(span % SLOTS) as usize].first;
        self.far.set_first(span % SLOTS, NONE);
        while index != NONE {
            let next = std::mem::replace(&mut self.nodes[index as usize].next, NONE);
            self.place(index);
            index = next;
        }
    }
}

#[derive(Debug)]
struct Level {
    lists: Box<[List]>,
    /// One bit a slot: it has entries.
    occupied: [u64; WORDS],
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

impl Level {
    fn new() -> Self {
        let empty = List {
            first: NONE,
            last: NONE,
        };
        Self {
            lists: vec![empty; SLOTS as usize].into_boxed_slice(),
            occupied: [0; WORDS],
        }
    }

    /// Makes `index` the last of its slot and returns the one before it.
    fn append(&mut self, slot: u64, index: u32) -> Option<u32> {
        let list = &mut self.lists[slot as usize];
        let before = std::mem::replace(&mut list.last, index);
        if list.first == NONE {
            list.first = index;
            self.occupied[slot as usize / 64] |= 1 << (slot % 64);
            return None;
        }
        Some(before)
    }

    /// Makes `first` the first of its slot, or the slot empty.
    fn set_first(&mut self, slot: u64, first: u32) {
        self.lists[slot as usize].first = first;
        if first == NONE {
            self.occupied[slot as usize / 64] &= !(1 << (slot % 64));
        }
    }

    /// The first occupied slot from `slot` on.
    fn first_from(&self, slot: u64) -> Option<u64> {
        let start = slot as usize / 64;
        let head = self.occupied[start] & (u64::MAX << (slot % 64));
        if head != 0 {
            return Some(start as u64 * 64 + u64::from(head.trailing_zeros()));
        }
        let word = (start + 1..WORDS).find(|word| self.occupied[*word] != 0)?;
        Some(word as u64 * 64 + u64::from(self.occupied[word].trailing_zeros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Insert { in_ns: u64 },
        Advance { by_ns: u64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Short, long and beyond-a-span delays; small steps, leaps, and a suspended host.
        let delay = prop_oneof![
            0..300_000u64,
            0..300_000_000u64,
            0..90_000_000_000u64,
            Just(0u64)
        ];
        let leap = prop_oneof![
            0..200_000u64,
            0..250_000_000u64,
            0..70_000_000_000u64,
            Just(49_999u64)
        ];
        prop::collection::vec(
            prop_oneof![
                3 => delay.prop_map(|in_ns| Step::Insert { in_ns }),
                1 => leap.prop_map(|by_ns| Step::Advance { by_ns }),
            ],
            1..300,
        )
    }

    proptest! {
        /// Against a sorted map of (tick, sequence): same entries, same order, never early, none lost,
        /// and the next time asked for is never too late.
        #[test]
        fn behaves_as_a_sorted_map(start in 0..u64::from(u32::MAX) * 1000, steps in steps()) {
            let mut wheel = Wheel::new(1000, start);
            let mut model = BTreeMap::new();
            let mut now = start;
            for (sequence, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert { in_ns } => {
                        wheel.insert(now + in_ns, sequence).unwrap();
                        model.insert(((now + in_ns).div_ceil(TICK_NS), sequence), now + in_ns);
                    }
                    Step::Advance { by_ns } => {
                        now += by_ns;
                        while let Some((due, value)) = wheel.pop(now) {
                            let ((tick, sequence), asked) = model.pop_first().unwrap();
                            prop_assert_eq!((due, value), (tick * TICK_NS, sequence));
                            prop_assert!(asked <= now && now >= due);
                        }
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                if let Some(((tick, _), _)) = model.first_key_value() {
                    prop_assert!(wheel.next_ns().unwrap() <= tick * TICK_NS);
                    prop_assert!(tick * TICK_NS > now || *tick == now.div_ceil(TICK_NS)
                        || matches!(wheel.next_ns(), Some(next) if next <= now.next_multiple_of(TICK_NS)));
                } else {
                    prop_assert_eq!(wheel.next_ns(), None);
                }
            }
            while let Some((_, value)) = wheel.pop_any() {
                prop_assert_eq!(value, model.pop_first().unwrap().0.1);
            }
            prop_assert!(model.is_empty() && wheel.is_empty());
        }
    }

    #[test]
    fn a_full_wheel_refuses_and_recovers() {
        let mut wheel = Wheel::new(2, 0);
        assert!(wheel.insert(1, 'a').is_some());
        assert!(wheel.insert(1, 'b').is_some());
        assert!(wheel.insert(1, 'c').is_none());
        assert_eq!(wheel.pop(TICK_NS).unwrap().1, 'a');
        assert!(wheel.insert(1, 'd').is_some());
        assert_eq!(wheel.pop_any().unwrap().1, 'b');
        assert_eq!(wheel.pop_any().unwrap().1, 'd');
    }

    #[test]
    fn what_is_due_beyond_the_horizon_comes_out_at_it() {
        let mut wheel = Wheel::new(2, 0);
        wheel.insert(u64::MAX, 'x').unwrap();
        assert!(wheel.pop(HORIZON_NS - 1).is_none());
        assert!(wheel.pop(HORIZON_NS + SLOTS * TICK_NS).is_some());
    }

    #[test]
    fn waiting_for_a_far_entry_wakes_once_a_span() {
        let mut wheel = Wheel::new(1, 0);
        let due = 60_000_000_000;
        wheel.insert(due, ()).unwrap();
        let mut wakes = 0;
        while wheel.pop(wheel.next_ns().unwrap()).is_none() {
            wakes += 1;
        }
        assert!(wakes <= 1, "{wakes}");
    }
}
