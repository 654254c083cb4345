//! Name look-ups: what a query asks, and an answer that says no.
//!
//! A query is an IPv4 or IPv6 UDP datagram to port 53 from the target with one question. Anything else,
//! malformed queries included, is not for us and goes on unchanged.
#![expect(
    clippy::cast_possible_truncation,
    reason = "a datagram's lengths fit 16 bits"
)]

use injector_common::frame::{Direction, META_AT, Meta};

use super::{
    checksum,
    packet::{IpVersion, Packet, UDP, half, set_half},
    vnet::{VNET, meta},
};
use injector_plan::line::Rcode;

/// Bytes of a DNS header (RFC 1035, 4.1.1).
const HEADER: usize = 12;

/// The longest name on the wire (RFC 1035, 2.3.4), root label included.
const LONGEST_NAME: usize = 255;

/// Where everyone looks names up.
const PORT: u16 = 53;

/// A name as people write it, without a dot at the end. Bytes that no host name has are shown as `?`.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    text: [u8; LONGEST_NAME],
    len: usize,
}

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        // Only ASCII was put in.
        std::str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        self.text[self.len] = byte;
        self.len += 1;
    }
}

/// The parts of a query.
struct Query {
    packet: Packet,
    /// Where the DNS header starts.
    dns: usize,
    /// Where the question ends.
    question_end: usize,
    name: Name,
}

/// The name that the frame asks for; `None` if it is no query.
pub fn queried_name(frame: &[u8]) -> Option<Name> {
    Query::find(frame).map(|query| query.name)
}

/// Turns a query into the answer that it failed, on its way back to the target, and returns the new
/// length. What follows the question (EDNS) is left out. A frame that is no query stays as it is.
pub fn answer(frame: &mut [u8], rcode: Rcode) -> usize {
    let Some(Query {
        packet,
        dns,
        question_end: end,
        ..
    }) = Query::find(frame)
    else {
        return frame.len();
    };
    frame[..VNET].fill(0);
    turn_around(frame, &packet);
    // A response; opcode and "recursion desired" stay, "authoritative" and "truncated" go.
    frame[dns + 2] = 0x80 | frame[dns + 2] & 0x79;
    frame[dns + 3] = RECURSION_AVAILABLE | rcode as u8;
    for (count, value) in [1, 0, 0, 0].into_iter().enumerate() {
        set_half(frame, dns + 4 + 2 * count, value);
    }
    let Packet { ip, layer4, .. } = packet;
    // The answer is no longer than the query, whose lengths were 16 bits.
    set_half(frame, layer4 + 4, (end - layer4) as u16);
    match packet.version {
        IpVersion::V4 => {
            set_half(frame, ip + 2, (end - ip) as u16);
            frame[ip + 8] = HOP_LIMIT;
            set_half(frame, ip + 10, 0);
            let sum = checksum::plain(&frame[ip..layer4]);
            set_half(frame, ip + 10, sum);
        }
        IpVersion::V6 => {
            set_half(frame, ip + 4, (end - ip - 40) as u16);
            frame[ip + 7] = HOP_LIMIT;
        }
    }
    set_half(frame, layer4 + 6, 0);
    let sum = checksum::layer4(frame, &packet, end);
    set_half(frame, layer4 + 6, if sum == 0 { 0xffff } else { sum });
    end
}

/// Of the flags.
const RECURSION_AVAILABLE: u8 = 0x80;

/// What a server nearby would send with.
const HOP_LIMIT: u8 = 64;

/// Swaps direction, addresses and ports.
fn turn_around(frame: &mut [u8], packet: &Packet) {
    if let Some(meta) = meta(frame) {
        let meta = Meta {
            direction: Direction::Ingress,
            ..meta
        };
        let at = VNET + META_AT;
        frame[at..at + 6].copy_from_slice(&meta.encode());
    }
    let (source, address) = match packet.version {
        IpVersion::V4 => (packet.ip + 12, 4),
        IpVersion::V6 => (packet.ip + 8, 16),
    };
    let (sources, destinations) = frame[source..source + 2 * address].split_at_mut(address);
    sources.swap_with_slice(destinations);
    let (from, to) = frame[packet.layer4..packet.layer4 + 4].split_at_mut(2);
    from.swap_with_slice(to);
}

