//! Keeps the packets of a connection in the order in which they came, though each draws its own delay.
//!
//! A network whose latency varies does so because a queue grows and shrinks, and a queue keeps its order.
//! netem does not, and its users meet TCP that takes jitter for loss; a person who wants packets out of
//! order asks for `net reorder`. A frame that would overtake an earlier one of its connection goes on
//! together with it instead. Frames that are further apart than their draws keep exactly what they have
//! drawn, and connections do not wait for each other.
//!
//! One lane for all frames was rejected: a target with many connections would see nothing but the largest
//! draws. Lanes are found by a hash in a table of fixed size; connections that share a lane keep order among
//! each other too, which costs the distribution a little and breaks no promise.

use injector_common::frame::Direction;

use super::packet::{IpVersion, Packet, TCP, UDP};

/// Lanes of a rule: 32 KiB of times.
const LANES: usize = 4096;

/// Which lane a frame takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane(usize);

impl Lane {
    /// The lane of a frame: that of its connection. What has no ports (ICMP, fragments) shares one for each
    /// pair of addresses, and what is no IP packet one for each direction.
    pub fn of(frame: &[u8], direction: Direction) -> Self {
        let mut hash = Fnv::new();
        hash.write(&[direction as u8]);
        if let Some(packet) = Packet::find(frame) {
            let (addresses, length) = match packet.version {
                IpVersion::V4 => (packet.ip + 12, 8),
                IpVersion::V6 => (packet.ip + 8, 32),
            };
            hash.write(&[packet.protocol]);
            hash.write(frame.get(addresses..addresses + length).unwrap_or_default());
            if matches!(packet.protocol, TCP | UDP) {
                let ports = packet.layer4..packet.layer4 + 4;
                hash.write(frame.get(ports).unwrap_or_default());
            }
        }
        Self(hash.below(LANES))
    }
}

/// When the last frame of each lane goes on.
#[derive(Debug)]
pub struct Order {
    last: Box<[u64]>,
}

impl Default for Order {
    /// Nothing has gone before.
    fn default() -> Self {
        Self {
            last: vec![0; LANES].into_boxed_slice(),
        }
    }
}

impl Order {
    /// When a frame goes on that has drawn `at`: then, or with the last frame of its lane.
    pub fn behind(&mut self, lane: Lane, at: u64) -> u64 {
        let last = &mut self.last[lane.0];
        *last = at.max(*last);
        *last
    }
}

/// FNV-1a: a few bytes, no keys; it does not matter which connections collide.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the remainder is below a usize"
    )]
    const fn below(&self, n: usize) -> usize {
        ((self.0 ^ self.0 >> 32) % n as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delay_line::vnet::VNET;
    use proptest::prelude::*;

    /// A TCP frame over IPv4 from this port.
    fn frame(port: u16) -> Vec<u8> {
        let mut frame = vec![0; VNET + 14 + 40];
        frame[VNET + 12..VNET + 14].copy_from_slice(&[8, 0]);
        frame[VNET + 14] = 0x45;
        frame[VNET + 14 + 3] = 40;
        frame[VNET + 14 + 9] = TCP;
        frame[VNET + 34..VNET + 36].copy_from_slice(&port.to_be_bytes());
        frame
    }

    #[test]
    fn connections_and_directions_have_lanes_of_their_own() {
        let lane = |port, direction| Lane::of(&frame(port), direction);
        let one = lane(1, Direction::Egress);
        assert_eq!(one, lane(1, Direction::Egress));
        assert_ne!(one, lane(2, Direction::Egress));
        assert_ne!(one, lane(1, Direction::Ingress));
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_lane(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Lane::of(&bytes, Direction::Egress).0 < LANES);
        }

        /// A frame goes on when the latest that was drawn in its lane so far goes on, and never waits for
        /// another lane.
        #[test]
        fn a_lane_goes_by_its_latest_draw(draws in prop::collection::vec((0usize..3, any::<u32>()), 1..100)) {
            let mut order = Order::default();
            let mut model = [0u64; 3];
            for (lane, at) in draws {
                model[lane] = model[lane].max(at.into());
                prop_assert_eq!(order.behind(Lane(lane), at.into()), model[lane]);
            }
        }
    }
}
