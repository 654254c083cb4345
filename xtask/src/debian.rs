//! Debian's `rust-src` package, where rustup's component is refused.
//!
//! It is looked for in backports, where the pinned version is.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::{apt::Apt, paths::Project, process, toolchain::RUSTC};

/// Suites that have carried the pinned version; the first that still has it wins.
const SUITES: [&str; 2] = ["trixie-backports", "sid"];

/// Where [`fetch`] leaves the standard library's source.
pub(crate) fn library_folder(project: &Project) -> PathBuf {
    folder(project).join(format!("unpacked/usr/src/rustc-{RUSTC}/library"))
}

/// Downloads and unpacks the package, and returns the folder of the standard library's source.
pub(crate) fn fetch(project: &Project) -> Result<PathBuf> {
    for suite in SUITES {
        let apt = Apt::new(folder(project), &[suite])?;
        let offers = apt.versions("rust-src");
        if let Some(version) = offers.as_deref().and_then(matching_version) {
            return unpack(project, &apt, version);
        }
    }
    bail!("no Debian suite within reach has rust-src {RUSTC}")
}

fn unpack(project: &Project, apt: &Apt, version: &str) -> Result<PathBuf> {
    let unpacked = folder(project).join("unpacked");
    apt.unpack(&format!("rust-src={version}"), &unpacked)?;
    let library = library_folder(project);
    ensure!(
        library.join("core/src/lib.rs").exists(),
        "the package has no {}",
        library.display()
    );
    process::announce(&format!("using Debian's rust-src {version}"));
    Ok(library)
}

/// The newest packaging of the pinned version among the lines of `apt-cache madison`.
fn matching_version(madison: &str) -> Option<&str> {
    madison
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| version.split('+').next() == Some(RUSTC))
}

fn folder(project: &Project) -> PathBuf {
    project.tools().join("debian")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_version_is_chosen_among_many() {
        let madison = " rust-src | 1.96.1+dfsg1-2~bpo13+1 | mirror trixie-backports/main\n \
                       rust-src | 1.95.0+dfsg1-2~bpo13+1 | mirror trixie-backports/main\n";
        assert_eq!(matching_version(madison), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(
            matching_version(" rust-src | 1.63.0+dfsg1-2 | mirror bookworm/main"),
            None
        );
        assert_eq!(
            matching_version(" rust-src | 1.95.01+dfsg1 | mirror x/main"),
            None
        );
        assert_eq!(matching_version(""), None);
    }
}
