//! The terminal as the drawing library sees it: bytes of ECMA-48, all of one picture in one write.

use std::{fmt::Write as _, fs::File, io, os::fd::AsFd as _};

use ratatui_core::{
    backend::{Backend, ClearType, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
    style::{Color, Modifier},
};
use rustix::termios::tcgetwinsize;

use crate::tell;

/// To the alternate screen, and the cursor away.
pub(super) const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";

/// All attributes off, the cursor there, and back to the screen from before.
pub(super) const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// A terminal and what is to be written to it.
#[derive(Debug)]
pub(super) struct Ansi {
    terminal: File,
    waiting: String,
}

impl Ansi {
    pub(super) const fn new(terminal: File) -> Self {
        Self {
            terminal,
            waiting: String::new(),
        }
    }

    fn say(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.waiting.write_fmt(text);
    }
}

/// The size that the kernel knows.
pub(super) fn size(terminal: &File) -> io::Result<Size> {
    let size = tcgetwinsize(terminal)?;
    Ok(Size::new(size.ws_col, size.ws_row))
}

impl Backend for Ansi {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut next = None;
        let mut look = None;
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                self.say(format_args!("\x1b[{};{}H", y + 1, x + 1));
            }
            next = Some((x + 1, y));
            if look != Some((cell.fg, cell.modifier)) {
                look = Some((cell.fg, cell.modifier));
                self.waiting.push_str("\x1b[0");
                for (modifier, number) in [(Modifier::BOLD, 1), (Modifier::DIM, 2)] {
                    if cell.modifier.contains(modifier) {
                        self.say(format_args!(";{number}"));
                    }
                }
                if let Some(number) = colour(cell.fg) {
                    self.say(format_args!(";{number}"));
                }
                self.waiting.push('m');
            }
            self.waiting.push_str(cell.symbol());
            // A wide character leaves the cursor where its width says, which is not for us to know.
            if !cell.symbol().is_ascii()
                && unicode_width::UnicodeWidthStr::width(cell.symbol()) != 1
            {
                next = None;
            }
        }
        if look.is_some() {
            self.waiting.push_str("\x1b[0m");
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.waiting.push_str("\x1b[?25l");
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.waiting.push_str("\x1b[?25h");
        Ok(())
    }

    /// The cursor is hidden: its place says nothing.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        self.say(format_args!("\x1b[{};{}H", y + 1, x + 1));
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.waiting.push_str("\x1b[2J");
        Ok(())
    }

    /// All of it, whatever part is asked for: what follows draws everything.
    fn clear_region(&mut self, _part: ClearType) -> io::Result<()> {
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        size(&self.terminal)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize {
            columns_rows: self.size()?,
            pixels: Size::ZERO,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.waiting);
        tell::write(self.terminal.as_fd(), bytes.as_bytes())?;
        Ok(())
    }
}

/// The number of a foreground, of those that are used here.
const fn colour(colour: Color) -> Option<u8> {
    match colour {
        Color::Red => Some(31),
        Color::Green => Some(32),
        Color::Yellow => Some(33),
        _ => None,
    }
}
