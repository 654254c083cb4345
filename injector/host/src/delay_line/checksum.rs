//! The Internet checksum (RFC 1071) of IPv4 headers, TCP, UDP and ICMP.
#![expect(clippy::cast_possible_truncation, reason = "a folded sum fits 16 bits")]

use std::ops::Range;

use super::packet::{ICMP, IpVersion, Packet};

/// Adds bytes to a sum of 16-bit words; an odd last byte counts as the high half of a word.
fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let sum = words
        .iter()
        .fold(sum, |sum, word| sum + u64::from(u16::from_be_bytes(*word)));
    sum + rest.first().map_or(0, |last| u64::from(*last) << 8)
}

/// The complement of a sum, carries added back.
fn finish(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The checksum of a header or message on its own. Over one with a correct checksum in it: 0.
pub fn plain(bytes: &[u8]) -> u16 {
    finish(add(0, bytes))
}

/// The checksum of a layer-4 message under a pseudo header made of both addresses as they stand in the
/// IP header. Over one with a correct checksum in it: 0.
pub fn pseudo(addresses: &[u8], protocol: u8, message: &[u8]) -> u16 {
    let pseudo = add(0, addresses) + u64::from(protocol) + message.len() as u64;
    finish(add(pseudo, message))
}

/// The checksum of the layer-4 message of `frame`, which ends at `end`, with the pseudo header that
/// its protocol wants. Over one with a correct checksum in it: 0.
pub fn layer4(frame: &[u8], packet: &Packet, end: usize) -> u16 {
    let message = &frame[packet.layer4..end];
    if packet.version == IpVersion::V4 && packet.protocol == ICMP {
        return plain(message);
    }
    pseudo(&frame[addresses(packet)], packet.protocol, message)
}

/// Where the source and destination addresses stand.
const fn addresses(packet: &Packet) -> Range<usize> {
    match packet.version {
        IpVersion::V4 => packet.ip + 12..packet.ip + 20,
        IpVersion::V6 => packet.ip + 8..packet.ip + 40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(
            plain(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
    }

    #[test]
    fn a_header_with_its_checksum_sums_to_zero() {
        // From RFC-era textbooks: 192.168.0.1 to 192.168.0.199, UDP.
        let header = [
            0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8,
            0, 0xc7,
        ];
        assert_eq!(plain(&header), 0);
    }
}
