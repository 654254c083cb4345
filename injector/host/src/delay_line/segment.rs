//! Damage as a wire does it: one bit of one segment is wrong, and its checksum is not.
//!
//! A frame between local sockets has no checksum yet, and no receiver checks it; one on its way to a network
//! card may get its checksum there, after us. So the frame is first made what the wire would carry:
//! cut into segments with complete checksums, as the card would do. Then one bit is flipped, and the
//! segments go on behind an all-zero `virtio_net_hdr`, which makes the receiver verify them.
//!
//! A single bit changes a ones' complement sum by a power of two, which is never a multiple of 65535, so
//! the damage cannot cancel itself. UDP over IPv4 without a checksum gets one, or its damage would be
//! read. Where no checksum that we know could tell (fragments, other protocols), the frame is lost
//! instead: a wire's frame check would have dropped it.
#![expect(
    clippy::cast_possible_truncation,
    reason = "a segment's lengths fit 16 bits, and random bits are cut to size"
)]

use super::{
    checksum,
    packet::{IpVersion, Packet, TCP, UDP, half, set_half},
    vnet::{Gso, LARGEST, VNET, VnetHeader},
};

/// TCP flags that only the last segment keeps: FIN and PSH.
const LAST_ONLY: u8 = 0x09;

/// The TCP flag that only the first segment keeps: CWR.
const FIRST_ONLY: u8 = 0x80;

/// Where a segment is put together.
#[derive(Debug)]
pub struct Scratch(Box<[u8]>);

impl Scratch {
    /// Room for the largest segment.
    pub fn new() -> Self {
        Self(vec![0; LARGEST].into_boxed_slice())
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// Cuts `frame` into segments, damages the one that the random number `draw` names, and hands all of
/// them out in order, the last one marked as such. Hands out nothing if the frame is lost instead.
pub fn damage(frame: &[u8], draw: u64, scratch: &mut Scratch, mut emit: impl FnMut(&[u8], bool)) {
    let Some(train) = Train::of(frame) else {
        return;
    };
    let chosen = (draw >> 32) as usize % train.count();
    for number in 0..train.count() {
        let segment = train.build(number, scratch);
        if number == chosen {
            let bits = train.damageable(segment.len());
            let bit = draw as u32 as usize % (bits.len() * 8);
            segment[bits.start + bit / 8] ^= 1 << (bit % 8);
        }
        emit(segment, number + 1 == train.count());
    }
}

/// A frame seen as the segments that it becomes.
struct Train<'a> {
    frame: &'a [u8],
    packet: Packet,
    payload: usize,
    checksum_at: usize,
    /// Payload bytes of all segments but the last.
    size: usize,
}

impl<'a> Train<'a> {
    fn of(frame: &'a [u8]) -> Option<Self> {
        let header = VnetHeader::read(frame)?;
        let packet = Packet::find(frame)?;
        let payload = packet.payload(frame)?;
        let checksum_at = packet.checksum_at()?;
        let whole = packet.end - payload;
        let size = match (header.gso, packet.protocol) {
            (Gso::None, _) => whole,
            (Gso::Tcp4 | Gso::Tcp6, TCP) | (Gso::Udp, UDP) if header.gso_size > 0 => {
                header.gso_size.into()
            }
            _ => return None,
        };
        // An empty payload is one segment all the same.
        Some(Self {
            frame,
            packet,
            payload,
            checksum_at,
            size: size.max(1),
        })
    }

    fn count(&self) -> usize {
        (self.packet.end - self.payload).div_ceil(self.size).max(1)
    }

