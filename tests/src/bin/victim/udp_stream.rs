//! Datagrams one way: a blast, and the sink that accounts for it.

use std::io::{ErrorKind, stdin};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::Result;
use injector_tests::boot_clock::now_ns;
use injector_tests::observation::{Line, Summary};

use crate::speak::{ready, rounds, say};
use crate::udp::{Account, connected, roomy};
use crate::{Rounds, errors, pattern};

/// Paced in steps of this many, because a sleep is longer than a datagram.
const STEP: u64 = 50;

/// Sends `count` datagrams, at most `rate` a second.
pub(crate) fn blast(
    peer: SocketAddr,
    rate: Option<u64>,
    size: usize,
    options: &Rounds,
) -> Result<()> {
    let socket = connected(peer)?;
    let mut message = vec![0; size];
    rounds(options.wait, || {
        let mut summary = Summary::default();
        let began = Instant::now();
        for number in 0..options.count {
            pattern::fill(&mut message, number);
            summary.sent += 1;
            match socket.send(&message) {
                Ok(length) => summary.bytes += length as u64,
                Err(error) => summary.failed(&errors::name(&error)),
            }
            if let Some(rate) = rate.filter(|_rate| number % STEP == STEP - 1) {
                let due = Duration::from_nanos(1_000_000_000 * (number + 1) / rate.max(1));
                sleep(due.saturating_sub(began.elapsed()));
            }
        }
        summary.elapsed_ns = u64::try_from(began.elapsed().as_nanos())?;
        Ok(summary)
    })
}

/// What has arrived since the last question.
#[derive(Default)]
struct Arrivals {
    account: Account,
    bytes: u64,
    first_ns: u64,
    last_ns: u64,
}

/// Accounts for datagrams; a line on standard input asks for what came since the last one, once
/// nothing has come for half a second.
pub(crate) fn sink(listen: SocketAddr) -> Result<()> {
    let socket = roomy(listen)?;
    ready(Some(socket.local_addr()?))?;
    let arrivals = Arc::new(Mutex::new(Arrivals::default()));
    let shared = Arc::clone(&arrivals);
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        loop {
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    let number = pattern::number(&buffer[..length]);
                    let mut arrivals = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    arrivals.account.take(number);
                    arrivals.bytes += length as u64;
                    arrivals.last_ns = now_ns();
                    if arrivals.first_ns == 0 {
                        arrivals.first_ns = arrivals.last_ns;
                    }
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_closed) => return,
            }
        }
    });
    for line in stdin().lines() {
        line?;
        say(&Line::Summary(Box::new(settle(&arrivals))))?;
    }
    Ok(())
}

/// Waits for quiet and takes the account.
fn settle(arrivals: &Mutex<Arrivals>) -> Summary {
    let deadline = now_ns() + 10_000_000_000;
    loop {
        sleep(Duration::from_millis(100));
        let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now_ns();
        let quiet_for = now.saturating_sub(arrivals.last_ns);
        if (arrivals.last_ns == 0 || quiet_for < 500_000_000) && now < deadline {
            if arrivals.last_ns == 0 && now + 9_000_000_000 > deadline {
                // Nothing at all for a second: the blast was swallowed whole.
                return Summary::default();
            }
            continue;
        }
        let taken = std::mem::take(&mut *arrivals);
        let mut summary = Summary {
            bytes: taken.bytes,
            elapsed_ns: taken.last_ns - taken.first_ns,
            ..Summary::default()
        };
        taken.account.write_to(&mut summary);
        return summary;
    }
}
