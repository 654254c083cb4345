//! Plaintext that a target writes to and reads from a connection, as `observe` is told of it.
//!
//! A [`Plaintext`] is one call with the first and the last bytes that passed: the head of an HTTP message stands at the
//! beginning of the first call, and where a request names its model, or a stream ends, stands at an end. What lies
//! between is never copied. The bytes leave the kernel in a ring of this process alone; user space takes the named fields
//! out of a record and clears it before it looks at the next.
//!
//! Rejected: to find the fields in the kernel. A walk over each byte of each call would run in the target's own threads,
//! several microseconds a kilobyte, for what user space does at leisure; and a copy of all bytes, of which a prompt of a
//! megabyte would push all other records out of the ring.

/// Bytes of the beginning of a call that are copied at most. A power of two.
pub const HEAD: usize = 4_096;

/// Bytes of the end of a call that are copied at most, where it is longer than its head. A power of two.
pub const TAIL: usize = 1_024;

/// Where a call is met.
pub mod through {
    /// A TLS library's functions (OpenSSL): the connection is the address of its `SSL`.
    pub const TLS: u32 = 1;
    /// System calls on a socket: the connection is the descriptor.
    pub const SOCKET: u32 = 2;
}

/// What a record tells.
pub mod what {
    /// The target wrote.
    pub const WRITTEN: u32 = 1;
    /// The target read.
    pub const READ: u32 = 2;
    /// The target gave the connection up, or read its end.
    pub const CLOSED: u32 = 3;
}

/// What the programs remember of a connection on which a request was seen.
pub mod speaks {
    /// Requests of HTTP/1: what is read and written is told.
    pub const HTTP1: u32 = 1;
    /// HTTP/2, whose heads are packed and whose streams are mixed: nothing more is told.
    pub const HTTP2: u32 = 2;
}

/// The functions of OpenSSL that are met, as the cookie of their probes. Zero is none.
pub mod function {
    /// `int SSL_read(SSL *, void *, int)`.
    pub const READ: u64 = 1;
    /// `int SSL_read_ex(SSL *, void *, size_t, size_t *)`.
    pub const READ_EX: u64 = 2;
    /// `int SSL_write(SSL *, const void *, int)`.
    pub const WRITE: u64 = 3;
    /// `int SSL_write_ex(SSL *, const void *, size_t, size_t *)`.
    pub const WRITE_EX: u64 = 4;
    /// `void SSL_free(SSL *)`.
    pub const FREE: u64 = 5;
}

/// A connection of one process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    /// The address of its `SSL` in the process, or its descriptor.
    pub handle: u64,
    /// The process.
    pub tgid: u32,
    /// One of [`through`].
    pub through: u32,
}

/// A thread's call of a function of a TLS library, between its beginning and its end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsCall {
    /// The address of the `SSL`.
    pub ssl: u64,
    /// The caller's buffer.
    pub buffer: u64,
    /// Where the function puts how many bytes passed; 0 where it returns them.
    pub count: u64,
    /// When it began, on the boot clock, in nanoseconds.
    pub began_ns: u64,
    /// One of [`function`].
    pub function: u64,
}

/// What a record has before its bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heading {
    /// When the call ended, on the boot clock, in nanoseconds.
    pub boot_ns: u64,
    /// When it began; the same where that was not seen.
    pub began_ns: u64,
    /// Whose connection it is.
    pub connection: ConnectionKey,
    /// One of [`what`].
    pub what: u32,
    /// The thread.
    pub tid: u32,
    /// Bytes that passed, capped at 2^32 - 1.
    pub length: u32,
    /// How many of them stand in [`Plaintext::head`].
    pub head: u32,
    /// How many stand in [`Plaintext::tail`]; the last that passed.
    pub tail: u32,
    /// Keeps the record without gaps.
    pub pad: u32,
    /// The thread's name, which a process may take along before it is looked up.
    pub comm: [u8; COMM],
}

/// Bytes of a thread's name (include/linux/sched.h, `TASK_COMM_LEN`), zeros behind it.
pub const COMM: usize = 16;

