//! Filters: which packets of a target a rule looks at.
//!
//! Addresses and ports live as prefixes in one longest-prefix-match trie, keyed by rule and kind, so
//! that a rule's cost does not grow with its filters. A port range becomes at most 30 prefixes.
//! `dest` is the far end of the target's connection and `source` is the target's own end, in both
//! directions of travel.

use crate::RuleId;

/// Which set a prefix belongs to.
pub mod kind {
    /// Addresses of the far end that the rule is for.
    pub const DEST_ADDR: u16 = 1;
    /// Addresses of the far end that the rule leaves alone.
    pub const EXCLUDE_ADDR: u16 = 2;
    /// Ports of the far end that the rule is for.
    pub const DEST_PORT: u16 = 3;
    /// Ports of the target's own end that the rule is for.
    pub const SOURCE_PORT: u16 = 4;
    /// Ports of either end that the rule leaves alone.
    pub const EXCLUDE_PORT: u16 = 5;
}

/// Bits of [`crate::rule::Rule::filters`]: which sets the rule has, and which transports it is for.
pub mod bits {
    /// The rule has destination addresses.
    pub const DEST_ADDR: u32 = 1 << 0;
    /// The rule has excluded addresses.
    pub const EXCLUDE_ADDR: u32 = 1 << 1;
    /// The rule has destination ports.
    pub const DEST_PORT: u32 = 1 << 2;
    /// The rule has source ports.
    pub const SOURCE_PORT: u32 = 1 << 3;
    /// The rule has excluded ports.
    pub const EXCLUDE_PORT: u32 = 1 << 4;
    /// TCP passes.
    pub const TCP: u32 = 1 << 8;
    /// UDP passes.
    pub const UDP: u32 = 1 << 9;
    /// ICMP passes, for IPv4 and for IPv6.
    pub const ICMP: u32 = 1 << 10;
    /// Any other transport passes.
    pub const OTHER: u32 = 1 << 11;
    /// All transports pass.
    pub const ANY_TRANSPORT: u32 = TCP | UDP | ICMP | OTHER;
    /// Only connections that began after arming.
    pub const NEW_ONLY: u32 = 1 << 12;
    /// Only connections that were there at arming.
    pub const ESTABLISHED_ONLY: u32 = 1 << 13;
}

/// Key of the trie, without the prefix length that the map type puts in front.
///
/// Addresses are IPv6 in network order; IPv4 is v4-mapped (`::ffff:a.b.c.d`). A port is the first
/// two bytes of `value`, in network order, so that the prefix runs from its high bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FilterKey {
    /// The rule, in network order so that it is matched bit by bit like the rest.
    pub rule: [u8; 4],
    /// One of [`kind`], in network order.
    pub kind: [u8; 2],
    /// Keeps the value aligned for 8-byte copies.
    pub pad: [u8; 2],
    /// The address, or the port and 14 zero bytes.
    pub value: [u8; 16],
}

/// Bits of [`FilterKey`] in front of the value.
pub const PREFIX_BITS: u32 = 64;

impl FilterKey {
    /// The key of an address.
    #[inline(always)]
    pub const fn address(rule: RuleId, kind: u16, address: [u8; 16]) -> Self {
        Self {
            rule: rule.to_be_bytes(),
            kind: kind.to_be_bytes(),
            pad: [0; 2],
            value: address,
        }
    }

    /// The key of a port.
    #[inline(always)]
    pub const fn port(rule: RuleId, kind: u16, port: u16) -> Self {
        let [high, low] = port.to_be_bytes();
        let mut value = [0; 16];
        value[0] = high;
        value[1] = low;
        Self {
            rule: rule.to_be_bytes(),
            kind: kind.to_be_bytes(),
            pad: [0; 2],
            value,
        }
    }
}

/// Whether the first `bits` bits of a prefix's value cover a key, as the kernel's trie decides it. For
/// user space, which has the prefixes in a list.
#[must_use]
pub fn covers(prefix: &FilterKey, bits: u32, key: &FilterKey) -> bool {
    let bit = |value: &[u8; 16], n: u32| value[(n / 8) as usize] >> (7 - n % 8) & 1;
    prefix.rule == key.rule
        && prefix.kind == key.kind
        && (0..bits).all(|n| bit(&prefix.value, n) == bit(&key.value, n))
}

