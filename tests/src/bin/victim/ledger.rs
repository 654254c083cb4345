//! A service that keeps items and acknowledges them. While the other service that it needs does not answer, it makes
//! mistakes, each a known number of times: first it acknowledges items that it does not keep, then it keeps items in part,
//! then twice; after them it acknowledges nothing until the other is back.
//!
//! It answers `GET` with 200 while its last item was kept without a mistake, and with 503 else.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Args;

use crate::dependent::call;
use crate::health;
use crate::speak::ready;

/// Pause between two items.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a call of the other may take.
const PATIENCE: Duration = Duration::from_millis(60);

#[derive(Args)]
pub(crate) struct Ledger {
    #[arg(long)]
    listen: SocketAddr,
    /// The other: a `udp-echo`.
    #[arg(long)]
    needs: SocketAddr,
    /// Gets a line for each item that is acknowledged: its id, and the time.
    #[arg(long)]
    acknowledged: PathBuf,
    /// Gets a line for each item that is kept.
    #[arg(long)]
    kept: PathBuf,
    /// How many items are lost.
    #[arg(long)]
    lost: u32,
    /// How many are kept in part.
    #[arg(long)]
    torn: u32,
    /// How many are kept twice.
    #[arg(long)]
    double: u32,
}

impl Ledger {
    /// Serves until it is killed.
    pub(crate) fn serve(self) -> Result<()> {
        let listener = TcpListener::bind(self.listen)?;
        let address = listener.local_addr()?;
        let is_good = Arc::new(AtomicBool::new(true));
        let answering = Arc::clone(&is_good);
        health::serve(listener, move || answering.load(Ordering::Acquire));
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(self.needs)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let (mut acknowledged, mut kept) = (open(&self.acknowledged)?, open(&self.kept)?);
        ready(Some(address))?;
        let Self {
            lost, torn, double, ..
        } = self;
        let mut mistakes = 0;
        for number in 0_u64.. {
            let id = format!("item-{number:08}");
            let is_answered = call(&socket, number);
            let lines = match is_answered {
                true => Some(format!("{id}\n")),
                false if mistakes < lost => Some(String::new()),
                false if mistakes < lost + torn => Some(format!("{}\n", &id[..9])),
                false if mistakes < lost + torn + double => Some(format!("{id}\n{id}\n")),
                false => None,
            };
            is_good.store(is_answered, Ordering::Release);
            mistakes += u32::from(!is_answered);
            if let Some(lines) = lines {
                kept.write_all(lines.as_bytes())?;
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
                let (seconds, ns) = (now.as_secs(), now.subsec_nanos());
                acknowledged.write_all(format!("{id} {seconds}.{ns:09}\n").as_bytes())?;
            }
            sleep(PAUSE);
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<File> {
    Ok(OpenOptions::new().create(true).append(true).open(path)?)
}
