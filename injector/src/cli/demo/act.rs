//! The faults of the demo, each a command that a person could type.

use std::{
    io::{BufRead, BufReader},
    process::{ChildStderr, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, de::DeserializeOwned};

use super::cast::{Cast, Meanwhile, this_program, within};
use injector_record::report::RunReport;
use injector_spec::{
    config::{SOCKET_VARIABLE, Source},
    error::Refusal,
};

/// How long each fault is on.
const DURATION: &str = "2s";

/// How long of that both clients are listened to, from when it is on.
const HEARD: Duration = Duration::from_millis(1800);

/// Longer than a run takes to arm, to last and to end.
const LIMIT: Duration = Duration::from_mins(1);

/// Where no daemon listens (the Filesystem Hierarchy Standard keeps no such directory), so that a run is its command's
/// own.
pub(super) const NO_DAEMON: &str = "/nonexistent/injector.sock";

/// What a fault does to the target's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Each takes longer by this.
    Slower(Duration),
    /// Each fails with this errno.
    Failing(i32),
}

/// A fault of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Act {
    words: &'static [&'static str],
    pub(super) effect: Effect,
}

/// All of them. The network, new connections, and system calls: what a host may allow one by one.
const ACTS: [Act; 3] = [
    Act {
        words: &["net", "delay", "--latency", "100ms"],
        effect: Effect::Slower(Duration::from_millis(100)),
    },
    Act {
        words: &["net", "connect", "--errno", "ECONNREFUSED"],
        effect: Effect::Failing(libc::ECONNREFUSED),
    },
    Act {
        words: &["sys", "error", "--syscall", "openat", "--errno", "EMFILE"],
        effect: Effect::Failing(libc::EMFILE),
    },
];

/// An event of a run; only what is read here.
#[derive(Deserialize)]
struct Event {
    event: String,
}

/// The part of `--dry-run --json` that is read here.
#[derive(Deserialize)]
struct Rehearsed {
    refusal: Option<Refusal>,
}

/// What can be shown here.
#[derive(Default)]
pub(super) struct Programme {
    /// The faults that this host would carry out now.
    pub(super) acts: Vec<Act>,
    /// The others, with the reason.
    pub(super) refused: Vec<(Act, String)>,
}

impl Programme {
    /// Has each fault rehearsed on this process, under this configuration.
    pub(super) fn choose(pid: u32, config: &Source) -> Result<Self, Refusal> {
        let mut programme = Self::default();
        for act in ACTS {
            let rehearsed: Rehearsed = read(&act.rehearse(pid, config)?)?;
            match rehearsed.refusal {
                None => programme.acts.push(act),
                Some(refusal) => programme.refused.push((act, refusal.message)),
            }
        }
        Ok(programme)
    }
}

/// The command that a person would type, as a program types it.
pub(super) fn arming(
    words: impl Iterator<Item = &'static str>,
    pid: u32,
    duration: &str,
    config: &Source,
) -> Command {
    let mut command = this_program();
    command
        .args(words)
        .args(["--pid", &pid.to_string(), "--duration", duration, "--json"])
        .env(SOCKET_VARIABLE, NO_DAEMON)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Source::Named(file) = config {
        command.arg("--config").arg(file);
    }
    command
}

impl Act {
    /// The fault's command, as `net delay`.
    pub(super) fn name(&self) -> String {
        self.words[..2].join(" ")
    }

    /// What a person would type.
    pub(super) fn command(&self, pid: u32) -> String {
        format!(
            "injector {} --pid {pid} --duration {DURATION}",
            self.words.join(" ")
        )
    }

    /// Arms it on the target until its time is over, and tells what both clients met while it was on.
    pub(super) fn play(
        &self,
        cast: &mut Cast,
        config: &Source,
    ) -> Result<(RunReport, Meanwhile), Refusal> {
        let mut child = self
            .command_for(cast.target(), config)
            .spawn()
            .map_err(|error| self.broke(&error))?;
        let told = child.stderr.take().map(heard_from);
        let is_armed = told.is_some_and(|told| is_armed(&told));
        let meanwhile = if is_armed {
            cast.listen(HEARD)
        } else {
            Meanwhile::default()
        };
        let has_ended = within(LIMIT, || !matches!(child.try_wait(), Ok(None)));
        if !has_ended {
            // Its faults end with it.
            let _ = child.kill();
        }
        let output = child
            .wait_with_output()
            .map_err(|error| self.broke(&error))?;
        let report = read(&output.stdout).map_err(|why| self.broke(&why))?;
        Ok((report, meanwhile))
    }

    /// What its command says where nothing is armed.
    fn rehearse(&self, pid: u32, config: &Source) -> Result<Vec<u8>, Refusal> {
        let output = self.command_for(pid, config).arg("--dry-run").output();
        Ok(output.map_err(|error| self.broke(&error))?.stdout)
    }

    fn command_for(&self, pid: u32, config: &Source) -> Command {
        arming(self.words.iter().copied(), pid, DURATION, config)
    }

    fn broke(&self, why: &dyn std::fmt::Display) -> Refusal {
        let why = why.to_string();
        Refusal::failed(format!(
            "{} of the demo broke off: {}.",
            self.name(),
            why.trim_end_matches('.')
        ))
    }
}

/// The events of a run, as it prints them on standard error.
pub(super) fn heard_from(stderr: ChildStderr) -> Receiver<String> {
    let (tell, told) = channel();
    thread::spawn(move || {
        // To the end, so that the run never waits for a reader.
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    told
}

/// Waits until the run says that its fault is on; false where it ends before.
pub(super) fn is_armed(told: &Receiver<String>) -> bool {
    let until = Instant::now() + LIMIT;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match told.recv_timeout(left) {
            Ok(line)
                if serde_json::from_str::<Event>(&line).is_ok_and(|it| it.event == "armed") =>
            {
                return true;
            }
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// A document on standard output, or the refusal that is there in its place.
pub(super) fn read<T: DeserializeOwned>(said: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(said).map_err(|error| {
        serde_json::from_slice::<Refusal>(said).unwrap_or_else(|_| {
            Refusal::failed(format!("its answer was not understood ({error})."))
        })
    })
}
