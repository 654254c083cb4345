//! Operations: requests with their answers, and connects, as the kernel sees them on TCP connections of targets.
//!
//! An [`Exchange`] is what is remembered of a connection, in its socket's storage. Segments that the target sends
//! decide ([`Exchange::sent`]), because the kernel sends them under the socket's lock, one after the other; a segment
//! that arrives only leaves the time at which it did ([`Exchange::received`]). Whether it was taken is known by the
//! acknowledgement that leaves next: a segment that a fault or a bad checksum loses on its last step is no answer.
//!
//! Rejected: `BPF_SOCK_OPS`, whose callbacks have to be switched on from within one, which a connection that was open
//! before never reaches; and to take each segment that arrives for an answer, which counts those that are lost behind
//! the program.

use crate::fields::Fields;

/// Which operations of a target are told, one bit each.
pub mod watch {
    /// Requests with their answers.
    pub const REQUESTS: u32 = 1;
    /// Connects.
    pub const CONNECTS: u32 = 2;
}

/// What is told of an operation.
pub mod what {
    /// A request began.
    pub const REQUEST_BEGAN: u32 = 1;
    /// Its answer began.
    pub const REQUEST_ANSWERED: u32 = 2;
    /// It will have no answer.
    pub const REQUEST_FAILED: u32 = 3;
    /// A connect began.
    pub const CONNECT_BEGAN: u32 = 4;
    /// The connection is there.
    pub const CONNECT_MADE: u32 = 5;
    /// It will not be.
    pub const CONNECT_FAILED: u32 = 6;
    /// A fault failed the call before a connect began.
    pub const CONNECT_REFUSED: u32 = 7;
}

/// Why an operation failed, where no errno says so.
pub mod why {
    /// The peer closed the connection.
    pub const CLOSED: u32 = 0x1_0000;
    /// The target closed it.
    pub const GIVEN_UP: u32 = 0x1_0001;
}

/// What is told, as the kernel side writes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// When, on the boot clock, in nanoseconds.
    pub boot_ns: u64,
    /// The socket's cookie.
    pub cookie: u64,
    /// The target.
    pub scope: u32,
    /// One of [`what`].
    pub what: u32,
    /// An errno, or one of [`why`]; 0 where nothing failed.
    pub why: u32,
    /// Far end's port.
    pub port: u32,
    /// Far end's address, IPv6 or v4-mapped, in network order; where something began or was refused.
    pub remote: [u8; 16],
    /// Bytes of the request that were sent until the answer began.
    pub bytes: u32,
    /// Segments of it that were sent again.
    pub again: u32,
}

/// Bytes of a [`Told`].
pub const TOLD: usize = size_of::<Told>();

impl Told {
    /// Reads a record from the ring buffer; `None` where the length is not a record's.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::<TOLD>::of(bytes)?;
        Some(Self {
            boot_ns: fields.u64_at(0),
            cookie: fields.u64_at(8),
            scope: fields.u32_at(16),
            what: fields.u32_at(20),
            why: fields.u32_at(24),
            port: fields.u32_at(28),
            remote: fields.bytes_at(32),
            bytes: fields.u32_at(48),
            again: fields.u32_at(52),
        })
    }
}

/// What is remembered of a connection. All zero is one of which nothing was seen.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// When the request began that has no answer yet, on the boot clock, in nanoseconds; 0 is none.
    pub begun_ns: u64,
    /// When what may be its answer arrived; 0 where nothing did.
    pub arrived_ns: u64,
    /// What was received when the request began, as a sequence number.
    pub received: u32,
    /// Where the request begins.
    pub request: u32,
    /// Where what was sent ends.
    pub sent: u32,
    /// Segments of the request that were sent again.
    pub again: u32,
    /// One of [`role`].
    pub role: u32,
    /// Keeps the record without gaps.
    pub pad: u32,
}

/// On which side of a connection the target is.
pub mod role {
    /// It asks, as far as is known; nothing was sent yet.
    pub const FRESH: u32 = 0;
    /// It asks, and has sent something.
    pub const ASKS: u32 = 1;
    /// It has accepted the connection, and answers: none of its operations.
    pub const ANSWERS: u32 = 2;
}

/// A segment of the target's, without SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its sequence number.
    pub seq: u32,
    /// What it acknowledges.
    pub ack: u32,
    /// Bytes of its payload.
    pub bytes: u32,
}

/// What a segment or an end has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// When the answer arrived, on the boot clock, in nanoseconds; 0 where it did not.
    pub answered_ns: u64,
    /// 1 where the open request will have no answer.
    pub failed: u32,
    /// 1 where a request began.
    pub began: u32,
    /// Bytes of the request that ended.
    pub bytes: u32,
    /// Segments of it that were sent again.
    pub again: u32,
}

