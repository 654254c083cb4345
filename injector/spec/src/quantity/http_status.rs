//! `503`: the status of an answer that is an error.

use std::{fmt, str::FromStr};

use super::as_text;

/// The status of an answer by which a request has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpStatus(u16);

/// Why a text is no such status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the status of an error; write a number from 400 to 599, as in `503`")]
pub struct HttpStatusError(String);

impl HttpStatus {
    /// The number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether clients are to try again behind it.
    pub const fn invites_another_try(self) -> bool {
        invites_another_try(self.0)
    }
}

/// Whether clients are to try again behind an answer with this status: those that the SDKs of providers do so for (`openai-python`,
/// `_base_client.py`, `_should_retry`).
pub const fn invites_another_try(status: u16) -> bool {
    matches!(status, 408 | 409 | 429 | 500..)
}

impl Default for HttpStatus {
    /// 500: what a provider says when it knows nothing better.
    fn default() -> Self {
        Self(500)
    }
}

impl FromStr for HttpStatus {
    type Err = HttpStatusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| plain);
        number
            .filter(|number| (400..=599).contains(number))
            .map(Self)
            .ok_or_else(|| HttpStatusError(crate::printable::line(text).into_owned()))
    }
}

impl fmt::Display for HttpStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

as_text!(HttpStatus);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_are_taken() {
        for right in ["400", "429", "529", "599"] {
            assert_eq!(right.parse::<HttpStatus>().unwrap().to_string(), right);
        }
        for wrong in ["200", "399", "600", "+50", "5000", "", "5xx"] {
            assert!(wrong.parse::<HttpStatus>().is_err(), "{wrong}");
        }
    }
}
