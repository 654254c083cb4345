//! What is wrong with a file, and where.

use std::fmt::Display;

use super::node::Place;
use crate::{error::Refusal, printable};

/// A complaint about a place in a file whose name is not known yet.
#[derive(Debug)]
pub(super) struct Complaint {
    at: Place,
    sentence: String,
}

impl Complaint {
    pub(super) fn at(at: Place, sentence: impl Display) -> Self {
        Self {
            at,
            sentence: sentence.to_string(),
        }
    }

    pub(super) fn of(self, file: &str) -> FileError {
        let Self {
            at: Place { line, column },
            sentence,
        } = self;
        FileError {
            file: file.to_owned(),
            line,
            column,
            sentence,
        }
    }
}

/// The complaint about a byte that begins no character.
pub(super) fn no_utf8(bytes: &[u8], at: usize) -> Complaint {
    let (before, rest) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    // What stands in front of it is UTF-8.
    let before = String::from_utf8_lossy(before);
    let column = before.rsplit('\n').next().unwrap_or_default().chars();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1);
    let place = Place {
        line: count(before.matches('\n').count()),
        column: count(column.count()),
    };
    let byte = rest.first().copied().unwrap_or_default();
    let sentence = format!("byte {byte:02X} is not UTF-8; save the file as UTF-8");
    Complaint::at(place, sentence)
}

/// Why a file is no experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {sentence}", printable::line(file))]
pub struct FileError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong there, and what to do.
    pub sentence: String,
}

impl From<FileError> for Refusal {
    fn from(error: FileError) -> Self {
        Self::usage(error.to_string())
    }
}
