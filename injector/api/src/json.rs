//! JSON as the document of the interface describes it, and no other.
//!
//! Derived readers take more than the document says: a list in the place of an object, a field twice, null
//! for a field that is left out; and they answer in their library's words. So a body is read into a
//! [`Document`](Tree) first, which keeps all of it, and the types are filled from the tree by a reader that is as
//! strict as the document and tells where in the body the mistake is.
//!
//! An integer may be written `1.0`: for JSON Schema that is one.
//!
//! Rejected: a validator for JSON Schema in the daemon (a large parser of a client's bytes, and two
//! places that say what is valid), and types whose readers are written by hand (forty of them).

mod complaint;
mod reader;

use serde::de::DeserializeOwned;

use complaint::Complaint;
use injector_spec::experiment::Document as Tree;
use reader::Reader;

/// Why a body is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum JsonError {
    /// Not JSON at all.
    #[error(
        "the body is no JSON from line {line}, column {column} on, or nests more than 100 levels deep"
    )]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
    },
    /// JSON of something else.
    #[error(transparent)]
    Content(#[from] Complaint),
}

/// Reads a body.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    let tree: Tree = serde_json::from_slice(body).map_err(|error| JsonError::Syntax {
        line: error.line(),
        column: error.column(),
    })?;
    Ok(T::deserialize(Reader::of(&tree))?)
}

#[cfg(test)]
mod tests;
