//! The loop of a look: from records to requests, until it is over.

use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
    time::{Duration, Instant},
};

use injector_common::plaintext::{ConnectionKey, Heard, what};
use injector_host::{
    kernel::clock::boot_ns,
    targets::{self, guard::Guard, tls::Runtime},
};
use injector_spec::{error::Refusal, experiment::Target};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    connection::{Connection, Turn},
    exchange::Exchange,
    retries::Retries,
    session::Session,
};
use crate::{members::Covered, supervisor::Signals};

/// How long records wait at most.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};

/// As many connections as are remembered at once, as in the kernel.
const CONNECTIONS: usize = 4_096;

/// As many records as are read before the target is looked at again.
const AT_ONCE: usize = 256;

/// How long the last records are read at most: a target that goes on may write without an end.
const LAST: Duration = Duration::from_secs(1);

/// What is told beside requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The look is on.
    Began,
    /// A process is heard through this library from now on.
    Heard {
        /// Which process.
        pid: u32,
        /// The library's name.
        library: String,
    },
    /// It cannot be heard through TLS.
    NotHeard {
        /// Which process.
        pid: u32,
        /// Why.
        why: String,
    },
    /// A process speaks HTTP/2 on a connection.
    Http2 {
        /// Which process.
        pid: u32,
    },
}

/// What a look tells. None of these may wait.
pub trait Listener {
    /// A request has ended.
    fn exchange(&mut self, exchange: &Exchange);
    /// Something else is to be known.
    fn note(&mut self, note: Note);
    /// Whether the one who listens has had enough.
    fn has_enough(&self) -> ControlFlow<()>;
}

/// How a look ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why, as in `its last process has ended`; none where its time was over or it was interrupted.
    pub of_target: Option<&'static str>,
    /// How long it was on.
    pub lasted: Duration,
    /// Calls that were not told, because they came faster than they were read.
    pub lost: u64,
    /// Processes that are there at the end and were heard in plain text alone, with the runtime that they have.
    pub unheard: Vec<(u32, Option<Runtime>)>,
}

/// Signals that ask for an end, held back from now on. A thread that was started before would be ended by them, and the
/// process with it.
pub struct Interrupts(Signals);

impl Interrupts {
    /// Holds them back in this thread and those that it starts.
    pub fn block() -> Result<Self, Refusal> {
        Signals::block().map(Self)
    }
}

/// Looks at a target until its end, until `time` is over, or until a signal asks for an end.
pub fn watch(
    target: &Target,
    caller: u32,
    time: Option<Duration>,
    Interrupts(signals): &Interrupts,
    listener: &mut dyn Listener,
) -> Result<Ending, Refusal> {
    let guard = Guard::new(caller);
    let resolved =
        targets::resolve(target, &guard).map_err(|error| Refusal::usage(error.to_string()))?;
    let mut session = Session::begin(resolved, guard)?;
    let began = Instant::now();
    let mut hearing = Hearing::default();
    listener.note(Note::Began);
    let of_target = loop {
        let left = hearing.read(&mut session, listener);
        let of_target = session.keep_up(&mut |covered| match covered {
            Covered::By(pid, library) => listener.note(Note::Heard { pid, library }),
            Covered::Not(pid, why) => listener.note(Note::NotHeard { pid, why }),
            Covered::Gone(pid) => {
                hearing.gone.insert(pid);
            }
        });
        let is_over = time.is_some_and(|time| began.elapsed() >= time);
        if of_target.is_some()
            || is_over
            || listener.has_enough().is_break()
            || signals.next().is_some()
        {
            break of_target;
        }
        match left {
            Left::Some => {}
            Left::Nothing => {
                // A signal ends the pause.
                let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], Some(&PAUSE));
            }
        }
    };
    let until = Instant::now() + LAST;
    while hearing.read(&mut session, listener) == Left::Some && Instant::now() < until {}
    hearing.end(listener);
    Ok(Ending {
        of_target,
        lasted: began.elapsed(),
        lost: session.lost(),
        unheard: session.unheard(),
    })
}

/// Whether records wait that were not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Some,
}

/// What is known of what was heard.
#[derive(Default)]
pub struct Hearing {
    connections: HashMap<ConnectionKey, Connection>,
    retries: Retries,
    /// Processes of which it was told that they speak HTTP/2.
    http2: BTreeSet<u32>,
    /// Processes that are gone, of which records may wait that were not read.
    gone: BTreeSet<u32>,
}

impl Hearing {
    fn read(&mut self, session: &mut Session, listener: &mut dyn Listener) -> Left {
        for _ in 0..AT_ONCE {
            if !session.next(|heard| self.hear(heard, listener)) {
                self.end_of_those_gone(listener);
                return Left::Nothing;
            }
        }
        Left::Some
    }