/// A call, as the kernel side writes it. What is behind the lengths that the heading names is no part of it.
#[repr(C)]
pub struct Plaintext {
    /// All but the bytes.
    pub heading: Heading,
    /// The first bytes.
    pub head: [u8; HEAD],
    /// The last bytes, without what is in the head.
    pub tail: [u8; TAIL],
}

/// Bytes of a [`Plaintext`].
pub const PLAINTEXT: usize = size_of::<Plaintext>();

const HEADING: usize = size_of::<Heading>();

/// What a call begins with: nothing of interest, or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The method of a request of HTTP/1.
    Http1,
    /// The preface of HTTP/2 (RFC 9113, 3.4).
    Http2,
    /// Something else: a body, records of TLS, another protocol.
    Other,
}

impl Opening {
    /// By the first four bytes, as they lie in memory. A body may begin so too, and then its connection is one of
    /// HTTP all the same.
    #[inline(always)]
    pub const fn of(first: [u8; 4]) -> Self {
        match &first {
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"PATC" | b"OPTI" => Self::Http1,
            b"PRI " => Self::Http2,
            _ => Self::Other,
        }
    }
}

/// A record as it is read from the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard<'b> {
    /// All but the bytes.
    pub heading: Heading,
    /// The first bytes that passed.
    pub head: &'b [u8],
    /// The last ones, without what is in the head.
    pub tail: &'b [u8],
}

impl<'b> Heard<'b> {
    /// Reads a record; `None` where the length is not a record's, or the heading names more bytes than there are.
    pub fn decode(bytes: &'b [u8]) -> Option<Self> {
        if bytes.len() != PLAINTEXT {
            return None;
        }
        let (heading, rest) = bytes.split_first_chunk::<HEADING>()?;
        let fields = crate::fields::Fields::<HEADING>::of(heading)?;
        let heading = Heading {
            boot_ns: fields.u64_at(0),
            began_ns: fields.u64_at(8),
            connection: ConnectionKey {
                handle: fields.u64_at(16),
                tgid: fields.u32_at(24),
                through: fields.u32_at(28),
            },
            what: fields.u32_at(32),
            tid: fields.u32_at(36),
            length: fields.u32_at(40),
            head: fields.u32_at(44),
            tail: fields.u32_at(48),
            pad: 0,
            comm: fields.bytes_at(56),
        };
        let (head, tail) = rest.split_at_checked(HEAD)?;
        Some(Self {
            heading,
            head: head.get(..heading.head as usize)?,
            tail: tail.get(..heading.tail as usize)?,
        })
    }
}

const _: () = assert!(HEADING == 72 && PLAINTEXT == 72 + HEAD + TAIL);
const _: () = assert!(HEAD.is_power_of_two() && TAIL.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_known_by_their_method() {
        assert_eq!(Opening::of(*b"POST"), Opening::Http1);
        assert_eq!(Opening::of(*b"PRI "), Opening::Http2);
        assert_eq!(Opening::of(*b"\x17\x03\x03\x00"), Opening::Other);
        assert_eq!(Opening::of(*b"HTTP"), Opening::Other);
    }

    proptest! {
        #[test]
        fn decode_is_total(
            head: u32,
            tail: u32,
            few in any::<bool>(),
            length in prop_oneof![Just(PLAINTEXT), 0..2 * PLAINTEXT],
        ) {
            let (head, tail) = if few { (head % 6_000, tail % 1_500) } else { (head, tail) };
            let mut bytes = vec![7u8; length];
            if length >= HEADING {
                bytes[44..48].copy_from_slice(&head.to_ne_bytes());
                bytes[48..52].copy_from_slice(&tail.to_ne_bytes());
            }
            let heard = Heard::decode(&bytes);
            let fits = length == PLAINTEXT && head as usize <= HEAD && tail as usize <= TAIL;
            prop_assert_eq!(heard.is_some(), fits);
            if let Some(heard) = heard {
                prop_assert_eq!(heard.head.len(), head as usize);
                prop_assert_eq!(heard.tail.len(), tail as usize);
            }
        }
    }
}