/// Whether one sequence number comes after another.
#[inline(always)]
const fn is_after(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 31
}

impl Exchange {
    /// The target sends a segment.
    #[inline(always)]
    pub fn sent(&mut self, now_ns: u64, segment: Segment) -> Turn {
        let mut turn = Turn::default();
        if self.role == role::ANSWERS {
            return turn;
        }
        // The peer's end counts as one byte. It comes without an answer only where the target has given up its own
        // direction, and then the connection's end, which is next, says that there was none.
        let is_more_than_an_end = segment.ack.wrapping_sub(self.received) > 1;
        if self.begun_ns != 0
            && is_after(segment.ack, self.received)
            && (self.arrived_ns != 0 || is_more_than_an_end)
        {
            self.end(&mut turn);
            turn.answered_ns = if self.arrived_ns == 0 {
                now_ns
            } else {
                self.arrived_ns
            };
        }
        if segment.bytes == 0 {
            return turn;
        }
        let end = segment.seq.wrapping_add(segment.bytes);
        if self.role == role::ASKS && !is_after(end, self.sent) {
            self.again = self.again.wrapping_add(1);
            return turn;
        }
        self.role = role::ASKS;
        self.sent = end;
        if self.begun_ns == 0 {
            self.received = segment.ack;
            self.request = segment.seq;
            self.arrived_ns = 0;
            self.again = 0;
            self.begun_ns = now_ns;
            turn.began = 1;
        }
        turn
    }

    /// A segment with payload arrives; `next` is the sequence number that the socket waits for.
    #[inline(always)]
    pub fn received(&mut self, now_ns: u64, seq: u32, bytes: u32, next: u32) {
        let end = seq.wrapping_add(bytes);
        if self.begun_ns != 0
            && next == self.received
            && !is_after(seq, next)
            && is_after(end, next)
        {
            self.arrived_ns = now_ns;
        }
    }

    /// The connection ends in a direction; `next` is the sequence number that the socket waits for.
    #[inline(always)]
    pub fn ended(&mut self, next: u32) -> Turn {
        let mut turn = Turn::default();
        if self.begun_ns == 0 {
            return turn;
        }
        self.end(&mut turn);
        if self.arrived_ns != 0 && next != self.received {
            turn.answered_ns = self.arrived_ns;
        } else {
            turn.failed = 1;
        }
        turn
    }

    #[inline(always)]
    fn end(&mut self, turn: &mut Turn) {
        turn.bytes = self.sent.wrapping_sub(self.request);
        turn.again = self.again;
        self.begun_ns = 0;
    }
}

