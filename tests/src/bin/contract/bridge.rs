//! TCP on loopback in front of a unix socket.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result};

/// Passes connections on until this process ends. Returns the port.
pub(crate) fn to(socket: PathBuf) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for the bridge")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let socket = socket.clone();
            // A connection that breaks is for the two ends to notice.
            thread::spawn(move || drop(join(&stream, &socket)));
        }
    });
    Ok(port)
}

/// Passes on what each end sends, and its end.
fn join(client: &TcpStream, socket: &Path) -> io::Result<()> {
    let daemon = UnixStream::connect(socket)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::copy(&mut &*client, &mut &daemon);
            let _ = daemon.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut &daemon, &mut &*client);
        // The daemon has said all that it will: a client that still sends is told so.
        let _ = client.shutdown(Shutdown::Both);
    });
    Ok(())
}
