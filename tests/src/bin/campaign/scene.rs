//! A fault, a client that feels it, and the same client beside it.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use injector_tests::controller::{Home, is_there};
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::lack::Lack;
use injector_tests::measure::millis;
use injector_tests::observation::Op;
use injector_tests::victim::Victim;

use crate::oracle::Outcome;
use crate::pace::{
    Pace,
    Symptom::{self, Error, Slow},
    is_held_up, is_hurt,
};

/// What a client does.
#[derive(Clone, Copy)]
enum Client {
    /// Pings a server over UDP.
    Pings,
    /// Connects to one.
    Connects,
    /// Asks for a name.
    LooksUp,
    /// Opens a file.
    Opens,
    /// Reads a file.
    Reads,
    /// Reads a file in two pieces at once.
    ReadsPieces,
    /// Speaks to a plug-in over pipes.
    Speaks,
    /// Keeps a connection, and makes a new one where it broke.
    Talks,
    /// Looks whether another process signals it.
    Beats,
    /// The same, and needs CPU time for it.
    Computes,
}

/// The last number of the next resolver's address.
static RESOLVERS: AtomicU8 = AtomicU8::new(80);

/// Every fault that can be felt in one operation. `{file}` is the client's file, `{pid}` its process.
const FAULTS: &[(&str, Client, Symptom)] = &[
    ("net delay --latency 300ms", Client::Pings, Slow),
    ("net loss --percent 100%", Client::Pings, Error),
    ("net blackhole", Client::Pings, Error),
    ("net partition --peer 127.0.0.77", Client::Pings, Error),
    (
        "net corrupt --mode payload --percent 100%",
        Client::Pings,
        Error,
    ),
    (
        "net corrupt --mode wire --percent 100%",
        Client::Pings,
        Error,
    ),
    (
        "net reorder --latency 300ms --gap 1 --percent 10%",
        Client::Pings,
        Slow,
    ),
    ("net bandwidth --rate 2kbit", Client::Pings, Slow),
    ("net reset", Client::Talks, Error),
    ("net connect --errno ECONNREFUSED", Client::Connects, Error),
    ("dns error --type nxdomain", Client::LooksUp, Error),
    ("dns delay --latency 300ms", Client::LooksUp, Slow),
    (
        "sys error --syscall openat --errno EIO",
        Client::Opens,
        Error,
    ),
    (
        "sys delay --syscall openat --delay-enter 300ms",
        Client::Opens,
        Slow,
    ),
    (
        "io error --errno EIO --methods open --path {file}",
        Client::Opens,
        Error,
    ),
    (
        "io latency --latency 300ms --methods open --path {file}",
        Client::Opens,
        Slow,
    ),
    (
        "io corrupt --max-length 8 --path {file}",
        Client::Reads,
        Error,
    ),
    ("io short --path {file}", Client::ReadsPieces, Error),
    ("pipe error --thread plugin-speaker", Client::Speaks, Error),
    (
        "pipe delay --latency 300ms --methods write --thread plugin-speaker",
        Client::Speaks,
        Slow,
    ),
    (
        "pipe stall --at-most 300ms --thread plugin-speaker",
        Client::Speaks,
        Slow,
    ),
    (
        "pipe corrupt --thread plugin-speaker",
        Client::Speaks,
        Error,
    ),
    (
        "sys error --syscall connect --errno ECONNREFUSED --fd-kind inet",
        Client::Connects,
        Error,
    ),
    (
        "proc kill --signal SIGUSR1 --interval 50ms",
        Client::Beats,
        Error,
    ),
    (
        "proc kill --signal SIGUSR1 --at-call getppid",
        Client::Beats,
        Error,
    ),
    (
        "proc pause --active 350ms --dormant 60ms",
        Client::Beats,
        Slow,
    ),
    (
        "proc pause --active 350ms --dormant 60ms --pid {pid}",
        Client::Beats,
        Slow,
    ),
    ("proc starve --cpu 1%", Client::Computes, Slow),
];

/// How the files of CPU time begin where there is no limit: version 1 says -1, version 2 says max.
const UNLIMITED: [char; 2] = ['-', 'm'];

/// How long one that starves, or stands still in turns, needs until an operation has taken long.
const TURNS: Duration = Duration::from_millis(800);

/// One fault with everything that belongs to it.
pub(crate) struct Scene {
    /// Its words.
    pub(crate) fault: String,
    /// As what it is felt.
    pub(crate) symptom: Symptom,
    /// Who is to feel it.
    pub(crate) agent: Victim,
    /// Who is not.
    pub(crate) control: Victim,
    /// Whether a process has to put back what the fault has changed.
    pub(crate) is_state: bool,
    /// How long the client takes to meet it.
    pub(crate) lead: Duration,
    // After the agent, which lives there; and before the cgroups.
    controller: Option<Home>,
    lab: Lab,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// A scene for each fault that has this in its words.
    pub(crate) fn all(pace: Pace, only: &str) -> Result<Vec<Self>> {
        FAULTS
            .iter()
            .filter(|(words, ..)| words.contains(only))
            .map(|(words, client, symptom)| {
                Self::set(words, *client, *symptom, pace).with_context(|| (*words).to_owned())
            })
            .collect()
    }

