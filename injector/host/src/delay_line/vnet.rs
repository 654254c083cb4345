//! The header that the TAP puts in front of every frame, and the largest frame there can be.
//!
//! `struct virtio_net_hdr` (`include/uapi/linux/virtio_net.h`), ten bytes in the host's byte order:
//! flags, type of segmentation, header length (a hint), segment size, where the checksum starts, and
//! where it is stored from there. All zero means "a plain frame whose checksums are what they are",
//! which a receiver verifies.

use injector_common::frame::{ETHERNET, META_AT, Meta};

/// Bytes of the header, the size that a TAP uses unless told otherwise.
pub const VNET: usize = 10;

/// Room for the largest frame: header, Ethernet with two VLAN tags, and the largest packet, an IPv6
/// header with 65535 bytes. The kernel cuts larger ones (BIG TCP) down for the TAP, which did not ask
/// for them.
pub const LARGEST: usize = VNET + ETHERNET + 8 + 40 + 65_535;

/// The checksum of the frame is not computed yet (`VIRTIO_NET_HDR_F_NEEDS_CSUM`).
const NEEDS_CSUM: u8 = 1;

/// Explicit congestion notification, or-ed to the type of segmentation.
const GSO_ECN: u8 = 0x80;

/// How a frame is cut into segments on its way to the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gso {
    /// It is not.
    None,
    /// As TCP over IPv4.
    Tcp4,
    /// As TCP over IPv6.
    Tcp6,
    /// As a train of UDP datagrams (`UDP_SEGMENT`).
    Udp,
    /// In a way that the TAP never announced.
    Unknown,
}

/// The fields that the delay line reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VnetHeader {
    /// Whether the checksum is still to be computed.
    pub needs_checksum: bool,
    /// How the frame is segmented.
    pub gso: Gso,
    /// Payload bytes of a segment.
    pub gso_size: u16,
    /// Where the layer-4 header starts, counted from the Ethernet header.
    pub checksum_start: u16,
    /// Where its checksum stands, counted from `checksum_start`.
    pub checksum_offset: u16,
}

impl VnetHeader {
    /// Reads the header in front of `frame`; `None` for a frame without room for it.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let header = frame.get(..VNET)?;
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        Some(Self {
            needs_checksum: header[0] & NEEDS_CSUM != 0,
            gso: match header[1] & !GSO_ECN {
                0 => Gso::None,
                1 => Gso::Tcp4,
                4 => Gso::Tcp6,
                5 => Gso::Udp,
                _ => Gso::Unknown,
            },
            gso_size: half(4),
            checksum_start: half(6),
            checksum_offset: half(8),
        })
    }
}

/// What the BPF program wrote over the source MAC of `frame`; `None` for a frame too short to have one.
pub fn meta(frame: &[u8]) -> Option<Meta> {
    let at = VNET + META_AT;
    frame.get(at..at + 6)?.try_into().ok().map(Meta::decode)
}

/// Bytes that `frame` takes on a wire: a large frame's headers count once for every segment.
pub fn wire_bytes(frame: &[u8]) -> u64 {
    let plain = frame.len().saturating_sub(VNET);
    let segmented = || {
        let header = VnetHeader::read(frame)?;
        let layer4 = usize::from(header.checksum_start);
        let headers = layer4
            + match header.gso {
                Gso::Tcp4 | Gso::Tcp6 => usize::from(frame.get(VNET + layer4 + 12)? >> 4) * 4,
                Gso::Udp => 8,
                Gso::None | Gso::Unknown => return None,
            };
        let segments = plain
            .checked_sub(headers)?
            .div_ceil(usize::from(header.gso_size).max(1));
        Some(plain + segments.saturating_sub(1) * headers)
    };
    segmented().unwrap_or(plain) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segmented_frame_pays_for_every_header() {
        // 3000 bytes of payload in segments of 1000: two more times 14 + 20 + 32 bytes of headers.
        let mut frame = vec![0; VNET + 14 + 20 + 32 + 3000];
        frame[0] = NEEDS_CSUM;
        frame[1] = 1;
        frame[4..6].copy_from_slice(&1000u16.to_ne_bytes());
        frame[6..8].copy_from_slice(&34u16.to_ne_bytes());
        frame[VNET + 34 + 12] = 8 << 4;
        assert_eq!(wire_bytes(&frame), 3 * (66 + 1000));
        frame[1] = 0;
        assert_eq!(wire_bytes(&frame), 3066);
    }

    #[test]
    fn short_frames_are_measured_without_harm() {
        for n in 0..VNET + 14 {
            assert!(meta(&vec![0xff; n]).is_none() || n >= VNET + 12);
            wire_bytes(&vec![1; n]);
        }
    }
}
