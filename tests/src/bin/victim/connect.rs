//! Connections for their own sake: opened again and again, or left idle.

use std::io::Read;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::thread;

use anyhow::Result;
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::{Line, Summary};

use crate::speak::{operations, ready, rounds, say};
use crate::{Rounds, errors};

/// Opens and closes.
pub(crate) fn repeat(peer: SocketAddr, options: &Rounds) -> Result<()> {
    rounds(options.wait, || {
        operations(options, |_number| {
            TcpStream::connect_timeout(&peer, options.timeout).map(drop)
        })
    })
}

/// Connects one UDP socket for each thread again and again, which no packet is sent for.
pub(crate) fn udp(peer: SocketAddr, threads: u64, options: &Rounds) -> Result<()> {
    rounds(options.wait, || {
        let mut all = Summary::default();
        let began = now_ns();
        let voices = thread::scope(|scope| {
            let voices: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| one_udp(peer, options.count)))
                .collect();
            voices
                .into_iter()
                .map(|voice| voice.join().unwrap_or_else(|_panic| Ok(Summary::default())))
                .collect::<std::io::Result<Vec<_>>>()
        })?;
        all.elapsed_ns = now_ns() - began;
        for voice in voices {
            all.sent += voice.sent;
            all.ok += voice.ok;
            for (error, count) in voice.errors {
                *all.errors.entry(error).or_default() += count;
            }
        }
        Ok(all)
    })
}

fn one_udp(peer: SocketAddr, count: u64) -> std::io::Result<Summary> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    let mut summary = Summary::default();
    for _ in 0..count {
        summary.sent += 1;
        match socket.connect(peer) {
            Ok(()) => summary.ok += 1,
            Err(error) => summary.failed(&errors::name(&error)),
        }
    }
    Ok(summary)
}

/// Opens one and reports how it ends: the errno that `read` returns, or `eof`.
pub(crate) fn idle(peer: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(peer)?;
    ready(None)?;
    let began = now_ns();
    let mut summary = Summary {
        sent: 1,
        ..Summary::default()
    };
    match stream.read(&mut [0; 64]) {
        Ok(_eof) => summary.failed("eof"),
        Err(error) => summary.failed(&errors::name(&error)),
    }
    summary.elapsed_ns = now_ns() - began;
    say(&Line::Summary(Box::new(summary)))
}
