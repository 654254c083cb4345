//! What is asked about lines that other programs write: to a file, or to the journal of systemd.

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

/// What is asked about the lines that came into the journal of systemd since the question before: those of a unit, and
/// those that systemd writes about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournaldProbe {
    /// The unit.
    pub unit: UnitName,
    /// What a line is held against.
    pub pattern: Pattern,
    /// Whether such a line is good or bad.
    pub lines: Lines,
}

/// The name of one unit of systemd (systemd.unit(5)); without a type it is a service, as `journalctl` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitName(String);

/// The longest name of a unit, in bytes (systemd, `UNIT_NAME_MAX`).
const LONGEST_UNIT: usize = 255;

impl UnitName {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a unit. `journalctl` would take `*`, `?` and `[` for a pattern, which no unit has in its name.
pub(crate) fn unit(text: &str) -> Result<UnitName, ConditionError> {
    let is_of_a_unit = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if (1..=LONGEST_UNIT).contains(&text.len()) && text.bytes().all(is_of_a_unit) {
        Ok(UnitName(text.to_owned()))
    } else {
        Err(ConditionError::Unit(
            crate::printable::line(text).into_owned(),
        ))
    }
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

impl fmt::Display for JournaldProbe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = words::word(self.unit.as_str());
        let pattern = words::quoted(self.pattern.as_str());
        write!(out, "journald {unit} {} {pattern}", self.lines.name())
    }
}
