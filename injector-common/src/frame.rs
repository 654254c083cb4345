//! What a frame carries from the device to the delay line and back.
//!
//! A frame on its way through the TAP carries six bytes of our own in place of its source MAC address:
//! which way it travels, whose it is, which device it left, and which of the target's rules sent it
//! there. Nothing is added to the frame, so offloaded 64 KiB frames pass whole. On the way out the
//! device's own address is put back; on the way in the sender's is lost, which only a packet sniffer
//! on this host could tell.

/// Bytes of an Ethernet header.
pub const ETHERNET: usize = 14;

/// Where the six bytes stand in the frame: the source MAC address.
pub const META_AT: usize = 6;

/// The most devices of one network namespace that the delay line can tell apart.
pub const DEVICES: usize = 512;

/// Six bits of the frame's first two bytes name the scope.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the assertion below has it"
)]
const SCOPE_COUNT: u16 = crate::SCOPES as u16;

/// Nine bits of them name the device.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the assertion below has it"
)]
const DEVICE_COUNT: u16 = DEVICES as u16;

const _: () = assert!(crate::SCOPES == 1 << 6 && DEVICES == 1 << 9);

/// Which way a frame was travelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Direction {
    /// From the target.
    Egress = 0,
    /// To the target.
    Ingress = 1,
}

/// The six bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Which way the frame was travelling.
    pub direction: Direction,
    /// Whose frame it is, below [`crate::SCOPES`].
    pub scope: u16,
    /// Index of the device in the namespace's table, below [`DEVICES`].
    pub device: u16,
    /// The rules that sent it here, one bit a slot.
    pub slots: u32,
}

impl Meta {
    /// The bytes as they stand in the frame.
    #[inline(always)]
    pub const fn encode(self) -> [u8; 6] {
        let head = ((self.direction as u16) << 15)
            | ((self.scope % SCOPE_COUNT) << 9)
            | (self.device % DEVICE_COUNT);
        let [h0, h1] = head.to_be_bytes();
        let [s0, s1, s2, s3] = self.slots.to_be_bytes();
        [h0, h1, s0, s1, s2, s3]
    }

    /// Reads the bytes back; every bit pattern has a meaning.
    #[inline(always)]
    pub const fn decode(bytes: [u8; 6]) -> Self {
        let [h0, h1, s0, s1, s2, s3] = bytes;
        let head = u16::from_be_bytes([h0, h1]);
        Self {
            direction: if head >> 15 == 0 {
                Direction::Egress
            } else {
                Direction::Ingress
            },
            scope: (head >> 9) % SCOPE_COUNT,
            device: head % DEVICE_COUNT,
            slots: u32::from_be_bytes([s0, s1, s2, s3]),
        }
    }
}

/// A device that the delay line gives frames back to. All zero is "none".
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Interface index; 0 is none.
    pub ifindex: u32,
    /// The device's own MAC address, put back on the way out.
    pub mac: [u8; 6],
    /// Keeps the size a multiple of four.
    pub pad: [u8; 2],
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn meta_round_trips(ingress: bool, scope in 0u16..64, device in 0u16..512, slots: u32) {
            let direction = if ingress { Direction::Ingress } else { Direction::Egress };
            let meta = Meta { direction, scope, device, slots };
            prop_assert_eq!(Meta::decode(meta.encode()), meta);
        }

        #[test]
        fn any_bytes_decode(bytes: [u8; 6]) {
            prop_assert_eq!(Meta::decode(bytes).encode(), bytes);
        }
    }
}
