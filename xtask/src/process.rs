//! Starting other programs: announced, with their output passed through while they run.

use std::{
    fmt,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result};

/// A program ran and failed; its own message is already on the terminal.
#[derive(Debug)]
pub(crate) struct CommandFailed {
    what: String,
    status: ExitStatus,
}

impl fmt::Display for CommandFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} failed ({}); the reason is printed above",
            self.what, self.status
        )
    }
}

impl std::error::Error for CommandFailed {}

/// What a program printed on its standard output, and how it ended.
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
}

/// Says what happens next.
///
/// On stderr, so that results on stdout stay clean.
pub(crate) fn announce(what: &str) {
    eprintln!("xtask: {what}");
}

/// A program of the host, by its name.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    ["/sbin", "/bin", "/usr/sbin", "/usr/bin"]
        .map(|folder| Path::new(folder).join(name))
        .into_iter()
        .find(|path| path.exists())
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| not_started(command))?;
    if status.success() {
        return Ok(());
    }
    Err(CommandFailed {
        what: what.to_owned(),
        status,
    }
    .into())
}

/// Runs a program to its end and keeps what it prints on stdout, which still appears at once.
pub(crate) fn stream(command: &mut Command) -> Result<Outcome> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| not_started(command))?;
    let mut kept = Vec::new();
    if let Some(mut pipe) = child.stdout.take() {
        let mut terminal = io::stdout().lock();
        let mut chunk = [0_u8; 4096];
        // Bytes, not lines: a harness prints `test name ... ` long before the verdict.
        loop {
            let length = match pipe.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("the program's output broke off"),
            };
            let bytes = &chunk[..length];
            kept.extend_from_slice(bytes);
            terminal
                .write_all(bytes)
                .and_then(|()| terminal.flush())
                .context("writing output")?;
        }
    }
    let status = child.wait().context("waiting for the program")?;
    Ok(Outcome {
        status,
        stdout: String::from_utf8_lossy(&kept).into_owned(),
    })
}

/// Runs a program whose answer is its first line; none if it cannot be started or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

fn not_started(command: &Command) -> String {
    format!("{} could not be started", command.get_program().display())
}
