//! A look through the sockets that a process has open, by a program that the kernel runs for each of its files.
//!
//! User space says in a [`Look`] whose files they are; the program tags the sockets among them and answers with a
//! [`Found`] for each connection that a reset has not asked yet. Where nothing is new it answers nothing, so
//! that a look costs a fraction of a microsecond a socket and no copy of any descriptor.

/// How long after its last segment a connection may still be busy, in microseconds: long enough for a stream that
/// pauses between two tokens, and for a look every 50 ms to see it.
pub const BUSY_US: u64 = 200_000;

/// What a look is for. All zero is no process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// When the process was started, in ticks, as `/proc/PID/stat` shows it.
    pub start_ticks: u64,
    /// The process.
    pub tgid: u32,
    /// The scope that its sockets belong to.
    pub scope: u32,
    /// What tags of sockets without one say of their age, as in [`crate::tag::Tag::origin`].
    pub origin: u32,
    /// Slots of resets that ask every connection, one bit each.
    pub ask_any: u32,
    /// Slots of those that ask connections in use.
    pub ask_busy: u32,
    /// Slots of those that ask connections at rest.
    pub ask_idle: u32,
}

impl Look {
    /// The slots that ask a connection which has been asked by some, and is at rest for certain or may be in use.
    #[inline(always)]
    pub const fn asking(&self, asked: u32, may_be_busy: bool) -> u32 {
        let by_activity = if may_be_busy {
            self.ask_busy
        } else {
            self.ask_idle
        };
        (self.ask_any | by_activity) & !asked
    }
}

/// A connection that is to be asked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The socket's cookie.
    pub cookie: u64,
    /// A descriptor of it in the process.
    pub fd: u32,
    /// The slots that ask it, one bit each.
    pub slots: u32,
}

/// Bytes of a [`Found`].
pub const FOUND: usize = size_of::<Found>();

impl Found {
    /// Reads a record that the program has written; `None` where it is cut short.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (cookie, rest) = bytes.split_first_chunk()?;
        let (fd, rest) = rest.split_first_chunk()?;
        let (slots, _) = rest.split_first_chunk()?;
        Some(Self {
            cookie: u64::from_ne_bytes(*cookie),
            fd: u32::from_ne_bytes(*fd),
            slots: u32::from_ne_bytes(*slots),
        })
    }
}

const _: () = assert!(size_of::<Look>() == 32 && FOUND == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_asks_a_connection_once_and_only_those_it_is_for() {
        let look = Look {
            ask_any: 0b001,
            ask_busy: 0b010,
            ask_idle: 0b100,
            ..Look::default()
        };
        assert_eq!(look.asking(0, true), 0b011);
        assert_eq!(look.asking(0, false), 0b101);
        assert_eq!(look.asking(0b001, true), 0b010);
        assert_eq!(look.asking(0b111, true), 0);
        assert_eq!(Look::default().asking(0, true), 0);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let found = Found {
            cookie: 7,
            fd: 8,
            slots: 9,
        };
        let mut bytes = Vec::new();
        bytes.extend(found.cookie.to_ne_bytes());
        bytes.extend(found.fd.to_ne_bytes());
        bytes.extend(found.slots.to_ne_bytes());
        assert_eq!(Found::decode(&bytes), Some(found));
        assert_eq!(Found::decode(&bytes[..FOUND - 1]), None);
    }
}
