//! Reads a packet's headers: who talks to whom, over what, and where the payload begins.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_hdr_start_off::BPF_HDR_START_NET},
    helpers::generated::bpf_skb_load_bytes_relative,
};
use injector_common::filter::{Packet, bits};

/// EtherType of IPv4, as it stands in `__sk_buff::protocol`.
pub const IPV4: u32 = 0x0800u16.to_be() as u32;
/// EtherType of IPv6.
pub const IPV6: u32 = 0x86ddu16.to_be() as u32;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// IPv6 extension headers that are skipped at most; more than the two or three of real traffic.
const EXTENSIONS: usize = 4;

/// A packet's headers. Offsets count from the network header.
#[derive(Clone, Copy)]
pub struct Headers {
    /// Sender's address, IPv6 or v4-mapped.
    pub source: [u8; 16],
    /// Receiver's address.
    pub dest: [u8; 16],
    /// Sender's port, 0 where there is none.
    pub source_port: u16,
    /// Receiver's port.
    pub dest_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// 1 for IPv4.
    pub is_v4: u8,
    /// Where the transport header starts.
    pub transport_at: u16,
    /// Where the payload starts; 0 where there is none to speak of (ICMP, fragments).
    pub payload_at: u16,
}

/// Copies `N` bytes at an offset from the network header.
#[inline(always)]
pub fn load<const N: usize>(skb: *mut __sk_buff, at: u32) -> Option<[u8; N]> {
    let mut bytes = [0u8; N];
    // SAFETY: the destination is `N` bytes on our stack; the helper checks the packet's bounds.
    let result = unsafe {
        bpf_skb_load_bytes_relative(
            skb.cast(),
            at,
            bytes.as_mut_ptr().cast(),
            N as u32,
            BPF_HDR_START_NET,
        )
    };
    (result == 0).then_some(bytes)
}

/// Reads the headers; `None` is not IP, or cut short.
#[inline(always)]
pub fn read(skb: *mut __sk_buff) -> Option<Headers> {
    // SAFETY: a plain context field.
    let ethertype = unsafe { (*skb).protocol };
    let mut headers = match ethertype {
        IPV4 => read_v4(skb)?,
        IPV6 => read_v6(skb)?,
        _ => return None,
    };
    let at = u32::from(headers.transport_at);
    match headers.protocol {
        TCP if headers.transport_at != 0 => {
            let tcp: [u8; 14] = load(skb, at)?;
            set_ports(&mut headers, tcp[0..4].try_into().ok()?);
            headers.payload_at = headers.transport_at + u16::from(tcp[12] >> 4) * 4;
        }
        UDP if headers.transport_at != 0 => {
            set_ports(&mut headers, load(skb, at)?);
            headers.payload_at = headers.transport_at + 8;
        }
        _ => {}
    }
    Some(headers)
}

#[inline(always)]
fn set_ports(headers: &mut Headers, ports: [u8; 4]) {
    headers.source_port = u16::from_be_bytes([ports[0], ports[1]]);
    headers.dest_port = u16::from_be_bytes([ports[2], ports[3]]);
}

#[inline(always)]
fn read_v4(skb: *mut __sk_buff) -> Option<Headers> {
    let ip: [u8; 20] = load(skb, 0)?;
    let later_fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff != 0;
    let transport_at = if later_fragment { 0 } else { u16::from(ip[0] & 0xf) * 4 };
    Some(Headers {
        source: v4_mapped([ip[12], ip[13], ip[14], ip[15]]),
        dest: v4_mapped([ip[16], ip[17], ip[18], ip[19]]),
        source_port: 0,
        dest_port: 0,
        protocol: ip[9],
        is_v4: 1,
        transport_at,
        payload_at: 0,
    })
}

#[inline(always)]
fn read_v6(skb: *mut __sk_buff) -> Option<Headers> {
    let ip: [u8; 40] = load(skb, 0)?;
    let mut source = [0; 16];
    let mut dest = [0; 16];
    source.copy_from_slice(&ip[8..24]);
    dest.copy_from_slice(&ip[24..40]);
    let (mut protocol, mut at) = (ip[6], 40u16);
    for _ in 0..EXTENSIONS {
        let length = match protocol {
            // Hop-by-hop, routing, destination options: length in eighths, without the first.
            0 | 43 | 60 => None,
            // A fragment header; later fragments have no transport header.
            44 => Some(8),
            _ => break,
        };
        let extension: [u8; 4] = load(skb, u32::from(at))?;
        let later = protocol == 44 && u16::from_be_bytes([extension[2], extension[3]]) & 0xfff8 != 0;
        protocol = extension[0];
        at += length.unwrap_or((u16::from(extension[1]) + 1) * 8);
        if later {
            at = 0;
            break;
        }
    }
    Some(Headers {
        source,
        dest,
        source_port: 0,
        dest_port: 0,
        protocol,
        is_v4: 0,
        transport_at: at,
        payload_at: 0,
    })
}

/// An IPv4 address as IPv6: `::ffff:a.b.c.d`.
#[inline(always)]
pub const fn v4_mapped(address: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

impl Headers {
    /// The packet as filters see it when the target sent it.
    #[inline(always)]
    pub fn sent_by_target(&self, is_new: bool) -> Packet {
        Packet {
            remote: self.dest,
            remote_port: self.dest_port,
            local_port: self.source_port,
            transport: self.transport(),
            is_new: u32::from(is_new),
        }
    }

    /// The packet as filters see it when the target receives it.
    #[inline(always)]
    pub fn sent_to_target(&self, is_new: bool) -> Packet {
        Packet {
            remote: self.source,
            remote_port: self.source_port,
            local_port: self.dest_port,
            transport: self.transport(),
            is_new: u32::from(is_new),
        }
    }

    #[inline(always)]
    fn transport(&self) -> u32 {
        match self.protocol {
            TCP => bits::TCP,
            UDP => bits::UDP,
            ICMP | ICMPV6 => bits::ICMP,
            _ => bits::OTHER,
        }
    }

    /// Whether this is TCP with ports.
    #[inline(always)]
    pub fn is_tcp(&self) -> bool {
        self.protocol == TCP && self.transport_at != 0
    }

    /// Whether this is UDP with ports.
    #[inline(always)]
    pub fn is_udp(&self) -> bool {
        self.protocol == UDP && self.transport_at != 0
    }
}
