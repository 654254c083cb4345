//! Addresses and port ranges as prefixes of the kernel's filter trie.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use injector_common::{RuleId, filter::FilterKey};
use ipnet::IpNet;

/// A prefix of a rule's filters: the key, and how many bits of its value count.
pub(super) type Prefix = (FilterKey, u32);

/// The prefix of a network; IPv4 is v4-mapped, as the programs see it.
pub(super) fn network(rule: RuleId, kind: u16, network: &IpNet) -> Prefix {
    let (address, bits) = match network {
        IpNet::V4(v4) => (mapped(v4.network()), 96 + u32::from(v4.prefix_len())),
        IpNet::V6(v6) => (v6.network(), u32::from(v6.prefix_len())),
    };
    (FilterKey::address(rule, kind, address.octets()), bits)
}

/// The prefix of one address.
pub(super) fn address(rule: RuleId, kind: u16, address: IpAddr) -> Prefix {
    network(rule, kind, &IpNet::from(address))
}

fn mapped(address: Ipv4Addr) -> Ipv6Addr {
    address.to_ipv6_mapped()
}

/// The fewest prefixes that cover the ports from `first` to `last`, at most 30.
pub(super) fn ports(rule: RuleId, kind: u16, first: u16, last: u16) -> Vec<Prefix> {
    let mut prefixes = Vec::new();
    let (mut at, end) = (u32::from(first), u32::from(last));
    while at <= end {
        // The largest aligned block that starts here and does not pass the end.
        let mut size = 1u32;
        while at & (size * 2 - 1) == 0 && at + size * 2 - 1 <= end && size < 1 << 16 {
            size *= 2;
        }
        let port = u16::try_from(at).unwrap_or(u16::MAX);
        prefixes.push((
            FilterKey::port(rule, kind, port),
            16 - size.trailing_zeros(),
        ));
        at += size;
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_common::filter::{covers, kind};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn port_prefixes_cover_the_range_and_nothing_else(a: u16, b: u16, asked: u16) {
            let (first, last) = (a.min(b), a.max(b));
            let prefixes = ports(7, kind::DEST_PORT, first, last);
            prop_assert!(prefixes.len() <= 30);
            let key = FilterKey::port(7, kind::DEST_PORT, asked);
            let covered = prefixes.iter().filter(|prefix| covers(&prefix.0, prefix.1, &key)).count();
            prop_assert_eq!(covered, usize::from((first..=last).contains(&asked)));
        }

        #[test]
        fn network_prefixes_cover_their_addresses(bits: u32, length in 0u8..=32, other: u32) {
            let net = IpNet::new(Ipv4Addr::from(bits).into(), length).unwrap();
            let prefix = network(3, kind::DEST_ADDR, &net);
            let asked = Ipv4Addr::from(other);
            let key = FilterKey::address(3, kind::DEST_ADDR, mapped(asked).octets());
            prop_assert_eq!(covers(&prefix.0, prefix.1, &key), net.contains(&IpAddr::from(asked)));
        }
    }

    #[test]
    fn an_ipv4_network_covers_no_ipv6_address() {
        let any = network(3, kind::DEST_ADDR, &"0.0.0.0/0".parse().unwrap());
        let v6 = FilterKey::address(3, kind::DEST_ADDR, Ipv6Addr::LOCALHOST.octets());
        assert!(!covers(&any.0, any.1, &v6));
    }
}
