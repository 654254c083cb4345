//! What the kernel side tells: one record a hit.
//!
//! A record says itself what it is about, so that no reader has to know which action means what: an action that is
//! added later cannot be read as something that it is not.

use crate::{RuleId, fields::Fields};

/// A hit, as the kernel side writes it; [`Hit`] is what it means. Events are lost, and counted as lost, when
/// user space does not read them fast enough; counters are not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// When, on the boot clock, in nanoseconds.
    pub boot_ns: u64,
    /// Number of the match that was hit, from 1.
    pub match_number: u64,
    /// The rule.
    pub rule: RuleId,
    /// What was hit, one of [`about`].
    pub about: u32,
    /// Bytes of the packet (an skb, up to 64 KiB), 0 for a call.
    pub bytes: u32,
    /// Far end's port in the low 16 bits, the target's own in the high 16 bits.
    pub ports: u32,
    /// Far end's address, IPv6 or v4-mapped, in network order; of a call, its [`Caller`].
    pub remote: [u8; 16],
}

/// What a record is about. Zero is nothing.
pub mod about {
    /// A packet.
    pub const PACKET: u32 = 1;
    /// A system call.
    pub const CALL: u32 = 2;
}

/// A hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// When, on the boot clock, in nanoseconds.
    pub boot_ns: u64,
    /// Number of the match that was hit, from 1; 0 where the mechanism does not number them.
    pub match_number: u64,
    /// The rule.
    pub rule: RuleId,
    /// What was hit.
    pub on: On,
}

/// What was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A packet.
    Packet {
        /// The far end's address, IPv6 or v4-mapped, in network order.
        remote: [u8; 16],
        /// The far end's port.
        remote_port: u16,
        /// The target's own port.
        local_port: u16,
        /// Its length (an skb, up to 64 KiB).
        bytes: u32,
    },
    /// A system call.
    Call(Caller),
}

/// Who made a call that was hit, and which; in an event of a call they stand where a packet has its
/// far end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The process.
    pub tgid: u32,
    /// The thread.
    pub tid: u32,
    /// The call's native number, or [`crate::call::NO_NUMBER`].
    pub syscall: u32,
}

impl Caller {
    /// As it stands in [`Event::remote`].
    #[inline(always)]
    pub const fn encode(self) -> [u8; 16] {
        let packed = self.tgid as u128 | (self.tid as u128) << 32 | (self.syscall as u128) << 64;
        packed.to_ne_bytes()
    }

    /// Reads it back.
    pub const fn decode(bytes: [u8; 16]) -> Self {
        let packed = u128::from_ne_bytes(bytes);
        Self {
            tgid: (packed & 0xffff_ffff) as u32,
            tid: (packed >> 32 & 0xffff_ffff) as u32,
            syscall: (packed >> 64 & 0xffff_ffff) as u32,
        }
    }
}

impl Hit {
    /// Reads a record from the ring buffer; `None` where the length is not a record's, or it is about nothing that is
    /// known here.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves of a word are taken apart"
    )]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::<{ size_of::<Event>() }>::of(bytes)?;
        let remote = fields.bytes_at(32);
        let ports = fields.u32_at(28);
        let on = match fields.u32_at(20) {
            about::PACKET => On::Packet {
                remote,
                remote_port: ports as u16,
                local_port: (ports >> 16) as u16,
                bytes: fields.u32_at(24),
            },
            about::CALL => On::Call(Caller::decode(remote)),
            _unknown => return None,
        };
        Some(Self {
            boot_ns: fields.u64_at(0),
            match_number: fields.u64_at(8),
            rule: fields.u32_at(16),
            on,
        })
    }
}

const _: () = assert!(size_of::<Event>() == 48);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_caller_comes_back(tgid: u32, tid: u32, syscall: u32) {
            let caller = Caller { tgid, tid, syscall };
            prop_assert_eq!(Caller::decode(caller.encode()), caller);
        }

        #[test]
        fn decode_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let about = bytes.get(20..24).map(|about| about.try_into().map(u32::from_ne_bytes));
            let is_known = matches!(about, Some(Ok(about::PACKET | about::CALL)));
            prop_assert_eq!(Hit::decode(&bytes).is_some(), bytes.len() == 48 && is_known);
        }
    }
}
