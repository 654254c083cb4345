//! Has very many sockets.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::speak;

/// Descriptors beside the connections' own.
const OTHERS: u64 = 64;

/// Opens so many connections to itself, holds both ends of each, and does nothing.
pub(crate) fn connections(count: usize) -> Result<()> {
    let most = Some(2 * u64::try_from(count)? + OTHERS);
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, limit).context("cannot have so many descriptors")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let mut held = Vec::with_capacity(count);
    for _connection in 0..count {
        let near = TcpStream::connect(address)?;
        held.push((near, listener.accept()?));
    }
    speak::ready(None)?;
    loop {
        std::thread::park();
    }
}
