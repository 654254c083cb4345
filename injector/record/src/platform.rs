//! On what a run takes place: a verdict is about one kernel and one version of this program, and says little of
//! others.

use std::{fmt, fs};

use injector_spec::printable;
use serde::{Deserialize, Serialize};

/// Where the kernel tells its release.
const RELEASE: &str = "/proc/sys/kernel/osrelease";

/// The kernel and the program of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The kernel's release, as `uname -r` prints it; empty where this host does not tell.
    pub kernel: String,
    /// This program's version.
    pub injector: String,
}

impl Platform {
    /// Those at hand.
    pub fn here() -> Self {
        let release = fs::read_to_string(RELEASE).unwrap_or_default();
        Self {
            kernel: release.trim().to_owned(),
            injector: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The kernel in words, on one line.
    pub fn kernel(&self) -> String {
        match self.kernel.as_str() {
            "" => "an unknown kernel".to_owned(),
            release => format!("Linux {}", printable::line(release)),
        }
    }
}

impl fmt::Display for Platform {
    /// `Linux 6.18.5, injector 0.1.0`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = printable::line(&self.injector);
        write!(out, "{}, injector {version}", self.kernel())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_tells_its_kernel() {
        let here = Platform::here();
        let told = std::process::Command::new("uname").arg("-r").output();
        let told = String::from_utf8(told.unwrap().stdout).unwrap();
        assert_eq!(here.kernel, told.trim());
        let said = format!("Linux {}, injector {}", here.kernel, here.injector);
        assert_eq!(here.to_string(), said);
    }
}
