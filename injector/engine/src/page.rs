//! What people read, before it has a width and a colour.
//!
//! A command and a worker say what is to be read as a [`Page`]: lines of parts, each part with its [`Role`]. The
//! process that writes it (the recorder, or a command that holds nothing of a run) looks at the terminal at that
//! moment ([`Look`]) and makes rows of it: wrapped at spaces, coloured, or as they are where a pipe or a file takes
//! them.
//!
//! Invariants:
//! - Names of others are escaped where they enter a page, so the only control sequences of a row are ours.
//! - No word is cut. No row is wider than the terminal unless a single word is.
//! - Where the output is no terminal, a line stays one line, so that a search finds it, and has no control sequence.
//!
//! Rejected: texts with colours in them that the writer takes out again. A name that has a control sequence in it
//! could then be told from ours by nothing.

mod bound;
mod look;
mod wrap;

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthStr as _;

use injector_spec::printable;

pub use look::Look;

/// What a part of a line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Text.
    Plain,
    /// What the eye looks for first.
    Strong,
    /// It is as it should be.
    Good,
    /// It ended early, or is there in part.
    Doubtful,
    /// It failed, or is missing.
    Bad,
    /// What matters least.
    Dim,
}

/// How willingly a line is left out where a page has too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rank {
    /// Last of all.
    Essential,
    /// After the details.
    Useful,
    /// First.
    Detail,
}

/// Who reads a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Readers {
    /// Everybody.
    All,
    /// Those who see no live line, which says the same.
    WithoutLiveLine,
}

/// A part of a line, with control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    role: Role,
    text: String,
}

/// One line, of whatever length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    parts: Vec<Part>,
    rank: Rank,
}

/// Lines that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    lines: Vec<Line>,
    bound: Option<Bound>,
}

/// How many rows of a terminal a page takes at most, and the line that stands for what is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bound {
    rows: usize,
    rest: Line,
}

impl Line {
    /// A line of plain text.
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self::new().and(Role::Plain, text)
    }

    /// A line all of which means this.
    pub fn all(role: Role, text: impl AsRef<str>) -> Self {
        Self::new().and(role, text)
    }

    /// A line to which parts are added.
    pub fn new() -> Self {
        Self {
            parts: Vec::new(),
            rank: Rank::Essential,
        }
    }

    /// The line with one more part.
    #[must_use]
    pub fn and(mut self, role: Role, text: impl AsRef<str>) -> Self {
        self.parts.push(Part {
            role,
            text: printable::line(text.as_ref()).into_owned(),
        });
        self
    }

    /// The line with this rank.
    #[must_use]
    pub fn ranked(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }

    /// Its parts, in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Role, &str)> {
        self.parts
            .iter()
            .map(|part| (part.role, part.text.as_str()))
    }

    /// The columns that it takes in one row.
    pub(crate) fn width(&self) -> usize {
        self.parts.iter().map(|part| part.text.width()).sum()
    }

    /// What it says, without roles.
    pub fn text(&self) -> String {
        self.parts.iter().map(|part| part.text.as_str()).collect()
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Page {
    /// A page of plain text; line feeds end its lines, and tabs stay.
    pub fn text(text: &str) -> Self {
        Self::text_as(Role::Plain, text)
    }

    /// The same, all of which means this.
    pub fn text_as(role: Role, text: &str) -> Self {
        let lines = printable::lines(text.trim_end_matches('\n'));
        let line = |text: &str| Line {
            parts: vec![Part {
                role,
                text: text.to_owned(),
            }],
            rank: Rank::Essential,
        };
        Self {
            lines: lines.split('\n').map(line).collect(),
            bound: None,
        }
    }

    /// Adds a line.
    pub fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// The page in at most so many rows of a terminal; `rest` says where to read what is left out. Where the output is
    /// no terminal, nothing is left out.
    #[must_use]
    pub fn at_most(mut self, rows: usize, rest: Line) -> Self {
        self.bound = Some(Bound { rows, rest });
        self
    }

    /// What stands there in the end, row by row.
    pub fn rows(&self, look: Look) -> Vec<String> {
        match (&self.bound, look.width()) {
            (Some(bound), Some(width)) => bound::rows(&self.lines, bound, width, look),
            _ => self.lines.iter().flat_map(|line| line.rows(look)).collect(),
        }
    }

    /// The same, as it is written.
    pub fn bytes(&self, look: Look) -> Vec<u8> {
        let mut text = self.rows(look).join("\n");
        text.push('\n');
        text.into_bytes()
    }

    /// How much memory its text takes, about.
    pub fn size(&self) -> usize {
        let parts = self.lines.iter().flat_map(|line| &line.parts);
        parts.map(|part| part.text.len() + 1).sum()
    }
}

impl FromIterator<Line> for Page {
    fn from_iter<I: IntoIterator<Item = Line>>(lines: I) -> Self {
        Self {
            lines: lines.into_iter().collect(),
            bound: None,
        }
    }
}

#[cfg(test)]
mod tests;
