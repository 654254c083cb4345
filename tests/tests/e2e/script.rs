//! Programs in Python that a test talks to by lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use injector_tests::place::Place;
use serde::de::DeserializeOwned;

/// One that runs, killed when dropped.
pub(crate) struct Script {
    child: Child,
    asks: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Script {
    /// Starts this source with these arguments.
    pub(crate) fn start(place: Place<'_>, source: &str, words: &[&str]) -> Result<Self> {
        let mut command = Command::new("python3");
        command
            .args(["-c", source])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        place.settle(&mut command)?;
        let mut child = command.spawn().context("cannot start python3")?;
        let asks = child.stdin.take().context("no stdin")?;
        let says = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self { child, asks, says })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Tells it a line, and reads its answer, which is JSON.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, line: &str) -> Result<T> {
        writeln!(self.asks, "{line}")?;
        let said = self.line()?;
        serde_json::from_str(&said).with_context(|| format!("a script says {said:?}"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