    /// All is read of processes that are gone: their connections have ended with them.
    fn end_of_those_gone(&mut self, listener: &mut dyn Listener) {
        let gone = std::mem::take(&mut self.gone);
        if gone.is_empty() {
            return;
        }
        let now = boot_ns();
        let ended = self
            .connections
            .extract_if(|key, _| gone.contains(&key.tgid));
        for (key, mut connection) in ended.collect::<Vec<_>>() {
            let turn = connection.closed(now);
            self.tell(turn, key.tgid, listener);
        }
    }

    /// Makes room for a connection: one at rest goes, or else the one whose request has been open longest.
    fn make_room(&mut self, listener: &mut dyn Listener) {
        let began = |(_, connection): &(&ConnectionKey, &Connection)| connection.began_ns();
        let Some(key) = self
            .connections
            .iter()
            .min_by_key(began)
            .map(|(key, _)| *key)
        else {
            return;
        };
        if let Some(mut connection) = self.connections.remove(&key) {
            let turn = connection.left(boot_ns());
            self.tell(turn, key.tgid, listener);
        }
    }

    /// Takes a record in, and tells of the request that ends with it.
    pub fn hear(&mut self, heard: &Heard<'_>, listener: &mut dyn Listener) {
        let key = heard.heading.connection;
        if !self.connections.contains_key(&key) {
            if heard.heading.what != what::WRITTEN {
                return;
            }
            if self.connections.len() >= CONNECTIONS {
                self.make_room(listener);
            }
        }
        let connection = self
            .connections
            .entry(key)
            .or_insert_with(|| Connection::new(key));
        let turn = match heard.heading.what {
            what::WRITTEN => connection.written(heard),
            what::READ => connection.read(heard),
            what::CLOSED => {
                let turn = connection.closed(heard.heading.boot_ns);
                self.connections.remove(&key);
                turn
            }
            _unknown => Turn::Nothing,
        };
        self.tell(turn, key.tgid, listener);
    }

    /// Nothing more is heard of any connection: tells of the requests that are open.
    pub fn end(&mut self, listener: &mut dyn Listener) {
        let now = boot_ns();
        let mut left: Vec<_> = self.connections.drain().collect();
        left.sort_unstable_by_key(|(key, _)| (key.tgid, key.handle));
        for (key, mut connection) in left {
            let turn = connection.left(now);
            self.tell(turn, key.tgid, listener);
        }
    }

    fn tell(&mut self, turn: Turn, pid: u32, listener: &mut dyn Listener) {
        match turn {
            Turn::Nothing => {}
            Turn::Ended(mut exchange) => {
                self.retries.judge(&mut exchange);
                listener.exchange(&exchange);
            }
            Turn::Http2 => {
                if self.http2.insert(pid) {
                    listener.note(Note::Http2 { pid });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use injector_common::plaintext::{Heading, through};

    use super::*;
    use crate::observe::End;

    #[derive(Default)]
    struct Told(Vec<(u32, End)>);

    impl Listener for Told {
        fn exchange(&mut self, exchange: &Exchange) {
            self.0.push((exchange.pid, exchange.end));
        }
        fn note(&mut self, _: Note) {}
        fn has_enough(&self) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
    }

    fn written(tgid: u32, handle: u64, bytes: &[u8]) -> Heard<'_> {
        Heard {
            heading: Heading {
                connection: ConnectionKey {
                    handle,
                    tgid,
                    through: through::TLS,
                },
                what: what::WRITTEN,
                began_ns: handle,
                length: u32::try_from(bytes.len()).unwrap(),
                ..Heading::default()
            },
            head: bytes,
            tail: &[],
        }
    }

    const ASKED: &[u8] = b"GET /a HTTP/1.1\r\n\r\n";

    #[test]
    fn connections_end_with_their_process() {
        let (mut hearing, mut told) = (Hearing::default(), Told::default());
        for tgid in [7, 8] {
            hearing.hear(&written(tgid, 1, ASKED), &mut told);
        }
        hearing.end_of_those_gone(&mut told);
        assert_eq!(told.0, []);
        hearing.gone.insert(7);
        hearing.end_of_those_gone(&mut told);
        assert_eq!(told.0, [(7, End::NoAnswer)]);
        hearing.end(&mut told);
        assert_eq!(told.0[1..], [(8, End::Open)]);
    }

    #[test]
    fn one_connection_at_rest_makes_room_for_another() {
        let (mut hearing, mut told) = (Hearing::default(), Told::default());
        for handle in 1..CONNECTIONS as u64 {
            hearing.hear(&written(7, handle, ASKED), &mut told);
        }
        hearing.hear(&written(7, 0, b"at rest"), &mut told);
        // They begin last, so that it is clear which began first.
        hearing.hear(&written(8, 10_000, ASKED), &mut told);
        assert_eq!((told.0.len(), hearing.connections.len()), (0, CONNECTIONS));
        hearing.hear(&written(8, 10_001, ASKED), &mut told);
        assert_eq!(told.0, [(7, End::Open)]);
        assert_eq!(hearing.connections.len(), CONNECTIONS);
    }
}
