//! The file: which one, and where in it a mistake is. `injector-record` reads it.

use std::{
    ffi::OsString,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Config, mistake, notifier};
use crate::{error::Refusal, printable};

/// Where it is where nothing else is said.
const PATH: &str = "/etc/injector/injector.toml";

/// The variable that says something else.
const VARIABLE: &str = "INJECTOR_CONFIG";

/// Which file says what this host allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The usual one; where it is missing, the defaults are meant.
    Usual,
    /// One that a person named; it must be there.
    Named(PathBuf),
}

/// Which file said what a host allows, for the record: a person who names a file of their own for one
/// run sets the limits of that run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// Its absolute path.
    pub path: String,
    /// SHA-256 of its content, in hexadecimal digits, as `sha256sum` prints it.
    pub sha256: String,
}

impl ConfigFile {
    /// The file with this text.
    pub fn of(path: &Path, text: &str) -> Self {
        let absolute = std::path::absolute(path);
        let path = absolute.as_deref().unwrap_or(path).display().to_string();
        let digest = Sha256::digest(text.as_bytes());
        let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
        let digits = digest
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        Self {
            path,
            sha256: digits.collect(),
        }
    }
}

impl std::fmt::Display for ConfigFile {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} (sha256 {})", self.path, self.sha256)
    }
}

/// Why the limits of this host are not known. Nothing is armed then.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not there, or not for us.
    #[error("the configuration {} cannot be read: {error}; correct the path, or its mode", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// A user other than root could lift the limits.
    #[error(
        "the configuration {} can be written by others than root, and what they write would be the limits; \
         correct it with `chown root:root` and `chmod 644`",
        .0.display()
    )]
    Exposed(PathBuf),
    /// A mistake in it.
    #[error(
        "{}:{line}:{column}: {what}; configs/injector.toml of the source explains every key",
        printable::line(path)
    )]
    Mistake {
        /// The file.
        path: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        what: String,
    },
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl Source {
    /// The file that a flag names, or `INJECTOR_CONFIG`, or the usual one.
    pub fn choose(flag: Option<PathBuf>) -> Self {
        Self::of(flag, std::env::var_os(VARIABLE))
    }

    fn of(flag: Option<PathBuf>, variable: Option<OsString>) -> Self {
        flag.or(variable.map(PathBuf::from))
            .filter(|path| !path.as_os_str().is_empty())
            .map_or(Self::Usual, Self::Named)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Usual => Path::new(PATH),
            Self::Named(path) => path,
        }
    }
}

impl Config {
    /// Reads the text of a file that messages call `path`.
    pub fn parse(text: &str, path: &str) -> Result<Self, ConfigError> {
        let mistake = |start: usize, what: String| {
            let (line, column) = line_and_column(text, start);
            ConfigError::Mistake {
                path: path.to_owned(),
                line,
                column,
                what,
            }
        };
        let mut config: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            mistake(start, mistake::sentence(error.message()))
        })?;
        let wrong = |(at, what): (Range<usize>, String)| mistake(at.start, what);
        notifier::check(&config).map_err(wrong)?;
        config.schedule.check().map_err(wrong)?;
        config.schedule.locate(|at| line_and_column(text, at));
        Ok(config)
    }
}

/// Line and column of a byte, both from 1.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |feed| feed + 1);
    (line, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_goes_before_the_variable() {
        let named = |path: &str| Source::Named(path.into());
        assert_eq!(Source::of(Some("a".into()), Some("b".into())), named("a"));
        assert_eq!(Source::of(None, Some("b".into())), named("b"));
        assert_eq!(Source::of(None, Some("".into())), Source::Usual);
        assert_eq!(Source::of(None, None), Source::Usual);
    }
}
