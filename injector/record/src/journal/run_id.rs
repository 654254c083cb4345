//! Names of runs.

use std::{
    fmt,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// The name of a run: `r`, the second of its start and two random bytes, in hexadecimal. Names sort by
/// start, need no process to hand them out, and are safe as file names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// A text that names no run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a run; `injector list` shows them, as in `r65f0c2a19b3e`")]
pub struct RunIdError(String);

/// Letters of a name: `r`, eight for the second (until the year 2106), four random.
const LENGTH: usize = 13;

impl RunId {
    /// A new name. Two runs that start within the same second collide once in 65 536 times, and then
    /// [`super::Journal::create`] refuses to overwrite the other's file.
    pub fn generate() -> std::io::Result<Self> {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut random = [0; 2];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let seconds = since_epoch.as_secs() & u64::from(u32::MAX);
        Ok(Self(format!(
            "r{seconds:08x}{:04x}",
            u16::from_ne_bytes(random)
        )))
    }

    /// When the run started, in milliseconds since 1970, to the second.
    pub fn started_unix_ms(&self) -> u64 {
        (self.number() >> 16) * 1_000
    }

    /// The name as a number, which sorts as names do.
    pub(super) fn number(&self) -> u64 {
        // A name is `r` and twelve hexadecimal digits.
        u64::from_str_radix(&self.0[1..], 16).unwrap_or_default()
    }

    /// The name of a number, of which the lower 48 bits count.
    pub(super) fn of_number(number: u64) -> Self {
        Self(format!("r{:012x}", number & 0xffff_ffff_ffff))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix('r') {
            Some(rest) if text.len() == LENGTH && rest.bytes().all(is_hex) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(RunIdError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_name() {
        let run = RunId::generate().unwrap();
        assert_eq!(RunId::of_number(run.number()), run);
        assert_eq!(run.to_string().parse(), Ok(run));
        for text in [
            "",
            "r",
            "../../etc/passw",
            "r65f0c2a19b3E",
            "r65f0c2a19b3e0",
            "x65f0c2a19b3e",
        ] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
