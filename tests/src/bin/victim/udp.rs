//! Datagrams that come back: one by one, or many in flight.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::Result;
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::{Line, Op, Summary};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::speak::{operations, ready, rounds, say};
use crate::{Rounds, errors, pattern};

/// Room for 10^5 small datagrams, so that none is lost because its reader was late.
const RECEIVE_BUFFER: usize = 256 << 20;
const LARGEST: usize = 65_536;
/// A flow is over when nothing has come for so long.
const QUIET: Duration = Duration::from_millis(400);

/// Sends every datagram back to where it came from.
pub(crate) fn echo(listen: SocketAddr) -> Result<()> {
    let socket = roomy(listen)?;
    ready(Some(socket.local_addr()?))?;
    let mut buffer = vec![0; LARGEST];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => drop(socket.send_to(&buffer[..length], from)),
            // An ICMP error for an answer to a client that has gone.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A socket and the way in which it tells the kernel which peer a datagram is for.
pub(crate) struct Voice {
    socket: UdpSocket,
    /// Named with each datagram; absent where the socket is connected.
    names: Option<SocketAddr>,
}

impl Voice {
    /// Connects once: `send`.
    pub(crate) fn connected(peer: SocketAddr) -> io::Result<Self> {
        let socket = connected(peer)?;
        Ok(Self {
            socket,
            names: None,
        })
    }

    /// Never connects: `sendto`.
    pub(crate) fn naming(peer: SocketAddr) -> io::Result<Self> {
        let socket = roomy(any_address(peer))?;
        Ok(Self {
            socket,
            names: Some(peer),
        })
    }

    fn send(&self, message: &[u8]) -> io::Result<usize> {
        match self.names {
            Some(peer) => self.socket.send_to(message, peer),
            None => self.socket.send(message),
        }
    }
}

/// Round trips, each waited for.
pub(crate) fn ping(voice: &Voice, size: usize, options: &Rounds) -> Result<()> {
    let socket = &voice.socket;
    socket.set_read_timeout(Some(options.timeout))?;
    let (mut message, mut answer) = (vec![0; size], vec![0; size]);
    let mut serial = 0;
    rounds(options.wait, || {
        operations(options, |_number| {
            serial += 1;
            pattern::fill(&mut message, serial);
            voice.send(&message)?;
            loop {
                let length = socket.recv(&mut answer)?;
                match pattern::number(&answer[..length]) {
                    Some(number) if number == serial => return Ok(()),
                    // A late answer to an operation that was given up, or a duplicate.
                    Some(_other) => {}
                    None => return Err(ErrorKind::InvalidData.into()),
                }
            }
        })
    })
}

/// Sends a round's datagrams without waiting, and accounts for all that comes back; with `--each` says of each when it
/// was sent and when it came back, or that it is `lost`.
pub(crate) fn flow(peer: SocketAddr, size: usize, options: &Rounds) -> Result<()> {
    let socket = connected(peer)?;
    let mut first = 0;
    rounds(options.wait, || {
        let range = first..first + options.count;
        first = range.end;
        let began = now_ns();
        let mut summary = Summary {
            sent: options.count,
            ..Summary::default()
        };
        let mut sent_ns = Vec::new();
        let replies = thread::scope(|scope| {
            let listener = scope.spawn(|| listen(&socket, options));
            let mut message = vec![0; size];
            for number in range.clone() {
                pattern::fill(&mut message, number);
                sent_ns.push(now_ns());
                if let Err(error) = socket.send(&message) {
                    summary.failed(&errors::name(&error));
                }
                if !options.interval.is_zero() {
                    sleep(options.interval);
                }
            }
            listener.join()
        });
        let replies = replies.map_err(|_panic| anyhow::anyhow!("the listener panicked"))??;
        let mut account = Account::default();
        let mut back_ns = HashMap::new();
        for (reply, at_ns) in replies
            .numbers
            .iter()
            .filter(|(reply, _)| reply.is_none_or(|n| n >= range.start))
        {
            account.take(*reply);
            if let Some(number) = reply {
                back_ns.entry(*number).or_insert(*at_ns);
            }
        }
        if options.each {
            for (number, start_ns) in range.zip(sent_ns) {
                let back = back_ns.get(&number);
                say(&Line::Op(Op {
                    start_ns,
                    took_ns: back.map_or(0, |at_ns| at_ns.saturating_sub(start_ns)),
                    error: back.is_none().then(|| "lost".to_owned()),
                }))?;
            }
        }
        account.write_to(&mut summary);
        summary.elapsed_ns = replies.last_ns.saturating_sub(began);
        Ok(summary)
    })
}

/// What came back, in order, `None` for a damaged one, each with its time.
struct Replies {
    numbers: Vec<(Option<u64>, u64)>,
    last_ns: u64,
}

/// Listens until the flow is complete with no sign of more, or has been quiet for long enough.
fn listen(socket: &UdpSocket, options: &Rounds) -> io::Result<Replies> {
    let mut replies = Replies {
        numbers: Vec::new(),
        last_ns: 0,
    };
    let mut buffer = vec![0; LARGEST];
    // Where each is told of, a pause is one of the things that may be told.
    let quiet = if options.each {
        options.timeout.max(QUIET)
    } else {
        QUIET
    };
    // The first answer may be late by all of a fault's delay.
    socket.set_read_timeout(Some(options.timeout.max(QUIET)))?;
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                replies.last_ns = now_ns();
                let number = pattern::number(&buffer[..length]);
                replies.numbers.push((number, replies.last_ns));
                socket.set_read_timeout(Some(quiet))?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(replies),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
}

/// Accounts for numbered messages.
#[derive(Default)]
pub(crate) struct Account {
    times_seen: HashMap<u64, u64>,
    highest: Option<u64>,
    damaged: u64,
    duplicates: u64,
    reordered: u64,
}

impl Account {
    /// One arrival; `None` is a damaged one.
    pub(crate) fn take(&mut self, number: Option<u64>) {
        let Some(number) = number else {
            self.damaged += 1;
            return;
        };
        let times = self.times_seen.entry(number).or_default();
        *times += 1;
        if *times > 1 {
            self.duplicates += 1;
        } else if self.highest.is_some_and(|highest| number < highest) {
            self.reordered += 1;
        }
        self.highest = self.highest.max(Some(number));
    }

    /// Writes the account into a summary.
    pub(crate) fn write_to(&self, summary: &mut Summary) {
        summary.ok = self.times_seen.len() as u64;
        summary.damaged = self.damaged;
        summary.duplicates = self.duplicates;
        summary.reordered = self.reordered;
    }
}

/// A bound socket with room for a burst.
pub(crate) fn roomy(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(listen)?;
    // Needs CAP_NET_ADMIN; without it the default size must do.
    let _unprivileged = set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER);
    Ok(socket)
}

/// A roomy socket that talks to one peer.
pub(crate) fn connected(peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = roomy(any_address(peer))?;
    socket.connect(peer)?;
    Ok(socket)
}

/// Any address and port of the peer's family.
fn any_address(peer: SocketAddr) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    }
}
