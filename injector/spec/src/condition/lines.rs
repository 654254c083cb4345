//! What is asked about a file that other programs write lines to.

use std::{fmt, path::PathBuf};

use super::{ConditionError, words};
use crate::pattern::Pattern;

/// What is asked about the lines that were appended to a file since the question before; since the first question
/// where there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProbe {
    /// The file; absolute.
    pub path: PathBuf,
    /// What a line is held against.
    pub pattern: Pattern,
    /// Whether such a line is good or bad.
    pub lines: Lines,
}

/// Whether a line that matches is good or bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Bad: it tells of an error.
    Absent,
    /// Good: it is a sign of life, and its absence is bad.
    Present,
}

impl Lines {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Present => "present",
        }
    }
}

/// A path that does not hang on where a process stands.
pub(crate) fn path(text: &str) -> Result<PathBuf, ConditionError> {
    if text.starts_with('/') && !text.contains('\0') {
        Ok(PathBuf::from(text))
    } else {
        Err(ConditionError::Path(
            crate::printable::line(text).into_owned(),
        ))
    }
}

impl fmt::Display for FileProbe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = words::quoted(&self.path.to_string_lossy());
        let pattern = words::quoted(self.pattern.as_str());
        write!(out, "file {path} {} {pattern}", self.lines.name())
    }
}
