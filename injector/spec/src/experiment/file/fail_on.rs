//! `fail-on`: flaws of a target on which the run fails.
//!
//! ```yaml
//! fail-on: [retry-storm, hung]
//! ```

use super::{complaint::Complaint, fields::Fields, names::Named};
use crate::experiment::Flaw;

/// Their names.
pub(super) fn fail_on(fields: &Fields<'_>) -> Result<Vec<Flaw>, Complaint> {
    let named = Named {
        key: "fail-on",
        what: "flaw",
        example: "retry-storm",
        all: &Flaw::ALL,
        name: Flaw::name,
    };
    named.read(fields)
}