    fn set(words: &str, client: Client, symptom: Symptom, pace: Pace) -> Result<Self> {
        let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let file = folder.path().join("file");
        fs::write(&file, "0123456789abcdef")?;
        let file = file.to_string_lossy().into_owned();
        let arguments: Vec<String> = match client {
            Client::Pings => to("udp-ping", "--connect", lab.serve("udp-echo")?),
            Client::Connects => to("connect", "--connect", lab.serve("tcp-echo")?),
            Client::LooksUp => {
                // At the port that resolvers have, so each has an address of its own.
                let last = RESOLVERS.fetch_add(1, Ordering::Relaxed);
                let listen = SocketAddr::from(([127, 0, 0, last], 53));
                let mut words = to("dns", "--server", lab.serve_at("dns-server", listen)?);
                words.extend(["--name".into(), "model.test".into()]);
                words
            }
            Client::Opens => on(&file, "open"),
            Client::Reads => on(&file, "read"),
            Client::ReadsPieces => on(&file, "read-vector"),
            Client::Speaks => ["plugin-speaker", "--between", "pipes"]
                .map(String::from)
                .into(),
            Client::Talks => to("tcp-ping", "--connect", lab.serve("tcp-echo")?),
            Client::Beats => vec!["beat".into()],
            // In periods of 100 ms with 1 ms of CPU time each.
            Client::Computes => ["beat", "--compute", "8ms"].map(String::from).into(),
        };
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(pace.flags());
        let agent = Victim::start(lab.agent(), &arguments)?;
        let control = Victim::start(lab.bystander(), &arguments)?;
        let controller = match client {
            Client::Computes if is_there("cpu") => {
                Some(Home::give("cpu", &lab.cgroups, &[agent.pid()])?)
            }
            _ => None,
        };
        let is_state = words.starts_with("proc pause") || words.starts_with("proc starve");
        Ok(Self {
            fault: words
                .replace("{file}", &file)
                .replace("{pid}", &agent.pid().to_string()),
            symptom,
            agent,
            control,
            is_state,
            lead: if is_state { TURNS } else { Duration::ZERO },
            controller,
            lab,
            _folder: folder,
        })
    }

    /// What a limit of CPU time is now, in the words of its file; `None` where the fault sets none. A target that
    /// was starved may stay slow for seconds on a busy host when the limit is gone (LIMITS.md). So it is the file
    /// that tells whether a fault goes on.
    pub(crate) fn limit(&self) -> Result<Option<String>> {
        let Some(home) = &self.controller else {
            return Ok(None);
        };
        let file = match home.version {
            1 => "cpu.cfs_quota_us",
            _ => "cpu.max",
        };
        home.value(file).map(Some)
    }

    /// Whether the fault puts threads to sleep in their calls.
    pub(crate) fn puts_to_sleep(&self) -> bool {
        let sleepers = ["sys delay", "io latency", "pipe delay", "pipe stall"];
        sleepers.iter().any(|fault| self.fault.starts_with(fault))
    }

    /// Whether a limit of CPU time is in force.
    pub(crate) fn is_limited(&self) -> Result<bool> {
        let limit = self.limit()?;
        Ok(limit.is_some_and(|limit| !limit.starts_with(UNLIMITED)))
    }

    /// The command that arms the fault for longer than any test of it takes.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.fault.split_whitespace().map(str::to_owned).collect();
        if !words.iter().any(|word| word == "--pid") {
            let cgroup = self.lab.cgroups.agent.path();
            words.extend(["--cgroup".into(), cgroup.to_string_lossy().into_owned()]);
        }
        words.extend(["--duration", "60s", "--json"].map(String::from));
        words
    }

    /// Arms the fault; `None` where this host cannot do it.
    pub(crate) fn arm(&self, injector: &Injector) -> Result<Option<Running>> {
        let words = self.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match injector.arm(&words) {
            Ok(running) => Ok(Some(running)),
            Err(error) if error.is::<Lack>() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Scene {
    /// What came of the round that both clients were asked for: nothing of the fault may be left from `grace_ns`
    /// after `moment` on, a time on the boot clock.
    pub(crate) fn judge(&self, what: &str, moment: u64, grace_ns: u64) -> Result<Outcome> {
        let limit = self.limit()?;
        let (felt_by_agent, _) = self.agent.operations()?;
        let (felt_by_control, _) = self.control.operations()?;
        let mut early = felt_by_agent.iter().filter(|op| op.start_ns <= moment);
        let mut outcome = Outcome {
            runs: 1,
            hits: u64::from(early.any(|op| self.symptom.is_in(op))),
            ..Outcome::default()
        };
        if let Some(limit) = limit.as_ref().filter(|limit| !limit.starts_with(UNLIMITED)) {
            outcome.violated(format!("{what}: still limited: {limit}"));
        }
        let allowed = moment + grace_ns;
        let is_late = |op: &&Op| limit.is_none() && is_hurt(op) && op.start_ns > allowed;
        for op in felt_by_agent.iter().filter(is_late) {
            let after = millis(op.start_ns - moment);
            outcome.violated(format!("{what}: hurt {after:.1} ms after its end: {op:?}"));
        }
        for op in felt_by_control.iter().filter(|op| is_held_up(op)) {
            outcome.violated(format!("{what}: the control was hurt: {op:?}"));
        }
        Ok(outcome)
    }
}

fn to(role: &str, flag: &str, address: SocketAddr) -> Vec<String> {
    vec![role.into(), flag.into(), address.to_string()]
}

fn on(file: &str, call: &str) -> Vec<String> {
    ["file", "--path", file, "--call", call]
        .map(String::from)
        .into()
}
