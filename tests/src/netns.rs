//! Network namespaces of the tests: two, joined by a veth pair, gone with the guard.

use std::fs::{self, File};
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

/// What names of the tests' namespaces begin with.
pub(crate) const PREFIX: &str = "injt";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where iproute2 keeps its named namespaces.
const NAMED: &str = "/run/netns";

/// A named network namespace with `lo` up.
#[derive(Debug)]
pub struct NetNs {
    name: String,
}

impl NetNs {
    /// A fresh one.
    pub fn create(label: &str) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{label}", process::id());
        ip(&["netns", "add", &name])?;
        let this = Self { name };
        this.batch("link set lo up\n")?;
        Ok(this)
    }

    /// Its name for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A descriptor for setns(2).
    pub fn open(&self) -> Result<File> {
        open_named(&self.name)
    }

    /// Runs `ip` commands in it, one a line.
    pub fn batch(&self, commands: &str) -> Result<()> {
        let mut child = Command::new("ip")
            .args(["-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start ip (Debian package iproute2)")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(commands.as_bytes())?;
        }
        ensure!(
            child.wait()?.success(),
            "ip -n {} refused one of:\n{commands}",
            self.name
        );
        Ok(())
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "delete", &self.name]) {
            eprintln!("network namespace {} stays behind: {error}", self.name);
        }
    }
}

/// Two namespaces and the wire between them.
#[derive(Debug)]
pub struct VethPair {
    /// The side of agent and bystander.
    pub client: NetNs,
    /// The side of the servers, with two addresses of each family.
    pub server: NetNs,
}

/// MAC address of the client's end.
const CLIENT_MAC: &str = "02:00:00:00:77:01";

/// MAC address of the server's end.
const SERVER_MAC: &str = "02:00:00:00:77:02";

impl VethPair {
    /// Addresses of the server.
    pub const SERVER: [IpAddr; 4] = [
        IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 2)),
        IpAddr::V6(std::net::Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2)),
        IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 3)),
        IpAddr::V6(std::net::Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 3)),
    ];

    /// Makes both ends and brings them up.
    pub fn create() -> Result<Self> {
        let client = NetNs::create("c")?;
        let server = NetNs::create("s")?;
        client.batch(&format!(
            "link add eth0 address {CLIENT_MAC} type veth peer name eth0 address {SERVER_MAC} netns {}\n",
            server.name
        ))?;
        // nodad: an address that is still tentative cannot be bound. The neighbours are told, because
        // a fresh end answers its first solicitation only when its multicast groups are joined, and a
        // second passes until the next.
        client.batch(&format!(
            "addr add 10.77.0.1/24 dev eth0\n\
             addr add fd77::1/64 dev eth0 nodad\n\
             link set eth0 up\n\
             neigh add fd77::2 lladdr {SERVER_MAC} dev eth0 nud permanent\n\
             neigh add fd77::3 lladdr {SERVER_MAC} dev eth0 nud permanent\n"
        ))?;
        server.batch(&format!(
            "addr add 10.77.0.2/24 dev eth0\n\
             addr add 10.77.0.3/24 dev eth0\n\
             addr add fd77::2/64 dev eth0 nodad\n\
             addr add fd77::3/64 dev eth0 nodad\n\
             link set eth0 up\n\
             neigh add fd77::1 lladdr {CLIENT_MAC} dev eth0 nud permanent\n"
        ))?;
        Ok(Self { client, server })
    }

    /// Adds another pair of devices: 10.78.0.1 and 10.78.0.2.
    pub fn second_wire(&self) -> Result<()> {
        let server = self.server.name();
        self.client.batch(&format!(
            "link add eth1 type veth peer name eth1 netns {server}\n\
             addr add 10.78.0.1/24 dev eth1\n\
             link set eth1 up\n"
        ))?;
        self.server
            .batch("addr add 10.78.0.2/24 dev eth1\nlink set eth1 up\n")
    }
}

/// Names of all named namespaces of this host.
pub fn named() -> Vec<String> {
    let Ok(entries) = fs::read_dir(NAMED) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Takes over a namespace whose guard did not run, and lets it go.
pub(crate) fn adopt(name: String) {
    drop(NetNs { name });
}

/// Runs `work` on a thread of its own inside the named namespace.
pub fn inside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> Result<T> {
    let namespace = open_named(name)?;
    thread::scope(|scope| {
        scope
            .spawn(move || {
                move_into_thread_name_spaces(namespace.as_fd(), ThreadNameSpaceType::NETWORK)
                    .map_err(|errno| anyhow!("cannot enter the namespace: {errno}"))?;
                Ok(work())
            })
            .join()
            .map_err(|_panic| anyhow!("the work inside a namespace panicked"))?
    })
}

fn open_named(name: &str) -> Result<File> {
    let path = PathBuf::from(NAMED).join(name);
    File::open(&path).with_context(|| format!("cannot open {}", path.display()))
}

fn ip(arguments: &[&str]) -> Result<()> {
    let status = Command::new("ip")
        .args(arguments)
        .status()
        .context("cannot start ip (Debian package iproute2)")?;
    ensure!(status.success(), "`ip {}` failed", arguments.join(" "));
    Ok(())
}
