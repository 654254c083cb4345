//! A TCP stream of checkable blocks, and what reads it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::Summary;

use crate::speak::{ready, rounds};
use crate::tcp::{connect, retransmits};
use crate::{Rounds, errors};

/// Sums what arrives on each connection and answers with count and sum at its end.
pub(crate) fn sink(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    ready(Some(listener.local_addr()?))?;
    for stream in listener.incoming() {
        let stream = stream?;
        // A sender that gave up is its own summary's business.
        thread::spawn(move || drop(sink_one(stream)));
    }
    Ok(())
}

fn sink_one(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut verdict = Verdict::default();
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        verdict.take(&buffer[..length]);
    }
    stream.write_all(&verdict.bytes())
}

/// Sends `count` blocks on a connection of its own and compares the sink's sum with its own.
pub(crate) fn send(peer: SocketAddr, size: usize, options: &Rounds) -> Result<()> {
    // The first block's bytes all differ from their neighbours, so a moved byte is damage too.
    let block: Vec<u8> = (0u8..=250).cycle().take(size).collect();
    rounds(options.wait, || {
        let mut summary = Summary {
            sent: options.count,
            ..Summary::default()
        };
        let began = now_ns();
        match send_one(peer, &block, options, &mut summary) {
            Ok(()) => summary.ok = summary.sent,
            Err(error) => {
                summary.damaged += u64::from(error.kind() == ErrorKind::InvalidData);
                summary.failed(&errors::name(&error));
            }
        }
        summary.elapsed_ns = now_ns() - began;
        Ok(summary)
    })
    .context("cannot send a stream")
}

fn send_one(
    peer: SocketAddr,
    block: &[u8],
    options: &Rounds,
    summary: &mut Summary,
) -> io::Result<()> {
    let mut stream = connect(peer, options.timeout)?;
    let mut one_block = Verdict::default();
    one_block.take(block);
    for _block in 0..options.count {
        stream.write_all(block)?;
        summary.bytes += block.len() as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    let expected = Verdict {
        count: one_block.count * options.count,
        sum: one_block.sum.wrapping_mul(options.count),
    };
    let mut answer = [0; 16];
    stream.read_exact(&mut answer)?;
    summary.retransmits = retransmits(&stream);
    if answer == expected.bytes() {
        Ok(())
    } else {
        Err(ErrorKind::InvalidData.into())
    }
}

/// Count and byte sum: cheap enough not to be what a throughput test measures.
#[derive(Default)]
struct Verdict {
    count: u64,
    sum: u64,
}

impl Verdict {
    fn take(&mut self, bytes: &[u8]) {
        self.count += bytes.len() as u64;
        for byte in bytes {
            self.sum = self.sum.wrapping_add(u64::from(*byte));
        }
    }

    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.count.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sum.to_le_bytes());
        bytes
    }
}
