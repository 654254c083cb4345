//! Where the bytes of held frames wait: chunks of memory with a cap.
//!
//! A frame is read from the TAP straight into the open chunk, behind the frames before it, and written
//! from there. A chunk is used again as soon as all its frames have gone, the one that was freed last
//! first, so that a light load stays in the CPU's caches. A frame that waits much longer than those
//! around it would pin its chunk; when chunks run out, the emptiest one is cleared by moving its few
//! frames, if at least half of it is free. So at least half the cap always serves.
//!
//! Rejected: one ring for all, which a single long-held frame blocks as a whole, and in which a light
//! load still walks through all the memory (cold caches cost a third of the throughput); buffers of one
//! size, which waste 64 KiB on a datagram of 64 bytes; `malloc` per frame.
#![expect(
    clippy::cast_possible_truncation,
    reason = "places and lengths are bounded to 32 bits when the store is made"
)]

use super::{vnet::LARGEST, wheel::Key};

/// Bytes of a chunk. Up to one largest frame of it stays unused.
pub const CHUNK: usize = 1 << 20;

/// In front of each frame: its key in the wheel and its length, four bytes each.
const HEADER: usize = 8;

/// Frames start at multiples of this: a cache line.
const ALIGN: usize = 64;

/// In place of the key of a frame that has gone.
const GONE: u32 = u32::MAX;

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(u32);

/// The bytes of all held frames.
#[derive(Debug)]
pub struct Store {
    bytes: Box<[u8]>,
    chunks: Vec<Chunk>,
    /// Empty chunks; the last one was freed last.
    free: Vec<usize>,
    /// The chunk that frames are read into.
    open: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Chunk {
    /// Bytes from its start that hold frames, held or gone.
    filled: usize,
    /// Bytes of held frames.
    live: usize,
}

impl Store {
    /// A store of at most `cap` bytes, and of two chunks at least. The kernel gives the memory only when
    /// it is used.
    pub fn new(cap: usize) -> Self {
        // Places are 32-bit numbers.
        let count = (cap / CHUNK).clamp(2, u32::MAX as usize / CHUNK);
        Self {
            bytes: vec![0; count * CHUNK].into_boxed_slice(),
            chunks: vec![Chunk::default(); count],
            free: (1..count).rev().collect(),
            open: 0,
        }
    }

    /// Makes room for the next frame; `false` if there is none. Frames may move for it: `moved` is told
    /// the keys and new places.
    pub fn make_room(&mut self, moved: impl FnMut(Key, At)) -> bool {
        if CHUNK - self.chunks[self.open].filled >= block(LARGEST) {
            return true;
        }
        // The last free chunk is kept, so that there is always one to move frames to.
        if self.free.len() > 1 {
            self.open = self.free.pop().unwrap_or(self.open);
            return true;
        }
        self.clear_emptiest(moved)
    }

    /// Room for the largest frame, after [`Store::make_room`]. What is read here and not
    /// [committed](Store::commit) is forgotten.
    pub fn room(&mut self) -> &mut [u8] {
        let start = self.next();
        &mut self.bytes[start..start + LARGEST]
    }

    /// Where the frame in [`Store::room`] will stand.
    pub fn next_at(&self) -> At {
        // Smaller than the store, whose places fit.
        At(self.next() as u32)
    }

    /// Keeps the first `len` bytes of [`Store::room`].
    pub fn commit(&mut self, len: usize, key: Key) {
        let at = self.next();
        self.write_header(at, key.0, len);
        let chunk = &mut self.chunks[self.open];
        chunk.filled += block(len);
        chunk.live += block(len);
    }

    /// The frame that stands there.
    pub fn frame(&self, at: At) -> &[u8] {
        let at = at.0 as usize;
        &self.bytes[at..at + self.read_header(at).1]
    }

    /// Forgets the frame that stands there.
    pub fn release(&mut self, at: At) {
        let at = at.0 as usize;
        let (_, len) = self.read_header(at);
        self.write_header(at, GONE, len);
        let index = at / CHUNK;
        let chunk = &mut self.chunks[index];
        chunk.live -= block(len);
        if chunk.live == 0 {
            chunk.filled = 0;
            if index != self.open {
                self.free.push(index);
            }
        }
    }

