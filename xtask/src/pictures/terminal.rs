//! A command in a pseudo-terminal, and the screen as it stands when the command has ended.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write as _},
    num::NonZeroU16,
    os::unix::ffi::OsStrExt,
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// More lines than any scene prints, so that none is scrolled away.
const ROWS: u16 = 400;

/// Rows of a terminal that shows a dashboard.
const DASHBOARD_ROWS: u16 = 26;

/// The exit code of a judged run that a person has ended before its time.
const INCONCLUSIVE: i32 = 4;

/// When a screen is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// When the command has ended.
    AtItsEnd,
    /// So long after the dashboard came; then the run is ended by its keys.
    OnDashboard(Duration),
}

impl Moment {
    /// The exit code of the command.
    pub(super) const fn code(self) -> i32 {
        match self {
            Self::AtItsEnd => 0,
            Self::OnDashboard(_) => INCONCLUSIVE,
        }
    }

    const fn rows(self) -> u16 {
        match self {
            Self::AtItsEnd => 40,
            Self::OnDashboard(_) => DASHBOARD_ROWS,
        }
    }
}

/// A person who looks at the dashboard, and then ends the run.
struct Onlooker {
    since: Option<Instant>,
    seen: Option<vt100::Screen>,
    keys: std::str::Bytes<'static>,
}

impl Onlooker {
    fn new() -> Self {
        Self {
            since: None,
            seen: None,
            keys: "qy".bytes(),
        }
    }

    /// Looks at the screen; the key that is pressed now.
    fn look(&mut self, screen: &vt100::Screen, after: Duration) -> Option<u8> {
        if !screen.alternate_screen() {
            return None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() < after {
            return None;
        }
        self.seen.get_or_insert_with(|| screen.clone());
        self.keys.next()
    }
}

/// What a person would see.
pub(super) struct Shown {
    pub(super) screen: vt100::Screen,
    pub(super) status: ExitStatus,
}

/// Runs the command behind a prompt with what is typed.
pub(super) fn show(
    command: &mut Command,
    typed: &str,
    columns: u16,
    moment: Moment,
) -> Result<Shown> {
    let rows = match moment {
        Moment::AtItsEnd => ROWS,
        Moment::OnDashboard(_) => DASHBOARD_ROWS,
    };
    let rows = NonZeroU16::new(rows).context("a terminal without rows")?;
    let width = NonZeroU16::new(columns).context("a terminal without columns")?;
    let mut screen = vt100::Parser::new(rows, width, 0);
    screen.process(format!("\x1b[1;32m$\x1b[0m \x1b[1m{typed}\x1b[0m\r\n").as_bytes());
    let (mut ours, theirs) = pair(columns, moment.rows())?;
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
    let mut onlooker = Onlooker::new();
    let mut chunk = [0_u8; 4096];
    loop {
        match ours.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => {
                screen.process(&chunk[..length]);
                // A dashboard is drawn some times a second, so each key is heard before the next.
                if let Moment::OnDashboard(after) = moment
                    && let Some(key) = onlooker.look(screen.screen(), after)
                {
                    ours.write_all(&[key]).context("no key can be pressed")?;
                }
            }
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
        screen: onlooker.seen.unwrap_or_else(|| screen.screen().clone()),
        status,
    })
}

/// Both ends of a pseudo-terminal: what a person sees, and what a program writes to.
fn pair(columns: u16, rows: u16) -> Result<(File, File)> {
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
        ws_row: rows,
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
        let shown = show(&mut command, "sh", 100, Moment::AtItsEnd).unwrap();
        assert_eq!(shown.status.code(), Some(3));
        assert_eq!(shown.screen.contents(), "$ sh\n40 100\nlast red");
        let cell = shown.screen.cell(2, 5).unwrap();
        assert_eq!(
            (cell.contents(), cell.fgcolor()),
            ("r", vt100::Color::Idx(1))
        );
    }
}
