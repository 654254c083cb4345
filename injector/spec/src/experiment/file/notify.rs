//! `notify`: which notifiers of the configuration hear of the run.
//!
//! ```yaml
//! notify: [webhook, journald]
//! ```
//! That the host's configuration has them is for its preflight to find out.

use super::{complaint::Complaint, fields::Fields, names::Named};
use crate::config::Channel;

/// Their names; none where the file names none, which means all.
pub(super) fn notify(fields: &Fields<'_>) -> Result<Vec<Channel>, Complaint> {
    let named = Named {
        key: "notify",
        what: "notifier",
        example: "webhook",
        all: &Channel::ALL,
        name: Channel::name,
    };
    named.read(fields)
}
