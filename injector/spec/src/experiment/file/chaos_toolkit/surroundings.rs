//! What the process that reads a document may be asked. A document of Chaos Toolkit hangs on its environment and its search
//! path; a file of authorities that a probe names has to be one that can be read, which is told where it is named.

use std::path::Path;

/// What may be asked of the process that reads. Where nothing is given, no variable is set, no program found, and no file
/// looked at.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// The value of a variable of the environment.
    pub variable: fn(&str) -> Option<String>,
    /// The whole path of the program that a bare name stands for.
    pub program: fn(&str) -> Option<String>,
    /// Whether a file has the certificates of authorities; the error says why not, and what to do.
    pub authorities: fn(&Path) -> Result<(), String>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            variable: |_| None,
            program: |_| None,
            authorities: |_| Ok(()),
        }
    }
}
