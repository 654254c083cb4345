//! What is wrong with a file, and where.

use std::fmt::Display;

use super::node::Place;
use crate::error::Refusal;

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

/// Why a file is no experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {sentence}")]
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
