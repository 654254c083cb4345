//! A server that is asked over TLS: known by its certificate, and not asked again when it is another's.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;

use super::{CUT, SOON, Stage, case};
use crate::certificates::certificate;
use crate::needs::openssl;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    vec![case("a_server_is_known_by_its_certificate", certificates).also_needs(openssl)]
}

/// A server of OpenSSL's, ended when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(folder: &Path, name: &str) -> Result<Self> {
        // Free a moment ago.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let child = Command::new("openssl")
            .args(["s_server", "-www", "-quiet", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("-cert")
            .arg(folder.join(format!("{name}.pem")))
            .arg("-key")
            .arg(folder.join(format!("{name}.key")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start openssl")?;
        let server = Self { child, port };
        eventually("the server", SOON, || {
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())
        })?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn certificates() -> Result<()> {
    let mut stage = Stage::new()?;
    let folder = tempfile::tempdir()?;
    for name in ["right", "other"] {
        certificate(folder.path(), name)?;
    }
    let server = Server::start(folder.path(), "right")?;
    let condition = |name: &str| {
        format!(
            "http https://127.0.0.1:{}/ ca \"{}\" fails 2 every 100ms within 2s",
            server.port,
            folder.path().join(name).display()
        )
    };
    let pid = stage.agent.pid().to_string();
    for (ca, code, part) in [
        ("other.pem", 3, "is not signed by an authority that"),
        ("right.key", 2, "has no certificate in PEM"),
        ("none.pem", 2, "cannot be read"),
    ] {
        let words = [
            "--pid",
            &pid,
            "--duration",
            "1s",
            "--halt-if",
            &condition(ca),
        ];
        let finished = stage.injector.once(&[&CUT[..], &words].concat())?;
        ensure!(
            finished.code == Some(code) && finished.stderr.contains(part),
            "{ca}: {finished:?}"
        );
    }
    let armed = stage.arm(&condition("right.pem"))?;
    drop(server);
    stage.halted(armed, "http https://127.0.0.1")?;
    Ok(())
}
