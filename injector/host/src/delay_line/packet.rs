//! Where the parts of a frame stand.
//!
//! Offsets count from the start of the frame as read from the TAP, its `virtio_net_hdr` included.
//! Every function takes any bytes and never panics.

use injector_common::frame::ETHERNET;

use super::vnet::VNET;

/// IP protocol numbers.
pub const ICMP: u8 = 1;
/// See [`ICMP`].
pub const TCP: u8 = 6;
/// See [`ICMP`].
pub const UDP: u8 = 17;
/// See [`ICMP`].
pub const ICMPV6: u8 = 58;

/// Which IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// Version 4.
    V4,
    /// Version 6.
    V6,
}

/// An unfragmented IP packet in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where the IP header starts.
    pub ip: usize,
    /// Which IP it is.
    pub version: IpVersion,
    /// The protocol above IP.
    pub protocol: u8,
    /// Where its header starts.
    pub layer4: usize,
    /// Where the packet ends; never beyond the frame.
    pub end: usize,
}

impl Packet {
    /// Finds the packet in a frame; `None` for other protocols, fragments, and what is cut short.
    pub fn find(frame: &[u8]) -> Option<Self> {
        let mut at = VNET + ETHERNET - 2;
        let mut ethertype = half(frame, at)?;
        // At most two VLAN tags.
        for _ in 0..2 {
            if matches!(ethertype, 0x8100 | 0x88a8) {
                at += 4;
                ethertype = half(frame, at)?;
            }
        }
        match ethertype {
            0x0800 => Self::find_v4(frame, at + 2),
            0x86dd => Self::find_v6(frame, at + 2),
            _ => None,
        }
    }

    fn find_v4(frame: &[u8], ip: usize) -> Option<Self> {
        let first = *frame.get(ip)?;
        let header = usize::from(first & 0xf) * 4;
        // More fragments, or not the first.
        let fragment = half(frame, ip + 6)? & 0x3fff != 0;
        let protocol = *frame.get(ip + 9)?;
        let end = end(frame, ip, half(frame, ip + 2)?.into());
        let layer4 = ip + header;
        (first >> 4 == 4 && header >= 20 && !fragment && layer4 <= end).then_some(Self {
            ip,
            version: IpVersion::V4,
            protocol,
            layer4,
            end,
        })
    }

    fn find_v6(frame: &[u8], ip: usize) -> Option<Self> {
        let payload = usize::from(half(frame, ip + 4)?);
        let end = end(frame, ip, if payload == 0 { 0 } else { payload + 40 });
        let mut protocol = *frame.get(ip + 6)?;
        let mut layer4 = ip + 40;
        // Hop-by-hop, routing and destination options may stand before the protocol. A routing header
        // with hops left would change the pseudo header; Linux sends none by itself.
        for _ in 0..4 {
            if !matches!(protocol, 0 | 43 | 60) {
                break;
            }
            protocol = *frame.get(layer4)?;
            layer4 += (usize::from(*frame.get(layer4 + 1)?) + 1) * 8;
        }
        (frame[ip] >> 4 == 6 && layer4 <= end && is_known(protocol)).then_some(Self {
            ip,
            version: IpVersion::V6,
            protocol,
            layer4,
            end,
        })
    }

    /// Where the checksum of its protocol stands; `None` for a protocol without one that we know.
    pub fn checksum_at(&self) -> Option<usize> {
        let offset = match self.protocol {
            TCP => 16,
            UDP => 6,
            ICMP | ICMPV6 => 2,
            _ => return None,
        };
        Some(self.layer4 + offset)
    }

    /// Where its payload starts; `None` for a header that is cut short or unknown.
    pub fn payload(&self, frame: &[u8]) -> Option<usize> {
        let header = match self.protocol {
            TCP => (usize::from(*frame.get(self.layer4 + 12)? >> 4) * 4).max(20),
            UDP | ICMP | ICMPV6 => 8,
            _ => return None,
        };
        Some(self.layer4 + header).filter(|payload| *payload <= self.end)
    }
}

/// Fragments and unknown extensions of IPv6 hide what is above; they are no packets to us.
const fn is_known(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | ICMPV6)
}

