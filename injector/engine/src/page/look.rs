//! What the output is at this moment: a terminal, how wide, and whether it may be coloured.

use std::{env, os::fd::AsFd};

use anstyle::{AnsiColor, Effects, Style};
use rustix::termios::tcgetwinsize;

use super::Role;

/// Lines are no longer than this, however wide the terminal is: longer ones are hard to read.
const WIDEST: usize = 100;

/// The width of a terminal that does not know its own.
const UNKNOWN: usize = 80;

/// What the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A pipe or a file: no width, and no control sequence.
    Pipe,
    /// A terminal of so many columns that gets text alone (`NO_COLOR`, `TERM=dumb`).
    Bare(usize),
    /// A terminal of so many columns that gets colours and a live line.
    Full(usize),
}

impl Look {
    /// Asks the kernel and the environment. Waits for no reader.
    pub fn of(output: impl AsFd) -> Self {
        let Ok(size) = tcgetwinsize(output) else {
            return Self::Pipe;
        };
        let width = match usize::from(size.ws_col) {
            0 => UNKNOWN,
            columns => columns.min(WIDEST),
        };
        if takes_control_sequences() {
            Self::Full(width)
        } else {
            Self::Bare(width)
        }
    }

    /// Its columns, where it has any.
    pub const fn width(self) -> Option<usize> {
        match self {
            Self::Pipe => None,
            Self::Bare(width) | Self::Full(width) => Some(width),
        }
    }

    /// A text in the colour of its role.
    pub(super) fn paint(self, role: Role, text: &str) -> String {
        let style = style(role);
        match self {
            Self::Full(_) if style != Style::new() => format!("{style}{text}{style:#}"),
            _ => text.to_owned(),
        }
    }
}

/// <https://no-color.org>: any value but none turns colours off; a terminal without a name is taken for a dumb one.
fn takes_control_sequences() -> bool {
    let is_wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    is_wanted && env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb")
}

/// The sixteen colours alone, which a person's terminal has chosen to be readable.
const fn style(role: Role) -> Style {
    let style = Style::new();
    match role {
        Role::Plain => style,
        Role::Strong => style.effects(Effects::BOLD),
        Role::Good => AnsiColor::Green.on_default(),
        Role::Doubtful => AnsiColor::Yellow.on_default(),
        Role::Bad => AnsiColor::Red.on_default().effects(Effects::BOLD),
        Role::Dim => style.effects(Effects::DIMMED),
    }
}
