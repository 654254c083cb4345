//! A command in a pseudo-terminal, and the screen as it stands when the command has ended.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    num::NonZeroU16,
    os::unix::ffi::OsStrExt,
    process::{Command, ExitStatus},
};

use anyhow::{Context, Result};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// More lines than any scene prints, so that none is scrolled away.
const ROWS: u16 = 400;

/// What a person would see.
pub(super) struct Shown {
    pub(super) screen: vt100::Screen,
    pub(super) status: ExitStatus,
}

/// Runs the command behind a prompt with what is typed.
pub(super) fn show(command: &mut Command, typed: &str, columns: u16) -> Result<Shown> {
    let rows = NonZeroU16::new(ROWS).context("a terminal without rows")?;
    let width = NonZeroU16::new(columns).context("a terminal without columns")?;
    let mut screen = vt100::Parser::new(rows, width, 0);
    screen.process(format!("\x1b[1;32m$\x1b[0m \x1b[1m{typed}\x1b[0m\r\n").as_bytes());
    let (mut ours, theirs) = pair(columns)?;
    command
        .stdin(theirs.try_clone()?)
        .stdout(theirs.try_clone()?)
        .stderr(theirs);
    let mut child = command
        .spawn()
        .with_context(|| format!("{} could not be started", command.get_program().display()))?;
    // The command keeps copies of the other end, which must be the child's alone for the end to be seen.
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut chunk = [0_u8; 4096];
    loop {
        match ours.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => screen.process(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The last process has closed the other end (drivers/tty/n_tty.c: `n_tty_read`).
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                break;
            }
            Err(error) => return Err(error).context("the terminal broke off"),
        }
    }
    let status = child.wait().context("waiting for the command")?;
    Ok(Shown {
        screen: screen.screen().clone(),
        status,
    })
}

/// Both ends of a pseudo-terminal: what a person sees, and what a program writes to.
fn pair(columns: u16) -> Result<(File, File)> {
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
    Ok((ours.into(), theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_what_stands_there_at_the_end() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            r"test -t 1 && stty size; printf 'first\rlast \033[31mred\033[0m\n'; exit 3",
        ]);
        let shown = show(&mut command, "sh", 100).unwrap();
        assert_eq!(shown.status.code(), Some(3));
        assert_eq!(shown.screen.contents(), "$ sh\n40 100\nlast red");
        let cell = shown.screen.cell(2, 5).unwrap();
        assert_eq!(
            (cell.contents(), cell.fgcolor()),
            ("r", vt100::Color::Idx(1))
        );
    }
}