impl Query {
    fn find(frame: &[u8]) -> Option<Self> {
        if meta(frame)?.direction != Direction::Egress {
            return None;
        }
        let packet = Packet::find(frame).filter(|packet| packet.protocol == UDP)?;
        let dns = packet.payload(frame)?;
        let datagram = packet.layer4 + usize::from(half(frame, packet.layer4 + 4)?);
        let message = frame.get(..datagram.min(packet.end))?;
        let flags = *message.get(dns + 2)?;
        let is_query = flags & 0xf8 == 0
            && half(message, packet.layer4 + 2)? == PORT
            && half(message, dns + 4)? == 1
            && half(message, dns + 6)? == 0;
        if !is_query {
            return None;
        }
        let (name, name_end) = read_name(message, dns + HEADER)?;
        // Type and class follow.
        let question_end = name_end + 4;
        (question_end <= message.len()).then_some(Self {
            packet,
            dns,
            question_end,
            name,
        })
    }
}

/// Reads the name that starts at `at`, and where it ends. A question has nothing before it to be
/// compressed against, so pointers are malformed.
fn read_name(message: &[u8], mut at: usize) -> Option<(Name, usize)> {
    let mut name = Name {
        text: [0; LONGEST_NAME],
        len: 0,
    };
    let start = at;
    loop {
        let len = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + len)?;
        at += 1 + len;
        if len > 63 || at - start > LONGEST_NAME {
            return None;
        }
        if len == 0 {
            return Some((name, at));
        }
        if name.len > 0 {
            name.push(b'.');
        }
        for byte in label {
            let printable = byte.is_ascii_graphic() && *byte != b'.';
            name.push(if printable { *byte } else { b'?' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delay_line::{
        packet::samples,
        rules::{Fate, Rules},
    };
    use injector_common::{
        frame::{Direction, Meta},
        rule::{Rule, When},
        threshold::Threshold,
    };
    use injector_plan::line::{DnsFault, LookUp, Model};
    use proptest::prelude::*;
    use std::time::Duration;

    /// A query for `name` with an EDNS record, recursion desired.
    fn message(name: &str) -> Vec<u8> {
        let mut message = vec![0xbe, 0xef, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            message.push(label.len() as u8);
            message.extend(label.bytes());
        }
        message.extend([0, 0, 28, 0, 1]);
        message.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
        message
    }

    fn query(version: IpVersion, name: &str) -> Vec<u8> {
        let message = message(name);
        let mut frame = samples::frame(version, UDP, &samples::udp(PORT, message.len()), &message);
        frame[0] = 1;
        frame
    }

    fn name_of(frame: &[u8]) -> Option<String> {
        queried_name(frame).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn names_are_read() {
        for version in [IpVersion::V4, IpVersion::V6] {
            for name in ["api.Example.com", "a", "", "x.y.z.w.v.u.t"] {
                assert_eq!(name_of(&query(version, name)).as_deref(), Some(name));
            }
        }
    }

    /// The query that is held comes late; one for another name, and one behind it, do not.
    #[test]
    fn a_held_look_up_is_late_alone() {
        const SECOND: u64 = 1_000_000_000;
        let always = Rule {
            percent: Threshold(u32::MAX),
            when: When::ALWAYS,
            max_hits: u64::MAX,
            ..Rule::default()
        };
        let held = LookUp::Held(Duration::from_secs(2));
        let fault = DnsFault::new(held, &["slow.example".to_owned()], always).unwrap();
        let table = [((0, 0), Model::Dns(fault))].into_iter().collect();
        let mut rules = Rules::new(&table);
        let meta = Meta {
            direction: Direction::Egress,
            scope: 0,
            device: 0,
            slots: 1,
        };
        let mut left_at = |name: &str, now: u64| {
            let mut frame = query(IpVersion::V4, name);
            frame[VNET + 6..VNET + 12].copy_from_slice(&meta.encode());
            let before = frame.clone();
            let fate = rules.decide(&mut frame, now, |_, _| {});
            let Fate::Release(release) = fate else {
                panic!("{fate:?}");
            };
            assert_eq!((release.len, &frame), (before.len(), &before));
            release.at
        };
        assert_eq!(left_at("slow.example", 5), 5 + 2 * SECOND);
        assert_eq!(left_at("fast.example", 6), 6);
        assert_eq!(left_at("SLOW.example", 7), 7 + 2 * SECOND);
    }

    #[test]
    fn answers_say_no() {
        for (version, wanted, rcode) in [
            (IpVersion::V4, Rcode::NxDomain, 3),
            (IpVersion::V6, Rcode::NxDomain, 3),
            (IpVersion::V4, Rcode::ServFail, 2),
            (IpVersion::V6, Rcode::ServFail, 2),
        ] {
            let asked = query(version, "api.example.com");
            let mut reply = asked.clone();
            let len = answer(&mut reply, wanted);
            // The EDNS record is gone.
            assert_eq!(len, asked.len() - 11);
            reply.truncate(len);
            let (ask, packet) = (Packet::find(&asked).unwrap(), Packet::find(&reply).unwrap());
            assert_eq!(packet.end, reply.len());
            assert!(reply[..VNET].iter().all(|byte| *byte == 0));
            assert_eq!(checksum::layer4(&reply, &packet, packet.end), 0);
            let (from, size) = match version {
                IpVersion::V4 => {
                    assert_eq!(checksum::plain(&reply[packet.ip..packet.layer4]), 0);
                    (packet.ip + 12, 4)
                }
                IpVersion::V6 => (packet.ip + 8, 16),
            };
            assert_eq!(
                reply[from..from + size],
                asked[from + size..from + 2 * size]
            );
            assert_eq!(
                reply[from + size..from + 2 * size],
                asked[from..from + size]
            );
            assert_eq!(half(&reply, packet.layer4), Some(PORT));
            assert_eq!(half(&reply, packet.layer4 + 2), Some(40_000));
            let (was, is) = (meta(&asked).unwrap(), meta(&reply).unwrap());
            assert_eq!(
                is,
                Meta {
                    direction: Direction::Ingress,
                    ..was
                }
            );
            let dns = packet.payload(&reply).unwrap();
            assert_eq!(
                reply[dns..dns + 12],
                [0xbe, 0xef, 0x81, 0x80 | rcode, 0, 1, 0, 0, 0, 0, 0, 0]
            );
            assert_eq!(
                reply[dns + 12..],
                asked[ask.payload(&asked).unwrap() + 12..len]
            );
            // An answer is no query any more.
            assert_eq!(name_of(&reply), None);
        }
    }

    #[test]
    fn other_frames_are_no_queries() {
        let good = query(IpVersion::V4, "example.com");
        let dns = VNET + 14 + 20 + 8;
        let spoilt = |at: usize, value: u8| {
            let mut frame = good.clone();
            frame[at] = value;
            name_of(&frame)
        };
        assert_eq!(spoilt(dns - 5, 54), None, "another port");
        assert_eq!(spoilt(dns + 2, 0x80), None, "a response");
        assert_eq!(spoilt(dns + 2, 0x10), None, "another opcode");
        assert_eq!(spoilt(dns + 5, 2), None, "two questions");
        assert_eq!(spoilt(dns + 12, 0xc0), None, "a pointer");
        assert_eq!(spoilt(dns + 12, 60), None, "a label beyond the end");
        assert_eq!(spoilt(dns - 3, 20), None, "a datagram that ends early");
        assert_eq!(spoilt(VNET + 6, 0x80), None, "towards the target");
        assert!(spoilt(dns, 0).is_some());
    }

    #[test]
    fn names_that_are_too_long_are_malformed() {
        let label = "a".repeat(62);
        let longest = [label.as_str(); 4].join(".");
        assert_eq!(
            name_of(&query(IpVersion::V4, &longest)).map(|name| name.len()),
            Some(251)
        );
        assert_eq!(
            name_of(&query(IpVersion::V4, &format!("{longest}.abc"))),
            None
        );
    }

    #[test]
    fn globs_match_as_people_expect() {
        let fault =
            |glob: &str| DnsFault::new(LookUp::Lost, &[glob.to_owned()], Rule::default()).unwrap();
        let below = fault("*.Example.com.");
        assert!(below.names("api.example.com") && below.names("A.B.EXAMPLE.COM"));
        assert!(!below.names("example.com") && !below.names("badexample.com"));
        assert!(fault("*").names("example.com") && fault("*").names("localhost"));
        assert!(fault("{api,db}.example.com").names("db.example.com"));
        assert!(!fault("example.com").names("api.example.com"));
        assert!(!fault("api.*").names("db.example.com"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            spoil in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            v6: bool,
        ) {
            let version = if v6 { IpVersion::V6 } else { IpVersion::V4 };
            let mut frame = query(version, "some.name.example.com");
            for (at, byte) in &spoil {
                let at = at.index(frame.len());
                frame[at] = *byte;
            }
            for mut frame in [frame, bytes.clone(),
                samples::frame(version, UDP, &samples::udp(PORT, bytes.len()), &bytes)] {
                let before = frame.clone();
                let len = answer(&mut frame, Rcode::NxDomain);
                prop_assert!(len <= frame.len());
                if queried_name(&before).is_none() {
                    prop_assert_eq!(frame, before);
                }
            }
        }
    }
}