    /// Puts a segment together, correct in all its parts.
    fn build<'s>(&self, number: usize, scratch: &'s mut Scratch) -> &'s mut [u8] {
        let Packet {
            ip,
            layer4,
            end: frame_end,
            ..
        } = self.packet;
        let from = self.payload + number * self.size;
        let part = &self.frame[from..(from + self.size).min(frame_end)];
        let end = self.payload + part.len();
        let segment = &mut scratch.0[..end];
        segment[..VNET].fill(0);
        segment[VNET..self.payload].copy_from_slice(&self.frame[VNET..self.payload]);
        segment[self.payload..].copy_from_slice(part);
        match self.packet.protocol {
            TCP => self.tcp(number, segment),
            // The packet's own length bounds it to 16 bits.
            UDP => set_half(segment, layer4 + 4, (end - layer4) as u16),
            _ => {}
        }
        match self.packet.version {
            IpVersion::V4 => {
                set_half(segment, ip + 2, (end - ip) as u16);
                let id = half(segment, ip + 4)
                    .unwrap_or(0)
                    .wrapping_add(number as u16);
                set_half(segment, ip + 4, id);
                set_half(segment, ip + 10, 0);
                let sum = checksum::plain(&segment[ip..layer4]);
                set_half(segment, ip + 10, sum);
            }
            IpVersion::V6 => set_half(segment, ip + 4, (end - ip - 40) as u16),
        }
        set_half(segment, self.checksum_at, 0);
        let sum = checksum::layer4(segment, &self.packet, end);
        // UDP keeps zero for "none".
        let sum = if sum == 0 && self.packet.protocol == UDP {
            0xffff
        } else {
            sum
        };
        set_half(segment, self.checksum_at, sum);
        segment
    }

    /// Sequence number and flags of a segment.
    fn tcp(&self, number: usize, segment: &mut [u8]) {
        let layer4 = self.packet.layer4;
        let mut sequence = [0; 4];
        sequence.copy_from_slice(&segment[layer4 + 4..layer4 + 8]);
        // Modulo 2^32 by definition; the offset is below 2^16.
        let sequence = u32::from_be_bytes(sequence).wrapping_add((number * self.size) as u32);
        segment[layer4 + 4..layer4 + 8].copy_from_slice(&sequence.to_be_bytes());
        if number + 1 < self.count() {
            segment[layer4 + 13] &= !LAST_ONLY;
        }
        if number > 0 {
            segment[layer4 + 13] &= !FIRST_ONLY;
        }
    }

    /// The bytes of a segment that may be damaged: its payload, or else a part of the layer-4 header
    /// that neither says how to read the rest nor is the checksum (one of zero would mean "none").
    fn damageable(&self, end: usize) -> std::ops::Range<usize> {
        let layer4 = self.packet.layer4;
        if end > self.payload {
            return self.payload..end;
        }
        match self.packet.protocol {
            // Sequence and acknowledgement.
            TCP => layer4 + 4..layer4 + 12,
            // Ports.
            UDP => layer4..layer4 + 4,
            // The rest of the header, after type, code and checksum.
            _ => layer4 + 4..layer4 + 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delay_line::packet::{ICMP, ICMPV6, samples};
    use proptest::prelude::*;

    fn verifies(segment: &[u8]) -> bool {
        let packet = Packet::find(segment).unwrap();
        let ip = match packet.version {
            IpVersion::V4 => checksum::plain(&segment[packet.ip..packet.layer4]) == 0,
            IpVersion::V6 => true,
        };
        let none = packet.protocol == UDP && half(segment, packet.layer4 + 6) == Some(0);
        assert_eq!(packet.end, segment.len(), "the lengths are wrong");
        ip && !none && checksum::layer4(segment, &packet, packet.end) == 0
    }

    fn tcp_header(flags: u8) -> Vec<u8> {
        let mut header = vec![0x1f, 0x90, 0xc0, 0x01, 0xff, 0xff, 0xf0, 0, 1, 2, 3, 4];
        header.extend([8 << 4, flags, 0x10, 0, 0, 0, 0, 0]);
        header.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
        header
    }

    fn frame(version: IpVersion, protocol: u8, payload: &[u8], gso_size: u16) -> Vec<u8> {
        let header = match protocol {
            TCP => tcp_header(0x99),
            UDP => samples::udp(4000, payload.len()),
            _ => vec![8, 0, 0, 0, 0x12, 0x34, 0, 1],
        };
        let mut frame = samples::frame(version, protocol, &header, payload);
        if gso_size > 0 {
            frame[0] = 1;
            frame[1] = match (protocol, version) {
                (UDP, _) => 5,
                (_, IpVersion::V4) => 1,
                (_, IpVersion::V6) => 4,
            };
            frame[4..6].copy_from_slice(&gso_size.to_ne_bytes());
        }
        frame
    }

    fn segments(frame: &[u8], draw: u64) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        let mut ended = false;
        damage(frame, draw, &mut Scratch::new(), |segment, last| {
            assert!(!ended);
            ended = last;
            all.push(segment.to_vec());
        });
        assert!(ended || all.is_empty());
        all
    }

    fn protocols() -> impl Strategy<Value = (IpVersion, u8)> {
        prop::sample::select(vec![
            (IpVersion::V4, TCP),
            (IpVersion::V4, UDP),
            (IpVersion::V6, TCP),
            (IpVersion::V6, UDP),
            (IpVersion::V4, ICMP),
            (IpVersion::V6, ICMPV6),
        ])
    }

    proptest! {
        /// All segments but one verify; the damaged one does not; the payload is the original's but
        /// for one bit (or no bit, where the header took the damage).
        #[test]
        fn exactly_one_bit_of_one_segment_breaks(
            (version, protocol) in protocols(),
            payload in prop::collection::vec(any::<u8>(), 0..6000),
            gso_size in 0u16..2000,
            draw: u64,
        ) {
            let gso_size = if matches!(protocol, TCP | UDP) { gso_size } else { 0 };
            let frame = frame(version, protocol, &payload, gso_size);
            let all = segments(&frame, draw);
            let size = if gso_size == 0 { usize::MAX } else { gso_size.into() };
            prop_assert_eq!(all.len(), payload.len().div_ceil(size).max(1));
            prop_assert_eq!(all.iter().filter(|segment| !verifies(segment)).count(), 1);

            let mut joined = Vec::new();
            for segment in &all {
                prop_assert!(segment[..VNET].iter().all(|byte| *byte == 0));
                prop_assert_eq!(&segment[VNET..VNET + 14], &frame[VNET..VNET + 14]);
                let packet = Packet::find(segment).unwrap();
                joined.extend_from_slice(&segment[packet.payload(segment).unwrap()..]);
            }
            prop_assert_eq!(joined.len(), payload.len());
            let wrong: u32 = joined.iter().zip(&payload).map(|(a, b)| (a ^ b).count_ones()).sum();
            prop_assert_eq!(wrong, u32::from(!payload.is_empty()));
        }

        #[test]
        fn tcp_numbers_and_flags_follow(
            payload in prop::collection::vec(any::<u8>(), 2..6000), gso_size in 1u16..2000,
        ) {
            let all = segments(&frame(IpVersion::V4, TCP, &payload, gso_size), 7);
            let layer4 = VNET + 14 + 20;
            for (number, segment) in all.iter().enumerate() {
                let sequence = u32::from_be_bytes(segment[layer4 + 4..layer4 + 8].try_into().unwrap());
                prop_assert_eq!(sequence, 0xffff_f000u32.wrapping_add((number * usize::from(gso_size)) as u32));
                let last = if number + 1 == all.len() { LAST_ONLY } else { 0 };
                let first = if number == 0 { FIRST_ONLY } else { 0 };
                prop_assert_eq!(segment[layer4 + 13], 0x10 | last | first);
                prop_assert_eq!(half(segment, VNET + 18), Some(0xabfeu16.wrapping_add(number as u16)));
            }
        }

        #[test]
        fn any_bytes_are_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..300), v6: bool, protocol in 0u8..20, draw: u64,
        ) {
            let version = if v6 { IpVersion::V6 } else { IpVersion::V4 };
            let mut frame = samples::frame(version, protocol, &bytes, &[]);
            for (at, byte) in bytes.iter().enumerate().take(VNET) {
                frame[at] = *byte;
            }
            segments(&frame, draw);
            segments(&bytes, draw);
        }
    }

    #[test]
    fn known_checksums_come_out() {
        // By hand: 192.0.2.1 -> 198.51.100.7, UDP 40000 -> 4000, "hi". The undamaged parts are compared.
        let frame = frame(IpVersion::V4, UDP, b"hi", 0);
        let segment = &segments(&frame, 0)[0];
        let sum: u32 = [
            0xc000, 0x0201, 0xc633, 0x6407, 17, 10, // pseudo header
            0x9c40, 0x0fa0, 10, 0x6869, // ports, length, payload
        ]
        .iter()
        .sum();
        let expected = !((sum & 0xffff) + (sum >> 16)) as u16;
        assert_eq!(half(segment, VNET + 14 + 20 + 6), Some(expected));
        assert_eq!(&segment[segment.len() - 2..], b"ii");
    }

    #[test]
    fn what_nothing_would_notice_is_lost() {
        let sctp = samples::frame(IpVersion::V4, 132, &[0; 12], b"data");
        assert!(segments(&sctp, 1).is_empty());
        let mut fragment = frame(IpVersion::V4, UDP, b"hello", 0);
        fragment[VNET + 14 + 6] = 0x20;
        assert!(segments(&fragment, 1).is_empty());
    }
}
