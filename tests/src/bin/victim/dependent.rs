//! A service that needs another one. What it does about the other's failure is its character, and so it is known when
//! it is good, and when it is good again.
//!
//! It answers `GET` with 200 while it is good and with 503 while it is not; of `/told` the status is 200 always, and
//! the body, which is JSON, has the state and the calls that wait. Each outage is told as an operation, from
//! its first moment to its last; a line on standard input asks for a summary, with an outage that goes on told first.

use std::fs::{self, OpenOptions};
use std::io::{Write, stdin};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, mpsc};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
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

/// What else it does.
#[derive(Args)]
pub(crate) struct Habits {
    /// How long a call of the other may take.
    #[arg(long, default_value = "60ms", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// Gets a line for each call that fails while the service is not good.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Sends back datagrams to its port while it is good, so that another can need it.
    #[arg(long)]
    echoes: bool,
    /// Is made when the service was not good for so long, and has the time on the boot clock.
    #[arg(long)]
    alarm: Option<PathBuf>,
    /// After which time.
    #[arg(long, default_value = "700ms", value_parser = humantime::parse_duration)]
    alarm_after: Duration,
}

/// Serves, and calls, until it is killed.
pub(crate) fn serve(
    listen: SocketAddr,
    needs: SocketAddr,
    character: Character,
    habits: &Habits,
) -> Result<()> {
    let log = habits.log.as_deref();
    let log = log.map(|path| OpenOptions::new().append(true).open(path));
    let listener = TcpListener::bind(listen)?;
    let is_good = Arc::new(AtomicBool::new(true));
    let answering = Arc::clone(&is_good);
    let address = listener.local_addr()?;
    health::serve(listener, move || answering.load(Ordering::Acquire));
    if habits.echoes {
        echo(UdpSocket::bind(address)?, Arc::clone(&is_good));
    }
    let asked = orders();
    ready(Some(address))?;
    let log = log.transpose()?;
    let mut alarm = habits.alarm.as_deref();
    call_for_ever(
        needs,
        character,
        habits.patience,
        &asked,
        |good, number, bad_for| {
            is_good.store(good, Ordering::Release);
            if let Some(mut log) = log.as_ref().filter(|_| !good) {
                writeln!(log, "ERROR call {number} has no answer")?;
            }
            if bad_for >= habits.alarm_after
                && let Some(path) = alarm.take()
            {
                raise(path)?;
            }
            Ok(())
        },
    )
}

/// Sends datagrams back while the service is good.
fn echo(socket: UdpSocket, is_good: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut got = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut got) {
            if is_good.load(Ordering::Acquire) {
                // One that has gone away needs no answer.
                let _sent = socket.send_to(&got[..length], from);
            }
        }
    });
}

/// Makes the alarm's file, with the time in it, in one step.
fn raise(path: &Path) -> Result<()> {
    let written = path.with_extension("written");
    fs::write(&written, now_ns().to_string())?;
    Ok(fs::rename(written, path)?)
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
    character: Character,
    patience: Duration,
    asked: &Receiver<()>,
    mut tell: impl FnMut(bool, u64, Duration) -> Result<()>,
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
        let bad_for = bad_since.filter(|_| !good).map_or(0, |since| now - since);
        tell(good, number, Duration::from_nanos(bad_for))?;
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
pub(crate) fn call(socket: &UdpSocket, number: u64) -> bool {
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
