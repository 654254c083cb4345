//! The proxy that people use otherwise.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use injector_tests::eventually::eventually;
use injector_tests::place::Place;

const STARTS: Duration = Duration::from_secs(30);

/// `mitmdump` as a reverse proxy; killed when dropped.
pub(crate) struct Mitmproxy {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Mitmproxy {
    /// Starts it in front of a server; `None` where it is not on PATH.
    pub(crate) fn start(server: SocketAddr) -> Result<Option<Self>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new("mitmdump");
        command
            .args(["--quiet", "--mode", &format!("reverse:http://{server}")])
            .args([
                "--listen-host",
                "127.0.0.1",
                "--listen-port",
                &port.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Place::default().settle(&mut command)?;
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("mitmdump cannot be started"),
        };
        let started = Self { child, address };
        eventually("mitmproxy to listen", STARTS, || {
            Ok(TcpStream::connect(address).is_ok().then_some(()))
        })?;
        Ok(Some(started))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Mitmproxy {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
