//! What the kernel tells a relay of the connections that it sends there, and what the relay tells the kernel.
//!
//! A target connects to an address; the program at connect(2) puts the relay's in its place and remembers where the target
//! wanted to go. Once the socket has a port of its own, that is written down by this port, where the relay reads it: the
//! port is what the relay sees of the far end when it accepts the connection. When the socket closes, that is noted.

use crate::fields::Fields;

/// How many ports there are; each protocol of the internet has as many entries of [`Relayed`].
pub const PORTS: u32 = 1 << 16;

/// How long the relay counts as alive after it has last said so, in nanoseconds. It says so ten times as often.
pub const BEAT_NS: u64 = 1_000_000_000;

/// What the relay says of itself. All zero is no relay, and no connection is sent there.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relay {
    /// When it has last said that it serves, on the boot clock, in nanoseconds.
    pub beat_boot_ns: u64,
    /// The port on 127.0.0.1 where it listens; 0 is none.
    pub port_v4: u32,
    /// The port on `::1` where it listens; 0 is none.
    pub port_v6: u32,
}

impl Relay {
    /// Whether it is to be relied upon at `now`.
    #[inline(always)]
    pub const fn serves(&self, now_boot_ns: u64) -> bool {
        self.beat_boot_ns != 0 && now_boot_ns < self.beat_boot_ns.saturating_add(BEAT_NS)
    }
}

/// Where a target's socket wanted to go.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The address, IPv4 as v4-mapped IPv6, in network order.
    pub remote: [u8; 16],
    /// The port.
    pub port: u32,
    /// The target.
    pub scope: u32,
    /// Which of the relay's sockets it was sent to: 0 is that on 127.0.0.1, 1 that on `::1`.
    pub by_v6: u32,
    /// Slots of the target's rules that mean the connection, one bit each.
    pub slots: u32,
}

/// A connection that was sent to the relay. All zero is none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// The cookie of the target's socket.
    pub cookie: u64,
    /// Where it wanted to go.
    pub wanted: Wanted,
    /// The address of the socket's own end, IPv4 as v4-mapped IPv6, in network order.
    pub local: [u8; 16],
    /// When the socket has closed, on the boot clock, in nanoseconds; 0 is not yet.
    pub closed_boot_ns: u64,
}

/// How long a connection may wait to be taken once its target has closed it, in nanoseconds. A target that sends and closes
/// at once is faster than the relay.
pub const CLOSED_NS: u64 = 1_000_000_000;

/// Bytes of an entry.
const RELAYED: usize = size_of::<Relayed>();

impl Relayed {
    /// Reads an entry from its bytes; `None` where they are not as many.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::<RELAYED>::of(bytes)?;
        Some(Self {
            cookie: fields.u64_at(0),
            wanted: Wanted {
                remote: fields.bytes_at(8),
                port: fields.u32_at(24),
                scope: fields.u32_at(28),
                by_v6: fields.u32_at(32),
                slots: fields.u32_at(36),
            },
            local: fields.bytes_at(40),
            closed_boot_ns: fields.u64_at(56),
        })
    }
}

/// The entry of a connection whose own end has this port.
#[inline(always)]
pub const fn index(by_v6: u32, port: u16) -> u32 {
    (by_v6 & 1) * PORTS + port as u32
}

const _: () = assert!(size_of::<Relay>() == 16);
const _: () = assert!(size_of::<Wanted>() == 32);
const _: () = assert!(size_of::<Relayed>() == 64 && align_of::<Relayed>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_relay_and_silence_ends_it() {
        assert!(!Relay::default().serves(0));
        assert!(!Relay::default().serves(1));
        let relay = Relay {
            beat_boot_ns: 5,
            ..Relay::default()
        };
        assert!(relay.serves(5 + BEAT_NS - 1));
        assert!(!relay.serves(5 + BEAT_NS));
    }

    #[test]
    fn an_entry_is_read_as_it_is_laid_out() {
        let mut bytes = [0; RELAYED];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(at).unwrap();
        }
        let read = Relayed::decode(&bytes).unwrap();
        // SAFETY: `repr(C)`, made of integers only, and every bit pattern is valid.
        let laid: Relayed = unsafe { bytes.as_ptr().cast::<Relayed>().read_unaligned() };
        assert_eq!(read, laid);
        assert_eq!(Relayed::decode(&bytes[1..]), None);
    }

    #[test]
    fn every_connection_has_an_entry_of_its_own() {
        assert_eq!(index(0, u16::MAX), PORTS - 1);
        assert_eq!(index(1, 0), PORTS);
        assert_eq!(index(1, u16::MAX), 2 * PORTS - 1);
    }
}
