//! The mark on a packet that a device's program has met: `__sk_buff::tc_index`, which the kernel itself uses
//! in a few old queueing disciplines alone.
//!
//! A packet may pass several devices of one namespace (macvlan, ipvlan, VLAN and what lies below them, a
//! tunnel and the device that carries it), and is judged at the first. The mark names that device, so that the
//! programs of several runs, which all stand at it, agree without knowing of each other. Each direction has
//! its own kind, because a packet on `lo` leaves and arrives as one.

use crate::frame::Direction;

/// A frame of the delay line's on its way in, or a copy: it is let by once.
pub const RETURNED: u32 = 0x1a9e;

/// What tells the kinds apart.
const KINDS: u32 = 0xc000;

const fn kind(direction: Direction) -> u32 {
    match direction {
        Direction::Egress => 0x8000,
        Direction::Ingress => 0xc000,
    }
}

/// The mark of a packet that is met at this device.
#[inline(always)]
#[must_use]
pub const fn met_at(direction: Direction, ifindex: u32) -> u32 {
    kind(direction) | (ifindex & !KINDS & 0xffff)
}

/// Whether a packet with this mark was met on its way in this direction.
#[inline(always)]
#[must_use]
pub const fn is_met(mark: u32, direction: Direction) -> bool {
    mark & KINDS == kind(direction)
}

/// Whether it was met at another device than this one.
#[inline(always)]
#[must_use]
pub const fn is_met_elsewhere(mark: u32, direction: Direction, ifindex: u32) -> bool {
    is_met(mark, direction) && mark != met_at(direction, ifindex)
}

const _: () = assert!(RETURNED & KINDS == 0);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn directions() -> impl Strategy<Value = Direction> {
        prop::sample::select(vec![Direction::Egress, Direction::Ingress])
    }

    #[test]
    fn nothing_and_returned_are_no_meeting() {
        for mark in [0, RETURNED] {
            assert!(!is_met(mark, Direction::Egress) && !is_met(mark, Direction::Ingress));
        }
    }

    proptest! {
        /// All programs of the first device meet the packet, those of the next do not, and the other direction is
        /// not concerned. Marks have sixteen bits.
        #[test]
        fn a_packet_is_met_at_one_device(
            direction in directions(), other in directions(), first in 1u32..16_384, next in 1u32..16_384,
        ) {
            let mark = met_at(direction, first);
            prop_assert!(u16::try_from(mark).is_ok());
            prop_assert!(!is_met_elsewhere(mark, direction, first));
            prop_assert_eq!(is_met_elsewhere(mark, other, next), other == direction && next != first);
            prop_assert_eq!(is_met(mark, other), other == direction);
        }
    }
}
