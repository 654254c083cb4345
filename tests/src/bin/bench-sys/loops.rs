//! A process that makes one call again and again, and says how long that took.

use std::net::SocketAddr;

use anyhow::Result;
use injector_tests::place::Place;
use injector_tests::victim::Victim;

/// The process.
pub(crate) struct Loop {
    victim: Victim,
}

/// One turn of it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Nanoseconds of a call.
    pub(crate) nanos: f64,
    /// Calls that failed.
    pub(crate) failed: u64,
}

impl Loop {
    /// Starts it and lets it warm up.
    pub(crate) fn start(place: Place<'_>, server: SocketAddr, calls: u64) -> Result<Self> {
        let (server, count) = (server.to_string(), calls.to_string());
        let words = ["connect-udp", "--connect", &server, "--count", &count];
        let victim = Victim::start(place, &[&words[..], &["--wait"]].concat())?;
        let mut this = Self { victim };
        this.turn()?;
        Ok(this)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.victim.pid()
    }

    /// Makes all calls once.
    pub(crate) fn turn(&mut self) -> Result<Turn> {
        let round = self.victim.round()?;
        Ok(Turn {
            #[expect(clippy::cast_precision_loss, reason = "for a ratio")]
            nanos: round.elapsed_ns as f64 / round.sent.max(1) as f64,
            failed: round.failures(),
        })
    }
}

/// A command line on a process.
pub(crate) fn words<'w>(fault: &'w str, pid: &'w str) -> Vec<&'w str> {
    let target = ["--pid", pid, "--duration", "10m", "--json"];
    fault.split_whitespace().chain(target).collect()
}
