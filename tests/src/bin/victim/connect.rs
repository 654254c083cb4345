//! Connections for their own sake: opened again and again, or left idle.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

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
