//! That a person was told of an end, for the record.

use std::fmt;

pub use injector_spec::config::Channel;
use injector_spec::printable;
use serde::{Deserialize, Serialize};

use crate::journal;

/// That a recipient was told, or could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// By which way.
    pub channel: Channel,
    /// The program, the server, the socket; nothing that may be secret.
    pub whom: String,
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Why not; absent where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channel = match self.channel {
            Channel::Command => "command",
            Channel::Webhook => "webhook",
            Channel::Journald => "system log",
        };
        let (whom, time) = (printable::line(&self.whom), journal::time(self.unix_ms));
        match &self.failed {
            None => write!(out, "told {whom} ({channel}) at {time}"),
            Some(why) => write!(
                out,
                "could not tell {whom} ({channel}) at {time}: {}",
                printable::line(why)
            ),
        }
    }
}