    /// Moves the frames of the emptiest chunk to the kept one and opens that.
    fn clear_emptiest(&mut self, mut moved: impl FnMut(Key, At)) -> bool {
        let candidates = self.chunks.iter().enumerate();
        let emptiest = candidates
            .filter(|(index, chunk)| chunk.live > 0 && *index != self.open)
            .chain([(self.open, &self.chunks[self.open])])
            .min_by_key(|(_, chunk)| chunk.live)
            .filter(|(_, chunk)| chunk.live <= CHUNK / 2);
        let (Some((from, chunk)), Some(to)) = (emptiest, self.free.last().copied()) else {
            return false;
        };
        let end = from * CHUNK + chunk.filled;
        let mut at = from * CHUNK + HEADER;
        self.free.pop();
        self.open = to;
        while at < end {
            let (key, len) = self.read_header(at);
            if key != GONE {
                let start = self.next();
                self.bytes.copy_within(at..at + len, start);
                let place = self.next_at();
                self.commit(len, Key(key));
                moved(Key(key), place);
            }
            at += block(len);
        }
        self.chunks[from] = Chunk::default();
        self.free.push(from);
        true
    }

    fn next(&self) -> usize {
        self.open * CHUNK + self.chunks[self.open].filled + HEADER
    }

    fn write_header(&mut self, at: usize, key: u32, len: usize) {
        // A frame is far below 4 GiB.
        let header = u64::from(key) << 32 | len as u64;
        self.bytes[at - HEADER..at].copy_from_slice(&header.to_ne_bytes());
    }

    fn read_header(&self, at: usize) -> (u32, usize) {
        let mut header = [0; HEADER];
        header.copy_from_slice(&self.bytes[at - HEADER..at]);
        let header = u64::from_ne_bytes(header);
        ((header >> 32) as u32, header as u32 as usize)
    }
}

/// Bytes that a frame of `len` takes.
const fn block(len: usize) -> usize {
    (HEADER + len).next_multiple_of(ALIGN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Fills the next frame with a pattern of its own; `false` if there was no room.
    fn put(store: &mut Store, held: &mut HashMap<u32, (At, usize)>, key: u32, len: usize) -> bool {
        if !store.make_room(|key, at| held.get_mut(&key.0).unwrap().0 = at) {
            return false;
        }
        store.room()[..len].fill(key as u8);
        held.insert(key, (store.next_at(), len));
        store.commit(len, Key(key));
        true
    }

    fn check(store: &Store, held: &HashMap<u32, (At, usize)>) {
        for (key, (at, len)) in held {
            assert_eq!(store.frame(*at).len(), *len);
            assert!(
                store.frame(*at).iter().all(|byte| *byte == *key as u8),
                "frame {key}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Against a map: whatever goes in is found unchanged until it is released, in any order.
        #[test]
        fn keeps_every_byte(
            steps in prop::collection::vec((0usize..LARGEST, any::<prop::sample::Index>(), 0u8..3), 1..300),
        ) {
            let mut store = Store::new(3 * CHUNK);
            let mut held = HashMap::new();
            for (key, (len, pick, kind)) in steps.into_iter().enumerate() {
                if kind > 0 {
                    let live: usize = held.values().map(|(_, len)| block(*len)).sum();
                    let room = put(&mut store, &mut held, key as u32, len);
                    // Half of all but the kept chunk always serves.
                    prop_assert!(room || live > CHUNK / 2, "no room with {live} held");
                } else if !held.is_empty() {
                    let mut keys: Vec<u32> = held.keys().copied().collect();
                    keys.sort_unstable();
                    let (at, _) = held.remove(&keys[pick.index(keys.len())]).unwrap();
                    store.release(at);
                }
            }
            check(&store, &held);
        }
    }

    #[test]
    fn long_held_frames_do_not_block_the_rest() {
        // Every hundredth frame stays for good; far more than the cap passes beside them.
        let mut store = Store::new(4 * CHUNK);
        let mut held = HashMap::new();
        for key in 0..20_000 {
            assert!(put(&mut store, &mut held, key, 5_000), "blocked at {key}");
            if key % 100 != 0 || key > 15_000 {
                store.release(held.remove(&key).unwrap().0);
            }
        }
        assert_eq!(held.len(), 151);
        check(&store, &held);
    }

    #[test]
    fn a_full_store_refuses_and_recovers() {
        let mut store = Store::new(2 * CHUNK);
        let mut held = HashMap::new();
        let mut key = 0;
        while put(&mut store, &mut held, key, LARGEST) {
            key += 1;
        }
        assert_eq!(key as usize, CHUNK / block(LARGEST));
        check(&store, &held);
        for (at, _) in std::mem::take(&mut held).into_values() {
            store.release(at);
        }
        assert!(put(&mut store, &mut held, key, LARGEST));
    }

    #[test]
    fn a_light_load_stays_in_one_chunk() {
        let mut store = Store::new(64 * CHUNK);
        let mut held = HashMap::new();
        for key in 0..10_000 {
            assert!(put(&mut store, &mut held, key, 60_000));
            let (at, _) = held.remove(&key).unwrap();
            assert!((at.0 as usize) < CHUNK);
            store.release(at);
        }
    }
}
