//! Which faults may be used.

use globset::{Glob, GlobMatcher};
use serde::Deserialize;

/// `[faults]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AllowedFaults {
    /// Globs of their names.
    pub allow: Vec<FaultGlob>,
}

/// A glob of fault names, as in `net.*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct FaultGlob(GlobMatcher);

/// Why a text is no glob.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a glob of fault names: {why}; write one as in `net.*`")]
pub struct FaultGlobError {
    text: String,
    why: String,
}

impl AllowedFaults {
    /// Whether a fault may be used, by its name as in `net.delay`.
    pub fn includes(&self, name: &str) -> bool {
        self.allow.iter().any(|glob| glob.0.is_match(name))
    }
}

impl Default for AllowedFaults {
    fn default() -> Self {
        Self {
            // A constant that compiles; the test of the defaults would say otherwise.
            allow: FaultGlob::try_from("*".to_owned()).into_iter().collect(),
        }
    }
}

impl TryFrom<String> for FaultGlob {
    type Error = FaultGlobError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let problem = |why: &str| FaultGlobError {
            text: text.clone(),
            why: why.to_owned(),
        };
        if text.is_empty() {
            return Err(problem("it is empty"));
        }
        let glob = Glob::new(&text).map_err(|error| problem(&error.kind().to_string()))?;
        Ok(Self(glob.compile_matcher()))
    }
}

impl PartialEq for FaultGlob {
    fn eq(&self, other: &Self) -> bool {
        self.0.glob() == other.0.glob()
    }
}

impl Eq for FaultGlob {}

impl std::fmt::Display for FaultGlob {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.glob().fmt(out)
    }
}
