//! A service that needs another one. What it does about the other's failure is its character, and so it is known when
//! it is good, and when it is good again.
//!
//! It answers `GET` with 200 while it is good and with 503 while it is not; of `/told` the status is 200 always, and
//! the body, which is JSON, has the state and the calls that wait. Each outage is told as an operation, from
//! its first moment to its last; a line on standard input asks for a summary, with an outage that goes on told first.

use std::fs::{File, OpenOptions};
use std::io::{Write, stdin};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, mpsc};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::{Line, Op};

use crate::health;
use crate::speak::{ready, say};

/// What it does when the other service does not answer.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Character {
    /// Goes on without it.
    Absorbs,
    /// Fails for a second and a half, and takes another way.
    Adapts,
    /// Fails for as long as the other does.
    ComesBack,
    /// Fails for four seconds longer.
    ComesBackLate,
    /// Fails for ever.
    NeverComesBack,
}

/// Pause between two calls of the other service.
const PAUSE: Duration = Duration::from_millis(20);
const ADAPTS_AFTER_NS: u64 = 1_500_000_000;
const COMES_BACK_AFTER_NS: u64 = 4_000_000_000;

/// When the other service failed, on the boot clock.
#[derive(Default)]
struct Failures {
    first_ns: Option<u64>,
    last_ns: u64,
    /// Whether the last call failed.
    goes_on: bool,
}

impl Character {
    fn is_good(self, failures: &Failures, now: u64) -> bool {
        let Some(first) = failures.first_ns else {
            return true;
        };
        match self {
            Self::Absorbs => true,
            Self::Adapts => now >= first + ADAPTS_AFTER_NS,
            Self::ComesBack => !failures.goes_on,
            Self::ComesBackLate => now >= failures.last_ns + COMES_BACK_AFTER_NS,
            Self::NeverComesBack => false,
        }
    }
}

/// Serves, and calls, until it is killed; `patience` is how long a call may take.
pub(crate) fn serve(
    listen: SocketAddr,
    needs: SocketAddr,
    character: Character,
    patience: Duration,
    log: Option<&Path>,
) -> Result<()> {
    let log = log.map(|path| OpenOptions::new().append(true).open(path));
    let listener = TcpListener::bind(listen)?;
    let is_good = Arc::new(AtomicBool::new(true));
    let answering = Arc::clone(&is_good);
    let address = listener.local_addr()?;
    health::serve(listener, move || answering.load(Ordering::Acquire));
    let asked = orders();
    ready(Some(address))?;
    let log = log.transpose()?;
    call_for_ever(needs, (character, patience), &is_good, &asked, log.as_ref())
}

fn orders() -> Receiver<()> {
    let (sender, asked): (mpsc::Sender<()>, _) = channel();
    thread::spawn(move || {
        for _line in stdin().lines().map_while(Result::ok) {
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    asked
}

fn call_for_ever(
    needs: SocketAddr,
    (character, patience): (Character, Duration),
    is_good: &AtomicBool,
    asked: &Receiver<()>,
    mut log: Option<&File>,
) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(needs)?;
    socket.set_read_timeout(Some(patience))?;
    let mut failures = Failures::default();
    let mut bad_since = None;
    for number in 0.. {
        failures.goes_on = !call(&socket, number);
        if failures.goes_on {
            failures.last_ns = now_ns();
            failures.first_ns.get_or_insert(failures.last_ns);
        }
        let now = now_ns();
        let good = character.is_good(&failures, now);
        is_good.store(good, Ordering::Release);
        if let Some(log) = log.as_mut().filter(|_| !good) {
            writeln!(log, "ERROR call {number} has no answer")?;
        }
        match (good, bad_since) {
            (false, None) => bad_since = Some(now),
            (true, Some(since)) => {
                outage(since, now)?;
                bad_since = None;
            }
            (true, None) | (false, Some(_)) => {}
        }
        match asked.try_recv() {
            Ok(()) => {
                if let Some(since) = bad_since {
                    outage(since, now)?;
                }
                say(&Line::Summary(Box::default()))?;
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// Whether the answer to this call came in time. Answers to earlier calls are passed over.
fn call(socket: &UdpSocket, number: u64) -> bool {
    let sent = number.to_be_bytes();
    if socket.send(&sent).is_err() {
        return false;
    }
    let mut got = [0; 8];
    loop {
        match socket.recv(&mut got) {
            Ok(_) if got == sent => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

fn outage(from: u64, to: u64) -> Result<()> {
    say(&Line::Op(Op {
        start_ns: from,
        took_ns: to - from,
        error: Some("outage".into()),
    }))
}
