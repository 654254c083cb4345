//! What a document of Chaos Toolkit means hangs on the process that reads it: its environment, and its search path.

/// What may be asked of the process that reads. Where nothing is given, no variable is set and no program found.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// The value of a variable of the environment.
    pub variable: fn(&str) -> Option<String>,
    /// The whole path of the program that a bare name stands for.
    pub program: fn(&str) -> Option<String>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            variable: |_| None,
            program: |_| None,
        }
    }
}
