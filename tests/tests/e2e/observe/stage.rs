//! Servers and clients in Python: its `ssl` is OpenSSL's library, as the target's own text has it.

use std::fs::{self, File};
use std::num::ParseIntError;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_host::targets::tls::{Function, Libraries};
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use tempfile::TempDir;

/// What stands in headers, bodies and queries, and nowhere else.
pub(super) const SECRET: &str = "sk-SECRET";

const SERVER: &str = include_str!("server.py");
const CLIENT: &str = include_str!("client.py");

/// A server over TLS and one without, and an injector.
pub(super) struct Stage {
    pub(super) injector: Injector,
    pub(super) tls: u16,
    plain: u16,
    folder: TempDir,
    _server: Process,
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A client that asks again and again, and counts its rounds in a file.
pub(super) struct Client {
    process: Process,
    rounds: PathBuf,
}

/// What stands where `SSL_write` or `SSL_write_ex` begins in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// What stands in the file.
    Original,
    /// A breakpoint.
    Probed,
}

/// `int3`.
const BREAKPOINT: u8 = 0xcc;

impl Stage {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        certificate(&folder)?;
        let ports = folder.path().join("ports");
        let server = python(SERVER)
            .arg(folder.path())
            .spawn()
            .context("cannot start python3")?;
        let server = Process(server);
        let ports = eventually("the servers", Duration::from_secs(20), || {
            let text = fs::read_to_string(&ports).unwrap_or_default();
            let ports: Result<Vec<u16>, ParseIntError> =
                text.split_whitespace().map(str::parse).collect();
            Ok(ports.ok().filter(|ports| ports.len() == 2))
        })?;
        Ok(Self {
            injector: Injector::new()?,
            tls: ports[0],
            plain: ports[1],
            folder,
            _server: server,
        })
    }

    /// Starts a client, and waits until it has made a round.
    pub(super) fn client(&self, name: &str, mode: &str) -> Result<Client> {
        let rounds = self.folder.path().join(name);
        let process = python(CLIENT)
            .args([&self.tls.to_string(), &self.plain.to_string(), mode, SECRET])
            .arg(&rounds)
            .spawn()
            .context("cannot start python3")?;
        let client = Client {
            process: Process(process),
            rounds,
        };
        ensure!(
            client.works_on(Duration::from_secs(20))?,
            "{name} does not begin"
        );
        Ok(client)
    }
}

impl Client {
    pub(super) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Whether it makes another round.
    pub(super) fn works_on(&self, within: Duration) -> Result<bool> {
        let before = self.rounds();
        eventually("another round", within, || {
            Ok((self.rounds() > before).then_some(true))
        })
    }

    fn rounds(&self) -> u64 {
        fs::metadata(&self.rounds).map_or(0, |metadata| metadata.len())
    }

    /// What its text is.
    pub(super) fn text(&self) -> Result<Text> {
        text_of(self.pid())
    }
}

/// What the text of a process is where its library's `SSL_write_ex` begins.
pub(crate) fn text_of(pid: u32) -> Result<Text> {
    let found = Libraries::default().of(pid)?;
    let library = found.libraries.first().context("it has no OpenSSL")?;
    let functions = library.functions.iter();
    let mut texts = functions.filter(|(function, _)| *function == Function::WriteEx);
    let (_, offset) = texts.next().context("no SSL_write_ex")?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let hex = |word: &str| u64::from_str_radix(word, 16).ok();
    let address = maps.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let (from, to) = (hex(from)?, hex(to)?);
        let at = hex(words.nth(1)?)?;
        let is_there = line.ends_with(&library.name) && (at..at + (to - from)).contains(offset);
        is_there.then(|| from + offset - at)
    });
    let address = address.context("the library is not mapped")?;
    let mut now = [0];
    File::open(format!("/proc/{pid}/mem"))?.read_exact_at(&mut now, address)?;
    let mut own = [0];
    library.file.read_exact_at(&mut own, *offset)?;
    ensure!(own[0] != BREAKPOINT, "the file itself has a breakpoint");
    ensure!(now == own || now[0] == BREAKPOINT, "{now:?} {own:?}");
    Ok(if now == own {
        Text::Original
    } else {
        Text::Probed
    })
}

fn python(program: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-c", program])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A certificate for this host that has signed itself, and its key.
fn certificate(folder: &TempDir) -> Result<()> {
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(' '))
        .args(["-subj", "/CN=localhost", "-keyout"])
        .arg(folder.path().join("key.pem"))
        .arg("-out")
        .arg(folder.path().join("cert.pem"))
        .output()
        .context("cannot start openssl")?;
    ensure!(made.status.success(), "{made:?}");
    Ok(())
}