const _: () = assert!(TOLD == 56 && size_of::<Exchange>() == 40);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn data(seq: u32, bytes: u32, ack: u32) -> Segment {
        Segment { seq, ack, bytes }
    }

    #[test]
    fn a_request_ends_when_its_answer_arrived_and_not_when_it_is_acknowledged() {
        let mut exchange = Exchange::default();
        assert_eq!(exchange.sent(10, data(100, 5, 900)).began, 1);
        // The rest of the same request.
        assert_eq!(exchange.sent(11, data(105, 5, 900)), Turn::default());
        exchange.received(20, 900, 7, 900);
        exchange.received(21, 907, 7, 907);
        let turn = exchange.sent(30, data(110, 0, 914));
        assert_eq!((turn.answered_ns, turn.bytes, turn.began), (20, 10, 0));
        // More of the answer is no answer of its own.
        exchange.received(31, 914, 7, 914);
        assert_eq!(exchange.sent(32, data(110, 0, 921)), Turn::default());
        // The next request carries the acknowledgement of the last answer.
        let turn = exchange.sent(40, data(110, 5, 921));
        assert_eq!((turn.began, turn.answered_ns), (1, 0));
        exchange.received(50, 921, 1, 921);
        let turn = exchange.sent(60, data(115, 5, 922));
        assert_eq!((turn.began, turn.answered_ns), (1, 50));
    }

    #[test]
    fn what_is_sent_again_is_no_request_and_is_counted() {
        let mut exchange = Exchange::default();
        exchange.sent(10, data(100, 5, 900));
        assert_eq!(exchange.sent(210, data(100, 5, 900)), Turn::default());
        assert_eq!(exchange.sent(610, data(100, 5, 900)), Turn::default());
        exchange.received(1_000, 900, 1, 900);
        assert_eq!(exchange.sent(1_001, data(105, 0, 901)).again, 2);
        // A last one that was on its way.
        assert_eq!(exchange.sent(1_002, data(100, 5, 901)).began, 0);
    }

    #[test]
    fn an_answer_that_is_lost_behind_the_program_is_none() {
        let mut exchange = Exchange::default();
        exchange.sent(10, data(100, 5, 900));
        // It is lost; the socket still waits for it when it comes again.
        exchange.received(20, 900, 7, 900);
        exchange.received(220, 900, 7, 900);
        assert_eq!(exchange.sent(221, data(105, 0, 907)).answered_ns, 220);
        exchange.sent(300, data(105, 5, 907));
        exchange.received(310, 907, 7, 907);
        assert_eq!((exchange.ended(907).failed, exchange.begun_ns), (1, 0));
    }

    #[test]
    fn a_connection_that_ends_has_answered_where_payload_came_first() {
        let mut exchange = Exchange::default();
        exchange.sent(10, data(100, 5, 900));
        exchange.received(20, 900, 7, 900);
        // The peer's last segment has payload and its end.
        assert_eq!(exchange.ended(908).answered_ns, 20);
        exchange.sent(30, data(105, 5, 908));
        assert_eq!(exchange.ended(909).failed, 1);
        assert_eq!(exchange.ended(909), Turn::default());
    }

    #[test]
    fn an_end_of_the_peer_is_no_answer_to_a_target_that_sends_no_more() {
        let mut exchange = Exchange::default();
        exchange.sent(10, data(100, 5, 900));
        // Its own end, then the acknowledgement of the peer's.
        assert_eq!(exchange.sent(11, data(105, 0, 900)), Turn::default());
        assert_eq!(exchange.sent(20, data(106, 0, 901)), Turn::default());
        let turn = exchange.ended(901);
        assert_eq!((turn.answered_ns, turn.failed), (0, 1));
        // An answer of one byte is one, and so is a longer one whose arrival was not seen.
        for (arrived, ack) in [(true, 901), (true, 902), (false, 902)] {
            let mut exchange = Exchange::default();
            exchange.sent(10, data(100, 5, 900));
            if arrived {
                exchange.received(15, 900, 1, 900);
            }
            let told = exchange.sent(20, data(106, 0, ack)).answered_ns;
            assert_eq!(told, if arrived { 15 } else { 20 });
        }
    }

    #[test]
    fn a_connection_that_the_target_accepted_has_no_operations() {
        let mut exchange = Exchange {
            role: role::ANSWERS,
            ..Exchange::default()
        };
        assert_eq!(exchange.sent(10, data(100, 5, 900)), Turn::default());
        assert_eq!(exchange.ended(900), Turn::default());
    }

    proptest! {
        #[test]
        fn decode_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(Told::decode(&bytes).is_some(), bytes.len() == TOLD);
        }

        /// A target that sends its request and its end has an answer where payload arrived before the peer's end, and
        /// none where it did not.
        #[test]
        fn behind_a_half_close_an_answer_is_what_arrived(
            start: u32, pieces in proptest::collection::vec(1u32..2_000, 0..4),
        ) {
            let mut exchange = Exchange::default();
            exchange.sent(1, data(100, 5, start));
            exchange.sent(2, data(105, 0, start));
            let (mut next, mut now, mut answered) = (start, 10, 0);
            for bytes in &pieces {
                exchange.received(now, next, *bytes, next);
                next = next.wrapping_add(*bytes);
                answered += exchange.sent(now + 1, data(106, 0, next)).answered_ns;
                now += 10;
            }
            next = next.wrapping_add(1);
            answered += exchange.sent(now, data(106, 0, next)).answered_ns;
            let failed = exchange.ended(next).failed;
            prop_assert_eq!((answered, failed), if pieces.is_empty() { (0, 1) } else { (10, 0) });
        }

        /// Whatever passes: a request begins only where none is open, and ends once.
        #[test]
        fn requests_and_ends_take_turns(
            start: u32, steps in proptest::collection::vec((0u32..3, 0u32..2_000, 0u32..3), 0..60),
        ) {
            let (mut exchange, mut open) = (Exchange::default(), false);
            let (mut next, mut now) = (start, 1);
            for (kind, bytes, back) in steps {
                now += 1;
                let turn = match kind {
                    0 => exchange.sent(now, data(start.wrapping_sub(back * bytes), bytes, next)),
                    1 => {
                        exchange.received(now, next.wrapping_sub(back), bytes, next);
                        next = next.wrapping_add(bytes.saturating_sub(back));
                        Turn::default()
                    }
                    _ => exchange.ended(next),
                };
                if turn.answered_ns != 0 || turn.failed != 0 {
                    prop_assert!(open && (turn.answered_ns == 0) != (turn.failed == 0));
                    open = false;
                }
                if turn.began != 0 {
                    prop_assert!(!open);
                    open = true;
                }
                prop_assert_eq!(open, exchange.begun_ns != 0);
            }
        }
    }
}
