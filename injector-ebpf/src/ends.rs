//! The two ends of a packet and of a socket, for those who need nothing else of them. Small enough for the stack,
//! since programs on cgroups may be interrupted by themselves.

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use injector_common::flow::Flow;

use crate::packet::{IPV4, IPV6, TCP, UDP, load, v4_mapped};

/// `TCP_LISTEN` of `include/net/tcp_states.h`.
pub const LISTEN: u32 = 10;

/// `AF_INET`.
const AF_INET: u32 = 2;

/// `PACKET_HOST`: the packet is for this host, as its MAC address says.
pub const PACKET_HOST: u32 = 0;

/// The ends of a packet of TCP or UDP that arrives; `None` of fragments, and where IPv6 has more headers.
#[inline(always)]
pub fn arriving(skb: *mut __sk_buff) -> Option<Flow> {
    let (source, dest, ports, protocol) = ends(skb)?;
    Some(Flow {
        remote: source,
        local: dest,
        remote_port: ports.0,
        local_port: ports.1,
        protocol,
    })
}

/// The same of one that leaves, as its answer will have them.
#[inline(always)]
pub fn leaving(skb: *mut __sk_buff) -> Option<Flow> {
    let (source, dest, ports, protocol) = ends(skb)?;
    Some(Flow {
        remote: dest,
        local: source,
        remote_port: ports.1,
        local_port: ports.0,
        protocol,
    })
}

type Ends = ([u8; 16], [u8; 16], (u16, u16), u32);

#[inline(always)]
fn ends(skb: *mut __sk_buff) -> Option<Ends> {
    // SAFETY: a plain context field.
    let (source, dest, protocol, at) = match unsafe { (*skb).protocol } {
        IPV4 => {
            let ip: [u8; 20] = load(skb, 0)?;
            if u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff != 0 {
                return None;
            }
            (
                v4_mapped([ip[12], ip[13], ip[14], ip[15]]),
                v4_mapped([ip[16], ip[17], ip[18], ip[19]]),
                ip[9],
                u32::from(ip[0] & 0xf) * 4,
            )
        }
        IPV6 => {
            let protocol: [u8; 1] = load(skb, 6)?;
            (load(skb, 8)?, load(skb, 24)?, protocol[0], 40)
        }
        _ => return None,
    };
    if protocol != TCP && protocol != UDP {
        return None;
    }
    let ports: [u8; 4] = load(skb, at)?;
    let ports = (
        u16::from_be_bytes([ports[0], ports[1]]),
        u16::from_be_bytes([ports[2], ports[3]]),
    );
    Some((source, dest, ports, u32::from(protocol)))
}

/// The ends of a full socket that is connected, TCP or UDP.
#[inline(always)]
pub fn of_socket(sk: *mut bpf_sock) -> Option<Flow> {
    // SAFETY: plain fields of a full socket, which the caller has checked for null.
    unsafe {
        let protocol = (*sk).protocol;
        if (*sk).dst_port == 0 || (protocol != u32::from(TCP) && protocol != u32::from(UDP)) {
            return None;
        }
        // Each word by a load of its own: the verifier allows no arithmetic on a socket's pointer, which the
        // compiler would do to choose between the families.
        let (remote4, local4) = (
            read(&raw const (*sk).dst_ip4),
            read(&raw const (*sk).src_ip4),
        );
        let remote6 = bytes([
            read(&raw const (*sk).dst_ip6[0]),
            read(&raw const (*sk).dst_ip6[1]),
            read(&raw const (*sk).dst_ip6[2]),
            read(&raw const (*sk).dst_ip6[3]),
        ]);
        let local6 = bytes([
            read(&raw const (*sk).src_ip6[0]),
            read(&raw const (*sk).src_ip6[1]),
            read(&raw const (*sk).src_ip6[2]),
            read(&raw const (*sk).src_ip6[3]),
        ]);
        let (remote, local) = if (*sk).family == AF_INET {
            (
                v4_mapped(remote4.to_ne_bytes()),
                v4_mapped(local4.to_ne_bytes()),
            )
        } else {
            (remote6, local6)
        };
        Some(Flow {
            remote,
            local,
            remote_port: u16::from_be((*sk).dst_port),
            local_port: (*sk).src_port as u16,
            protocol,
        })
    }
}

#[inline(always)]
unsafe fn read(word: *const u32) -> u32 {
    // SAFETY: the caller's.
    unsafe { core::ptr::read_volatile(word) }
}

#[inline(always)]
fn bytes(words: [u32; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    let mut at = 0;
    while at < 4 {
        let word = words[at].to_ne_bytes();
        bytes[at * 4] = word[0];
        bytes[at * 4 + 1] = word[1];
        bytes[at * 4 + 2] = word[2];
        bytes[at * 4 + 3] = word[3];
        at += 1;
    }
    bytes
}

/// Whether more than one socket of the host may get the packet: multicast and broadcast, by MAC address or by IP.
/// The broadcast addresses of networks are told by the former.
#[inline(always)]
pub fn is_shared(skb: *mut __sk_buff, dest: &[u8; 16]) -> bool {
    // SAFETY: a plain context field.
    if unsafe { (*skb).pkt_type } != PACKET_HOST {
        return true;
    }
    let is_v4 = dest[0] == 0 && dest[10] == 0xff;
    dest[0] == 0xff
        || is_v4 && (dest[12] >= 224 || dest[12] == 127 && dest[13] & dest[14] & dest[15] == 0xff)
}
