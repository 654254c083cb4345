//! The mark on a packet that a device's program has met: `__sk_buff::tc_index`, which the kernel itself uses
//! in a few old queueing disciplines alone.
//!
//! A packet may pass several devices of one namespace (macvlan, ipvlan, VLAN and what lies below them, a
//! tunnel and the device that carries it), and is judged at the first. The mark names that device, so that the
//! programs of several runs, which all stand at it, agree without knowing of each other. Each direction has
//! its own kind, because a packet on `lo` leaves and arrives as one.
//!
//! What a run gives back to a device's ingress (a frame of its delay line's, or a copy) passes all programs of that device
//! again, from the first. Its mark names the run by the TAP that each such run has in the namespace: the run's own program
//! lets it by and passes it on as met here, those in front of that have met it already, and those behind it meet it next. A mark
//! without the name let two runs give each other's frames back without end.

use crate::frame::Direction;

/// What tells the kinds apart; no kind at all is the kernel's own.
const KINDS: u32 = 0xc000;

/// The kind of what a run gives back.
const RETURNED: u32 = 0x4000;

const fn kind(direction: Direction) -> u32 {
    match direction {
        Direction::Egress => 0x8000,
        Direction::Ingress => 0xc000,
    }
}

/// The mark of what the run with this TAP gives back to a device's ingress.
#[inline(always)]
#[must_use]
pub const fn returned_by(tap: u32) -> u32 {
    RETURNED | (tap & !KINDS & 0xffff)
}

/// Whether some run has given it back.
#[inline(always)]
const fn is_returned(mark: u32) -> bool {
    mark & KINDS == RETURNED
}

/// What a run's program at a device's ingress does with a packet that has this mark: `None` is meeting it, and a mark is
/// letting it by with that. `own` is the mark of what the run gives back, which only a packet of that kind is asked about.
#[inline(always)]
#[must_use]
pub fn let_by(mark: u32, ifindex: u32, own: impl FnOnce() -> u32) -> Option<u32> {
    if is_returned(mark) {
        let is_own = mark == own();
        return Some(if is_own {
            met_at(Direction::Ingress, ifindex)
        } else {
            mark
        });
    }
    is_met_elsewhere(mark, Direction::Ingress, ifindex).then_some(mark)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn directions() -> impl Strategy<Value = Direction> {
        prop::sample::select(vec![Direction::Egress, Direction::Ingress])
    }

    #[test]
    fn nothing_and_returned_are_no_meeting() {
        for mark in [0, returned_by(0), returned_by(7)] {
            assert!(!is_met(mark, Direction::Egress) && !is_met(mark, Direction::Ingress));
            assert_eq!(is_returned(mark), mark != 0);
        }
    }

    /// A device's programs in their order, each of a run that has its own TAP and gives back what it meets; how often each
    /// has met one packet.
    fn meetings(taps: &[u32]) -> Vec<u32> {
        let mut met = vec![0; taps.len()];
        let mut mark = 0;
        'arrives: loop {
            for (place, tap) in taps.iter().enumerate() {
                if let Some(passed) = let_by(mark, 1, || returned_by(*tap)) {
                    mark = passed;
                    continue;
                }
                met[place] += 1;
                assert!(met[place] < 3, "without end: {met:?}");
                mark = returned_by(*tap);
                continue 'arrives;
            }
            return met;
        }
    }

    proptest! {
        /// However many runs stand at a device, each meets a packet once.
        #[test]
        fn what_runs_give_back_is_met_once_by_each(
            taps in prop::collection::hash_set(1u32..16_384, 1..9),
        ) {
            let taps: Vec<u32> = taps.into_iter().collect();
            prop_assert_eq!(meetings(&taps), vec![1; taps.len()]);
        }

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
            prop_assert!(!is_returned(mark));
        }
    }
}
