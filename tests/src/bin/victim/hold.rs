//! Has very many sockets.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::speak;

/// Opens so many connections to itself, holds both ends of each, and does nothing.
pub(crate) fn connections(count: usize) -> Result<()> {
    let allowed = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: allowed.maximum,
        ..allowed
    };
    setrlimit(Resource::Nofile, limit).context("cannot have as many descriptors as are allowed")?;
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
