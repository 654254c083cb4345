//! A terminal with a person before it who reads everything, and may press Ctrl-S.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::{ffi::OsStrExt, process::CommandExt as _};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Action, LocalModes, Winsize, tcflow, tcgetattr, tcsetwinsize};

/// A pseudo-terminal, and all that came out of it.
#[derive(Debug)]
pub struct PseudoTerminal {
    /// The programs' end; closed to see the end of what they say.
    theirs: Option<File>,
    /// The person's end, to press keys at.
    keys: File,
    said: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl PseudoTerminal {
    /// One of 40 rows and so many columns.
    pub fn new(columns: u16) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .context("there is no pseudo-terminal")?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let theirs = OpenOptions::new()
            .read(true)
            .write(true)
            .open(std::ffi::OsStr::from_bytes(name.as_bytes()))
            .context("the other end of the pseudo-terminal cannot be opened")?;
        let size = Winsize {
            ws_row: 40,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&theirs, size)?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let mut ours = File::from(ours);
        let keys = ours.try_clone().context("no second descriptor")?;
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // The last program has closed the other end where it fails (drivers/tty/n_tty.c: `n_tty_read`).
            while let Ok(length @ 1..) = ours.read(&mut chunk) {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.extend_from_slice(&chunk[..length]);
            }
        });
        Ok(Self {
            theirs: Some(theirs),
            keys,
            said,
            reader: Some(reader),
        })
    }

    /// Lets a command read from it and print on it.
    pub fn seat(&self, command: &mut Command) -> Result<()> {
        let end = || self.theirs.as_ref().context("the terminal is closed");
        command
            .stdin(end()?.try_clone()?)
            .stdout(end()?.try_clone()?)
            .stderr(end()?.try_clone()?);
        Ok(())
    }

    /// The same for a shell, whose session has it as its terminal: its jobs come to the foreground and go.
    pub fn seat_shell(&self, shell: &mut Command) -> Result<()> {
        self.seat(shell)?;
        let take = || {
            setsid()?;
            Ok(ioctl_tiocsctty(std::io::stdin())?)
        };
        // SAFETY: `take` makes two system calls and nothing else: no allocation, no lock.
        unsafe { shell.pre_exec(take) };
        Ok(())
    }

    /// Presses keys.
    pub fn press(&self, keys: &str) -> Result<()> {
        (&self.keys)
            .write_all(keys.as_bytes())
            .context("no key can be pressed")
    }

    /// Makes it another size; programs hear of it by its size alone.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.keys, size).context("it keeps its size")
    }

    /// Whether a line is handed over whole and echoed, as shells leave a terminal.
    pub fn reads_lines(&self) -> Result<bool> {
        let mode = tcgetattr(&self.keys).context("it has no mode")?;
        let usual = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        Ok(mode.local_modes.contains(usual))
    }

    /// What came out so far.
    pub fn said(&self) -> Vec<u8> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }

    /// Ctrl-S: a program that writes waits.
    pub fn freeze(&self) -> Result<()> {
        let theirs = self.theirs.as_ref().context("the terminal is closed")?;
        Ok(tcflow(theirs, Action::OOff)?)
    }

    /// Ctrl-Q.
    pub fn thaw(&self) -> Result<()> {
        let theirs = self.theirs.as_ref().context("the terminal is closed")?;
        Ok(tcflow(theirs, Action::OOn)?)
    }

    /// All that came out, once no program has it any more.
    pub fn all(mut self) -> Vec<u8> {
        self.theirs = None;
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.said()
    }
}
