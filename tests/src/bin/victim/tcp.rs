//! TCP echo and round trips.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use injector_tests::observation::{Line, Summary};

use crate::speak::{operations, ready, rounds, say};
use crate::{Rounds, errors, pattern};

/// Sends everything back, on any number of connections.
pub(crate) fn echo(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    ready(Some(listener.local_addr()?))?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            let how = match echo_one(stream) {
                Ok(()) => "eof".to_owned(),
                Err(error) => errors::name(&error),
            };
            // Fails only when the test has gone.
            let _test_is_gone = say(&Line::Closed { how });
        });
    }
    Ok(())
}

fn echo_one(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}

/// Round trips; connects first, so that the connection is there before anything is asked.
pub(crate) fn ping(peer: SocketAddr, reconnect: bool, size: usize, options: &Rounds) -> Result<()> {
    let mut pinger = Pinger::new(peer, reconnect, size, options.timeout);
    if !reconnect {
        pinger.open()?;
    }
    rounds(options.wait, || pinger.round(options))
}

/// A client that keeps its connection until something goes wrong on it.
pub(crate) struct Pinger {
    peer: SocketAddr,
    reconnect: bool,
    timeout: Duration,
    stream: Option<TcpStream>,
    message: Vec<u8>,
    answer: Vec<u8>,
    retransmits: u64,
}

impl Pinger {
    pub(crate) fn new(peer: SocketAddr, reconnect: bool, size: usize, timeout: Duration) -> Self {
        let (message, answer) = (vec![0; size], vec![0; size]);
        Self {
            peer,
            reconnect,
            timeout,
            stream: None,
            message,
            answer,
            retransmits: 0,
        }
    }

    pub(crate) fn open(&mut self) -> io::Result<()> {
        self.stream = Some(connect(self.peer, self.timeout)?);
        Ok(())
    }

    pub(crate) fn round(&mut self, options: &Rounds) -> Result<Summary> {
        self.retransmits = 0;
        let mut summary = operations(options, |number| {
            let outcome = self.exchange(number);
            if outcome.is_err() || self.reconnect {
                self.close();
            }
            outcome
        })?;
        summary.retransmits = self.retransmits + self.stream.as_ref().map_or(0, retransmits);
        Ok(summary)
    }

    fn close(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.retransmits += retransmits(&stream);
        }
    }

    fn exchange(&mut self, number: u64) -> io::Result<()> {
        if self.stream.is_none() {
            self.open()?;
        }
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        pattern::fill(&mut self.message, number);
        stream.write_all(&self.message)?;
        stream.read_exact(&mut self.answer)?;
        if self.answer == self.message {
            Ok(())
        } else {
            Err(ErrorKind::InvalidData.into())
        }
    }
}

/// A connection without Nagle's delays, and with limits on how long anything takes.
pub(crate) fn connect(peer: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&peer, timeout)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

/// Segments of this connection that the kernel sent again.
pub(crate) fn retransmits(stream: &TcpStream) -> u64 {
    // SAFETY: tcp_info is plain integers, for which all zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).unwrap_or(0);
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `info`.
    let outcome = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if outcome == 0 {
        u64::from(info.tcpi_total_retrans)
    } else {
        0
    }
}