/// Where a packet of `len` bytes from `ip` ends. Ethernet pads short ones; a length of zero or beyond the
/// frame means all of it.
fn end(frame: &[u8], ip: usize, len: usize) -> usize {
    if len == 0 {
        frame.len()
    } else {
        (ip + len).min(frame.len())
    }
}

/// Two bytes, high one first.
pub(super) fn half(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]))
}

/// Writes two bytes, high one first; the place exists in every packet that was found.
pub(super) fn set_half(frame: &mut [u8], at: usize, value: u16) {
    if let Some(place) = frame.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers in tests")]
pub(super) mod samples {
    //! Frames for tests.
    use super::*;
    use injector_common::frame::{Direction, Meta};

    /// A frame with a payload, from Ethernet up; lengths set, checksums not.
    pub(crate) fn frame(
        version: IpVersion,
        protocol: u8,
        header: &[u8],
        payload: &[u8],
    ) -> Vec<u8> {
        let meta = Meta {
            direction: Direction::Egress,
            scope: 5,
            device: 9,
            slots: 0b101,
        };
        let mut frame = vec![0; VNET];
        frame.extend([2, 0, 0, 0, 0, 1]);
        frame.extend(meta.encode());
        let len = (header.len() + payload.len()) as u16;
        match version {
            IpVersion::V4 => {
                frame.extend([0x08, 0x00, 0x45, 0]);
                frame.extend((len + 20).to_be_bytes());
                frame.extend([0xab, 0xfe, 0x40, 0, 61, protocol, 0, 0]);
                frame.extend([192, 0, 2, 1, 198, 51, 100, 7]);
            }
            IpVersion::V6 => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend(len.to_be_bytes());
                frame.extend([protocol, 61]);
                frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
                frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
            }
        }
        frame.extend(header);
        frame.extend(payload);
        frame
    }

    /// A UDP header from port 40000.
    pub(crate) fn udp(to: u16, payload: usize) -> Vec<u8> {
        let mut header = vec![0x9c, 0x40];
        header.extend(to.to_be_bytes());
        header.extend((payload as u16 + 8).to_be_bytes());
        header.extend([0, 0]);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_survived(head in prop::collection::vec(any::<u8>(), 0..120), kind in 0..3) {
            let mut frame = head;
            if frame.len() > 24 {
                match kind {
                    0 => frame[22..25].copy_from_slice(&[8, 0, 0x45]),
                    1 => frame[22..25].copy_from_slice(&[0x86, 0xdd, 0x60]),
                    _ => {}
                }
            }
            if let Some(packet) = Packet::find(&frame) {
                prop_assert!(packet.layer4 <= packet.end && packet.end <= frame.len());
                if let Some(payload) = packet.payload(&frame) {
                    prop_assert!(payload <= packet.end);
                }
            }
        }
    }

    #[test]
    fn fragments_are_no_packets() {
        let mut frame = samples::frame(IpVersion::V4, UDP, &samples::udp(53, 4), b"abcd");
        assert!(Packet::find(&frame).is_some());
        frame[VNET + 14 + 6] = 0x20;
        assert!(Packet::find(&frame).is_none());
        let frame = samples::frame(IpVersion::V6, 44, &[UDP, 0, 0, 1, 0, 0, 0, 1], b"abcd");
        assert!(Packet::find(&frame).is_none());
    }

    #[test]
    fn options_and_tags_are_stepped_over() {
        let hop_by_hop = [&[UDP, 0, 1, 4, 0, 0, 0, 0][..], &samples::udp(53, 2)].concat();
        let frame = samples::frame(IpVersion::V6, 0, &hop_by_hop, b"xy");
        let packet = Packet::find(&frame).unwrap();
        assert_eq!(
            (packet.protocol, packet.payload(&frame)),
            (UDP, Some(frame.len() - 2))
        );

        let mut tagged = samples::frame(IpVersion::V4, UDP, &samples::udp(53, 2), b"xy");
        tagged.splice(VNET + 12..VNET + 12, [0x81, 0, 0, 5]);
        assert_eq!(
            Packet::find(&tagged).unwrap().payload(&tagged),
            Some(tagged.len() - 2)
        );
    }
}
