//! Who ended everything at once, and why.

use serde::{Deserialize, Serialize};

use crate::journal;

/// Who pulled the kill switch, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// User id.
    pub by_uid: u32,
    /// Process id; 0 where the file was made by hand.
    pub by_pid: u32,
    /// The user who logged in and became `by_uid`, as by sudo; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// In milliseconds since 1970.
    pub since_unix_ms: u64,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl std::fmt::Display for Halt {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = journal::time(self.since_unix_ms);
        write!(out, "halted by user {}", self.by_uid)?;
        if let Some(login) = self.login_uid.filter(|login| *login != self.by_uid) {
            write!(out, " (logged in as {login})")?;
        }
        if self.by_pid != 0 {
            write!(out, " (process {})", self.by_pid)?;
        }
        write!(out, " since {since}")?;
        match &self.reason {
            Some(reason) => write!(out, ": {}", reason.escape_debug()),
            None => Ok(()),
        }
    }
}
