//! Reads a packet's headers: its two ends, its protocol, and where the payload begins.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_hdr_start_off::BPF_HDR_START_NET},
    helpers::generated::bpf_skb_load_bytes_relative,
};
use injector_common::filter::{Packet, bits};

/// Ethernet type of IPv4, as it stands in `__sk_buff::protocol`.
pub const IPV4: u32 = 0x0800u16.to_be() as u32;
/// Ethernet type of IPv6.
pub const IPV6: u32 = 0x86ddu16.to_be() as u32;

/// IP protocol numbers.
pub const TCP: u8 = 6;
/// See [`TCP`].
pub const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// IPv6 extension headers that are skipped at most; more than the two or three of real traffic.
const EXTENSIONS: usize = 4;

/// A packet's headers. Offsets count from the network header.
#[repr(C)]
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
    /// TCP's flags.
    pub tcp_flags: u8,
    /// Explicit, so that nothing is left unset.
    pub pad: [u8; 3],
    /// Where the packet ends, as its IP header says: short frames are padded. 0 where it does not say.
    pub ends_at: u32,
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

/// Reads the headers into `headers`; `None` is not IP, or cut short.
#[inline(always)]
pub fn read(skb: *mut __sk_buff, headers: &mut Headers) -> Option<()> {
    // SAFETY: a plain context field.
    let ethertype = unsafe { (*skb).protocol };
    headers.source_port = 0;
    headers.dest_port = 0;
    headers.payload_at = 0;
    match ethertype {
        IPV4 => read_v4(skb, headers)?,
        IPV6 => read_v6(skb, headers)?,
        _ => return None,
    }
    let at = u32::from(headers.transport_at);
    if headers.is_tcp() {
        let tcp: [u8; 14] = load(skb, at)?;
        set_ports(headers, [tcp[0], tcp[1], tcp[2], tcp[3]]);
        headers.payload_at = headers.transport_at + u16::from(tcp[12] >> 4) * 4;
        headers.tcp_flags = tcp[13];
    } else if headers.is_udp() {
        set_ports(headers, load(skb, at)?);
        headers.payload_at = headers.transport_at + 8;
    }
    Some(())
}

#[inline(always)]
fn set_ports(headers: &mut Headers, ports: [u8; 4]) {
    headers.source_port = u16::from_be_bytes([ports[0], ports[1]]);
    headers.dest_port = u16::from_be_bytes([ports[2], ports[3]]);
}

#[inline(always)]
fn read_v4(skb: *mut __sk_buff, headers: &mut Headers) -> Option<()> {
    let ip: [u8; 20] = load(skb, 0)?;
    let later_fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff != 0;
    headers.source = v4_mapped([ip[12], ip[13], ip[14], ip[15]]);
    headers.dest = v4_mapped([ip[16], ip[17], ip[18], ip[19]]);
    headers.protocol = ip[9];
    headers.ends_at = u32::from(u16::from_be_bytes([ip[2], ip[3]]));
    headers.is_v4 = 1;
    headers.transport_at = if later_fragment {
        0
    } else {
        u16::from(ip[0] & 0xf) * 4
    };
    Some(())
}

#[inline(always)]
fn read_v6(skb: *mut __sk_buff, headers: &mut Headers) -> Option<()> {
    let ip: [u8; 40] = load(skb, 0)?;
    headers.source.copy_from_slice(&ip[8..24]);
    headers.dest.copy_from_slice(&ip[24..40]);
    headers.protocol = ip[6];
    let payload = u32::from(u16::from_be_bytes([ip[4], ip[5]]));
    headers.ends_at = if payload == 0 { 0 } else { 40 + payload };
    headers.is_v4 = 0;
    headers.transport_at = 40;
    for _ in 0..EXTENSIONS {
        let fragment = match headers.protocol {
            // Hop-by-hop, routing, destination options.
            0 | 43 | 60 => false,
            44 => true,
            _ => break,
        };
        let extension: [u8; 4] = load(skb, u32::from(headers.transport_at))?;
        headers.protocol = extension[0];
        if !fragment {
            // Its length is in eighths, without the first.
            headers.transport_at += (u16::from(extension[1]) + 1) * 8;
        } else if u16::from_be_bytes([extension[2], extension[3]]) & 0xfff8 == 0 {
            headers.transport_at += 8;
        } else {
            // A later fragment has no transport header.
            headers.transport_at = 0;
            break;
        }
    }
    Some(())
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

    /// Whether this asks for a connection: SYN, and no ACK.
    #[inline(always)]
    pub fn asks_to_connect(&self) -> bool {
        self.is_tcp() && self.tcp_flags & 0x12 == 0x02
    }

    /// Bytes of the payload of a frame of this length, without an Ethernet frame's padding. Large
    /// frames whose IP header has no room for their length (BIG TCP) say 0 there.
    #[inline(always)]
    pub fn payload_bytes(&self, frame: u32) -> u32 {
        let in_frame = frame.saturating_sub(injector_common::frame::ETHERNET as u32);
        let ends_at = if self.ends_at == 0 {
            in_frame
        } else {
            self.ends_at.min(in_frame)
        };
        if self.payload_at == 0 {
            0
        } else {
            ends_at.saturating_sub(u32::from(self.payload_at))
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
