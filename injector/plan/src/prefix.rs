//! Addresses and port ranges as prefixes of the kernel's filter trie.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use injector_common::{RuleId, filter::FilterKey};
use ipnet::{IpNet, Ipv6Net};

/// A prefix of a rule's filters: the key, and how many bits of its value count.
pub(super) type Prefix = (FilterKey, u32);

/// Where IPv4 lies among the keys: `::ffff:0:0/96`.
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// The prefixes of a network; IPv4 is v4-mapped, as the programs see it. A network of IPv6 that would hold
/// all of IPv4 by that, as `::/0` does, is cut into those around it.
pub(super) fn network(rule: RuleId, kind: u16, network: &IpNet) -> Vec<Prefix> {
    let prefix = |address: Ipv6Addr, bits: u8| {
        let key = FilterKey::address(rule, kind, address.octets());
        (key, u32::from(bits))
    };
    match network {
        IpNet::V4(v4) => vec![prefix(mapped(v4.network()), 96 + v4.prefix_len())],
        IpNet::V6(v6) if v6.prefix_len() < 96 && v6.contains(&MAPPED) => {
            let beside = |bits: u8| {
                let branch = 1u128 << (128 - u32::from(bits));
                let keep = u128::MAX << (128 - u32::from(bits));
                let address = (u128::from(MAPPED.network()) ^ branch) & keep;
                prefix(address.into(), bits)
            };
            (v6.prefix_len() + 1..=96).map(beside).collect()
        }
        IpNet::V6(v6) => vec![prefix(v6.network(), v6.prefix_len())],
    }
}

/// The prefix of one address.
pub(super) fn address(rule: RuleId, kind: u16, address: IpAddr) -> Vec<Prefix> {
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
            let prefixes = network(3, kind::DEST_ADDR, &net);
            let asked = Ipv4Addr::from(other);
            prop_assert_eq!(
                covered(&prefixes, mapped(asked)),
                usize::from(net.contains(&IpAddr::from(asked)))
            );
        }

        /// Each address of IPv6 is covered once where it is in the network, and none of IPv4 ever is.
        #[test]
        fn networks_of_ipv6_hold_ipv6_alone(bits: u128, length in 0u8..96, near in 0u32..128, other: u32) {
            let any: IpNet = IpNet::new(Ipv6Addr::from(bits).into(), length).unwrap();
            let around = IpNet::new(mapped(Ipv4Addr::from(other)).into(), length).unwrap();
            for net in [any, around] {
                let prefixes = network(3, kind::DEST_ADDR, &net);
                prop_assert_eq!(covered(&prefixes, mapped(Ipv4Addr::from(other))), 0);
                let asked = Ipv6Addr::from(u128::from(mapped(Ipv4Addr::from(other))) ^ 1 << near);
                if asked.to_ipv4_mapped().is_none() {
                    prop_assert_eq!(
                        covered(&prefixes, asked),
                        usize::from(net.contains(&IpAddr::from(asked)))
                    );
                }
            }
        }
    }

    fn covered(prefixes: &[Prefix], address: Ipv6Addr) -> usize {
        let key = FilterKey::address(3, kind::DEST_ADDR, address.octets());
        let covering = prefixes
            .iter()
            .filter(|(prefix, bits)| covers(prefix, *bits, &key));
        covering.count()
    }

    #[test]
    fn an_ipv4_network_covers_no_ipv6_address() {
        let any = network(3, kind::DEST_ADDR, &"0.0.0.0/0".parse().unwrap());
        assert_eq!(covered(&any, Ipv6Addr::LOCALHOST), 0);
    }
}
