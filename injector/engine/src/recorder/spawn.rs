//! Starts the recorder.

use std::{
    io::IsTerminal as _,
    process::{Child, Stdio},
};

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

/// Starts the recorder with the standard output and the standard error of this process.
pub fn start() -> Result<Recording, Refusal> {
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
    // A dashboard hears keys; what is no terminal may be the experiment itself.
    let keys = if std::io::stdin().is_terminal() {
        Stdio::inherit()
    } else {
        Stdio::null()
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
