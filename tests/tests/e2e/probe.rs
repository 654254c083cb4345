//! The ways to look at a fault: a victim whose rounds show whether it is there.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use injector_tests::lab::Lab;
use injector_tests::observation::Summary;
use injector_tests::place::Place;
use injector_tests::victim::Victim;

/// What a victim does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Five round trips on a connection that is kept, spread over more time than a reset takes to come.
    TcpPing,
    /// Forty of them, with patience.
    TcpTalk,
    /// Five round trips by datagram.
    UdpPing,
    /// 400 numbered datagrams in flight at once.
    UdpFlow,
    /// Three echo requests.
    Icmp,
    /// 100 kB to a sink.
    TcpBulk,
    /// Five new connections.
    Connect,
    /// A connection that nothing is said on.
    Idle,
    /// Three questions for api.example.com.
    Dns,
}

/// Nothing ends an idle connection for so long, if no fault does.
const CALM_SPELL: Duration = Duration::from_millis(700);

/// A victim that is set up, its connection made.
pub(crate) struct Observer {
    probe: Probe,
    victim: Victim,
}

impl Probe {
    /// Starts the server that the probe talks to.
    pub(crate) fn serve(self, lab: &mut Lab) -> Result<SocketAddr> {
        match self {
            Self::TcpPing | Self::TcpTalk | Self::Connect | Self::Idle => lab.serve("tcp-echo"),
            Self::TcpBulk => lab.serve("tcp-sink"),
            Self::UdpPing | Self::UdpFlow => lab.serve("udp-echo"),
            Self::Dns => lab.serve_at("dns-server", SocketAddr::new(lab.address(), 53)),
            Self::Icmp => Ok(SocketAddr::new(lab.address(), 0)),
        }
    }

    /// Starts a victim that waits to be asked.
    pub(crate) fn observe(self, place: Place<'_>, server: SocketAddr) -> Result<Observer> {
        let peer = server.to_string();
        let host = server.ip().to_string();
        let arguments: &[&str] = match self {
            Self::TcpPing => &[
                "tcp-ping",
                "--connect",
                &peer,
                "--count",
                "5",
                "--interval",
                "40ms",
                "--timeout",
                "600ms",
                "--wait",
            ],
            Self::TcpTalk => &[
                "tcp-ping",
                "--connect",
                &peer,
                "--count",
                "40",
                "--timeout",
                "15s",
                "--wait",
            ],
            Self::UdpPing => &[
                "udp-ping",
                "--connect",
                &peer,
                "--count",
                "5",
                "--timeout",
                "500ms",
                "--wait",
            ],
            Self::UdpFlow => &[
                "udp-flow",
                "--connect",
                &peer,
                "--count",
                "400",
                "--timeout",
                "1s",
                "--wait",
            ],
            Self::Icmp => &[
                "icmp-ping",
                "--to",
                &host,
                "--count",
                "3",
                "--timeout",
                "500ms",
                "--wait",
            ],
            Self::TcpBulk => &[
                "tcp-bulk",
                "--connect",
                &peer,
                "--count",
                "25",
                "--size",
                "4000",
                "--wait",
            ],
            Self::Connect => &["connect", "--connect", &peer, "--count", "5", "--wait"],
            Self::Idle => &["idle-tcp", "--connect", &peer],
            Self::Dns => {
                let name = [
                    "--name",
                    "api.example.com",
                    "--count",
                    "3",
                    "--timeout",
                    "500ms",
                ];
                &[&["dns", "--server", &peer, "--wait"], &name[..]].concat()
            }
        };
        Ok(Observer {
            probe: self,
            victim: Victim::start(place, arguments)?,
        })
    }
}

impl Observer {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.victim.pid()
    }

    /// Starts a round; [`Observer::seen`] has its outcome.
    pub(crate) fn ask(&mut self) -> Result<()> {
        // An idle connection is looked at by doing nothing.
        if self.probe == Probe::Idle {
            Ok(())
        } else {
            self.victim.ask()
        }
    }

    /// The outcome of the round.
    pub(crate) fn seen(&self) -> Result<Summary> {
        if self.probe != Probe::Idle {
            return self.victim.summary();
        }
        let ended = self.victim.summary_within(CALM_SPELL)?;
        Ok(ended.unwrap_or(Summary {
            sent: 1,
            ok: 1,
            ..Summary::default()
        }))
    }

    /// One round.
    pub(crate) fn look(&mut self) -> Result<Summary> {
        self.ask()?;
        self.seen()
    }

    /// A round in which nothing may be felt of any fault. One that is slow and no more is asked again, twice at most: a machine
    /// that builds or emulates another beside this stands still now and then, and a fault would be there again.
    pub(crate) fn expect_calm(&mut self, who: &str) -> Result<()> {
        let felt = || format!("{who} felt a fault");
        let mut slow = 0;
        loop {
            let summary = self.look()?;
            unharmed(&summary).with_context(felt)?;
            match quick(&summary) {
                Err(_) if slow < 2 => slow += 1,
                seen => return seen.with_context(felt),
            }
        }
    }
}

/// Whether a round was as it is without any fault; bounds are those of a busy machine.
pub(crate) fn calm(summary: &Summary) -> Result<()> {
    unharmed(summary)?;
    quick(summary)
}

/// Whether all went well.
fn unharmed(summary: &Summary) -> Result<()> {
    ensure!(summary.failures() == 0, "failures: {:?}", summary.errors);
    ensure!(
        summary.ok == summary.sent,
        "{} of {} went well",
        summary.ok,
        summary.sent
    );
    if summary.damaged + summary.duplicates + summary.reordered > 0 {
        bail!("not as sent: {summary:?}");
    }
    Ok(())
}

/// Whether it was as quick as it is without any fault.
fn quick(summary: &Summary) -> Result<()> {
    ensure!(
        summary.p50_ns < 40_000_000,
        "slow: p50 {} ns",
        summary.p50_ns
    );
    ensure!(
        summary.elapsed_ns < 400_000_000,
        "slow: a round took {} ns",
        summary.elapsed_ns
    );
    Ok(())
}
