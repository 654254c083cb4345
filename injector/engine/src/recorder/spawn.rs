//! Starts the recorder.

use std::process::{Child, Stdio};

use super::{COMMAND, Recorder, Terminal};
use crate::{channel::Channel, spawn};
use injector_spec::error::Refusal;

/// A recorder that was started, and the two ways to talk to it.
pub struct Recording {
    /// The process.
    pub process: Child,
    /// What goes to disk.
    pub recorder: Recorder,
    /// What goes to the terminal.
    pub terminal: Terminal,
}

/// Where the recorder hears keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// At the standard input of the process that starts it: a terminal, which that process has in the foreground. The
    /// recorder cannot find that out itself, for its session has no terminal of its own.
    Standard,
    /// Nowhere, so that there is no dashboard: another job has the terminal, or there is none, and what else the standard
    /// input is may be the experiment itself.
    None,
}

/// Starts the recorder with the standard output and the standard error of this process.
pub fn start(keys: Keys) -> Result<Recording, Refusal> {
    let failed = |error: std::io::Error| {
        Refusal::failed(format!(
            "the process that writes the journal cannot be started: {error}; try again."
        ))
    };
    let (disk, its_disk) = Channel::pair().map_err(failed)?;
    let (terminal, its_terminal) = Channel::pair().map_err(failed)?;
    let mut command = spawn::own(COMMAND);
    spawn::leave_open(&mut command, "--disk", &its_disk);
    spawn::leave_open(&mut command, "--terminal", &its_terminal);
    let keys = match keys {
        Keys::Standard => Stdio::inherit(),
        Keys::None => Stdio::null(),
    };
    command
        .stdin(keys)
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit());
    let process = spawn::start(command, spawn::Lifetime::Own).map_err(failed)?;
    // Only this process's copies are left, so that the end of the recorder is heard.
    drop((its_disk, its_terminal));
    let recorder = Recorder::new(disk);
    recorder.greet()?;
    Ok(Recording {
        process,
        recorder,
        terminal: Terminal::new(terminal),
    })
}
