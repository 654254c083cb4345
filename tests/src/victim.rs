//! A running victim: the test's end of its standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::binaries;
use crate::eventually::eventually;
use crate::observation::{Call, Line, Op, Summary};
use crate::place::Place;

/// Longer than any round takes, a fault's slowness included.
const PATIENCE: Duration = Duration::from_secs(40);

/// A victim process, killed when dropped.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Line>,
    /// What it was started with, for messages.
    arguments: String,
}

impl Victim {
    /// Starts `victim ARGUMENTS` and waits until it says that it is set up.
    pub fn start(place: Place<'_>, arguments: &[&str]) -> Result<Self> {
        Ok(Self::start_server(place, arguments)?.0)
    }

    /// A service of this character (`dependent` of the victims) that needs another; with the address it answers at.
    pub fn start_dependent(
        place: Place<'_>,
        listen: SocketAddr,
        needs: SocketAddr,
        character: &str,
        more: &[&str],
    ) -> Result<(Self, SocketAddr)> {
        let (listen, needs) = (listen.to_string(), needs.to_string());
        let words = ["dependent", "--listen", &listen, "--needs", &needs];
        let character = ["--character", character];
        let arguments = [&words[..], &character, more].concat();
        let (victim, address) = Self::start_server(place, &arguments)?;
        let address = address.context("a service did not say where it listens")?;
        Ok((victim, address))
    }

    /// The same, for a server: also gives the address it listens on.
    pub fn start_server(
        place: Place<'_>,
        arguments: &[&str],
    ) -> Result<(Self, Option<SocketAddr>)> {
        let mut command = Command::new(binaries::victim()?);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        place.settle(&mut command)?;
        let mut child = command.spawn().context("cannot start a victim")?;
        let stdin = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .context("a victim has no standard output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                let line = match serde_json::from_str(&text) {
                    Ok(line) => line,
                    Err(error) => {
                        eprintln!("a victim said {text:?}: {error}");
                        continue;
                    }
                };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let victim = Self {
            child,
            stdin,
            lines,
            arguments: arguments.join(" "),
        };
        match victim.next_line(PATIENCE)? {
            Line::Ready { address } => Ok((victim, address)),
            other => bail!("victim {}: first said {other:?}", victim.arguments),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks for a round (of a victim started with `--wait`).
    pub fn ask(&mut self) -> Result<()> {
        let stdin = self
            .stdin
            .as_mut()
            .context("its standard input is closed already")?;
        stdin
            .write_all(b"go\n")
            .with_context(|| format!("victim {} takes no more orders", self.arguments))
    }

    /// Waits for the end of a round.
    pub fn summary(&self) -> Result<Summary> {
        loop {
            if let Line::Summary(summary) = self.next_line(PATIENCE)? {
                return Ok(*summary);
            }
        }
    }

    /// The end of a round, unless it does not come in time.
    pub fn summary_within(&self, within: Duration) -> Result<Option<Summary>> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(Line::Summary(summary)) => return Ok(Some(*summary)),
                Ok(_other) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("victim {} ended without a word", self.arguments)
                }
            }
        }
    }

    /// Asks for a round and waits for its end.
    pub fn round(&mut self) -> Result<Summary> {
        self.ask()?;
        self.summary()
    }

    /// Asks for a round of a victim with several voices and waits for all of them.
    pub fn chorus(&mut self) -> Result<Vec<Summary>> {
        self.ask()?;
        let mut voices = Vec::new();
        loop {
            match self.next_line(PATIENCE)? {
                Line::Summary(summary) => voices.push(*summary),
                Line::Done => return Ok(voices),
                _other => {}
            }
        }
    }

    /// The operations of a round started by [`Victim::ask`], and its summary.
    pub fn operations(&self) -> Result<(Vec<Op>, Summary)> {
        let mut operations = Vec::new();
        loop {
            match self.next_line(PATIENCE)? {
                Line::Op(op) => operations.push(op),
                Line::Summary(summary) => return Ok((operations, *summary)),
                _other => {}
            }
        }
    }

    /// How the next connection of a server ended.
    pub fn closed(&self, within: Duration) -> Result<String> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Line::Closed { how } = self.next_line(left)? {
                return Ok(how);
            }
        }
    }

    /// The calls of an agent that are there by now.
    pub fn calls(&self) -> Vec<Call> {
        self.lines
            .try_iter()
            .filter_map(|line| match line {
                Line::Call(call) => Some(call),
                _other => None,
            })
            .collect()
    }

    /// How it ended.
    pub fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        eventually("a victim to end", within, || {
            self.child.try_wait().context("cannot wait for a victim")
        })
    }

    fn next_line(&self, within: Duration) -> Result<Line> {
        self.lines
            .recv_timeout(within)
            .with_context(|| format!("victim {} said nothing more", self.arguments))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Fails only where it has ended already, which is as good.
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}
