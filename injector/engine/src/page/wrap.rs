//! A line in rows.
//!
//! Rows after the first hang under the text of the first: in `name  what it is`, under `what`; else two columns
//! behind its indentation.

use textwrap::{core::Fragment, wrap_algorithms::wrap_first_fit};
use unicode_width::UnicodeWidthStr as _;

use super::{Line, Look, Role};

/// Columns by which rows after the first are indented more than the first, where the line has no columns.
const HANG: usize = 2;

/// A word, which is never cut, and the spaces behind it.
#[derive(Debug)]
struct Word<'l> {
    /// A word may change its role within.
    pieces: Vec<(Role, &'l str)>,
    width: usize,
    spaces: usize,
}

impl Fragment for Word<'_> {
    #[expect(clippy::cast_precision_loss, reason = "no word is that long")]
    fn width(&self) -> f64 {
        self.width as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "there are not so many spaces")]
    fn whitespace_width(&self) -> f64 {
        self.spaces as f64
    }

    fn penalty_width(&self) -> f64 {
        0.0
    }
}

impl Line {
    /// The line as it stands there in the end.
    pub(super) fn rows(&self, look: Look) -> Vec<String> {
        let (indent, words) = self.words();
        let whole = indent + width(&words);
        match look.width() {
            Some(width) if whole > width => wrapped(indent, &words, width, look),
            _ => vec![row(indent, &words, look)],
        }
    }

    /// The line in one row, however wide.
    pub(crate) fn row(&self, look: Look) -> String {
        let (indent, words) = self.words();
        row(indent, &words, look)
    }

    /// The spaces in front, and the words.
    fn words(&self) -> (usize, Vec<Word<'_>>) {
        let mut indent = 0;
        let mut words: Vec<Word<'_>> = Vec::new();
        let mut is_inside = false;
        for part in &self.parts {
            for piece in part.text.split_inclusive(' ') {
                let bare = piece.strip_suffix(' ').unwrap_or(piece);
                if !bare.is_empty() {
                    if !is_inside {
                        words.push(Word {
                            pieces: Vec::new(),
                            width: 0,
                            spaces: 0,
                        });
                    }
                    if let Some(word) = words.last_mut() {
                        word.pieces.push((part.role, bare));
                        word.width += bare.width();
                    }
                }
                let ends = piece.len() > bare.len();
                is_inside = !ends && (is_inside || !bare.is_empty());
                if ends {
                    match words.last_mut() {
                        Some(word) => word.spaces += 1,
                        None => indent += 1,
                    }
                }
            }
        }
        (indent, words)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no terminal is that wide")]
fn wrapped(indent: usize, words: &[Word<'_>], width: usize, look: Look) -> Vec<String> {
    let hang = hang(indent, words, width);
    let room = |indent: usize| width.saturating_sub(indent).max(1) as f64;
    let rows = wrap_first_fit(words, &[room(indent), room(hang)]);
    let indented = |(number, words): (usize, &[Word<'_>])| {
        let indent = if number == 0 { indent } else { hang };
        // A long word stands further to the left than others, rather than over the edge.
        let indent = indent.min(width.saturating_sub(self::width(words)));
        row(indent, words, look)
    };
    rows.into_iter().enumerate().map(indented).collect()
}

/// Where rows after the first begin: at the last column of the line that leaves half of the width.
fn hang(indent: usize, words: &[Word<'_>], width: usize) -> usize {
    let mut column = indent;
    let mut hang = indent + HANG;
    for word in words {
        column += word.width + word.spaces;
        if column > width / 2 {
            break;
        }
        if word.spaces >= 2 {
            hang = column;
        }
    }
    hang.min(width / 2)
}

/// The columns of words side by side, without the spaces behind the last.
fn width(words: &[Word<'_>]) -> usize {
    let whole: usize = words.iter().map(|word| word.width + word.spaces).sum();
    whole - words.last().map_or(0, |word| word.spaces)
}

fn row(indent: usize, words: &[Word<'_>], look: Look) -> String {
    // Neighbours of one role become one text, so that it is coloured once.
    let mut texts: Vec<(Role, String)> = vec![(Role::Plain, " ".repeat(indent))];
    let mut gap = 0;
    for word in words {
        for (role, piece) in &word.pieces {
            match texts.last_mut() {
                Some((last, text)) if last == role => {
                    text.push_str(&" ".repeat(gap));
                    text.push_str(piece);
                }
                _ => {
                    texts.push((Role::Plain, " ".repeat(gap)));
                    texts.push((*role, (*piece).to_owned()));
                }
            }
            gap = 0;
        }
        gap = word.spaces;
    }
    let texts = texts.iter().filter(|(_, text)| !text.is_empty());
    texts.map(|(role, text)| look.paint(*role, text)).collect()
}