/// The packet as filters see it, whatever its direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Address of the far end, IPv6 or v4-mapped, in network order.
    pub remote: [u8; 16],
    /// Port of the far end, 0 where the transport has none.
    pub remote_port: u16,
    /// Port of the target's own end, 0 where the transport has none.
    pub local_port: u16,
    /// One of the transport bits of [`bits`].
    pub transport: u32,
    /// 1 when the connection began after arming.
    pub is_new: u32,
}

/// Whether a rule with these filter bits looks at the packet; `contains` asks the trie.
#[inline(always)]
pub fn matches(
    filters: u32,
    rule: RuleId,
    packet: &Packet,
    contains: impl Fn(&FilterKey) -> bool,
) -> bool {
    if filters & packet.transport == 0 {
        return false;
    }
    if filters & bits::NEW_ONLY != 0 && packet.is_new == 0 {
        return false;
    }
    if filters & bits::ESTABLISHED_ONLY != 0 && packet.is_new != 0 {
        return false;
    }
    if filters & bits::EXCLUDE_PORT != 0
        && (contains(&FilterKey::port(
            rule,
            kind::EXCLUDE_PORT,
            packet.remote_port,
        )) || contains(&FilterKey::port(
            rule,
            kind::EXCLUDE_PORT,
            packet.local_port,
        )))
    {
        return false;
    }
    if filters & bits::DEST_PORT != 0
        && !contains(&FilterKey::port(rule, kind::DEST_PORT, packet.remote_port))
    {
        return false;
    }
    if filters & bits::SOURCE_PORT != 0
        && !contains(&FilterKey::port(rule, kind::SOURCE_PORT, packet.local_port))
    {
        return false;
    }
    if filters & bits::EXCLUDE_ADDR != 0
        && contains(&FilterKey::address(rule, kind::EXCLUDE_ADDR, packet.remote))
    {
        return false;
    }
    filters & bits::DEST_ADDR == 0
        || contains(&FilterKey::address(rule, kind::DEST_ADDR, packet.remote))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(transport: u32) -> Packet {
        Packet {
            remote: [9; 16],
            remote_port: 443,
            local_port: 50000,
            transport,
            is_new: 0,
        }
    }

    #[test]
    fn no_transport_means_no_match() {
        assert!(!matches(0, 1, &packet(bits::TCP), |_| true));
        assert!(matches(
            bits::ANY_TRANSPORT,
            1,
            &packet(bits::OTHER),
            |_| true
        ));
        assert!(!matches(bits::UDP, 1, &packet(bits::TCP), |_| true));
    }

    #[test]
    fn connection_age_is_told_apart() {
        let any = bits::ANY_TRANSPORT;
        let young = Packet {
            is_new: 1,
            ..packet(bits::TCP)
        };
        assert!(!matches(
            any | bits::NEW_ONLY,
            1,
            &packet(bits::TCP),
            |_| true
        ));
        assert!(matches(any | bits::NEW_ONLY, 1, &young, |_| true));
        assert!(matches(
            any | bits::ESTABLISHED_ONLY,
            1,
            &packet(bits::TCP),
            |_| true
        ));
        assert!(!matches(any | bits::ESTABLISHED_ONLY, 1, &young, |_| true));
    }

    proptest! {
        /// The trie is asked only for sets that the rule has, and exclusion wins over inclusion.
        #[test]
        fn exclusion_wins(filters in 0u32..32, members in 0u16..32) {
            let filters = filters | bits::ANY_TRANSPORT;
            let contains = |key: &FilterKey| {
                let kind = u16::from_be_bytes(key.kind);
                members & (1 << (kind - 1)) != 0
            };
            let has = |bit: u32| filters & bit != 0;
            let member = |kind: u16| members & (1 << (kind - 1)) != 0;
            let excluded = has(bits::EXCLUDE_ADDR) && member(kind::EXCLUDE_ADDR)
                || has(bits::EXCLUDE_PORT) && member(kind::EXCLUDE_PORT);
            let included = (!has(bits::DEST_ADDR) || member(kind::DEST_ADDR))
                && (!has(bits::DEST_PORT) || member(kind::DEST_PORT))
                && (!has(bits::SOURCE_PORT) || member(kind::SOURCE_PORT));
            prop_assert_eq!(
                matches(filters, 7, &packet(bits::TCP), contains),
                included && !excluded
            );
        }
    }
}
