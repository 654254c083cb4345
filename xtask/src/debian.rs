//! Debian's `rust-src` package, downloaded and unpacked into the target folder, never installed.
//!
//! The package is looked for in backports, where the pinned version is, with an apt configuration
//! of our own: the machine's package lists, sources and status stay as they are, and no root is
//! needed. The mirror is the one that the machine uses already.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail, ensure};

use crate::{paths::Project, process, toolchain::RUSTC};

/// Suites that have carried the pinned version; the first that still has it wins.
const SUITES: [&str; 2] = ["trixie-backports", "sid"];

/// Debian's own keys, old and new; apt refuses a list that they did not sign.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where [`fetch`] leaves the standard library's source.
pub(crate) fn library_folder(project: &Project) -> PathBuf {
    folder(project).join(format!("unpacked/usr/src/rustc-{RUSTC}/library"))
}

/// Downloads and unpacks the package, and returns the folder of the standard library's source.
pub(crate) fn fetch(project: &Project) -> Result<PathBuf> {
    let folder = folder(project);
    for needed in ["lists/partial", "cache/archives/partial", "unpacked"] {
        let path = folder.join(needed);
        fs::create_dir_all(&path)
            .with_context(|| format!("{} could not be made", path.display()))?;
    }
    let mirror = own_mirror()?;
    for suite in SUITES {
        let source = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(folder.join("sources.list"), source).context("writing an apt source list")?;
        // A suite that cannot be read shows as one without the package.
        let _ = process::answer(apt(project, "apt-get").args(["-qq", "update"]));
        let offers = process::answer(apt(project, "apt-cache").args(["madison", "rust-src"]));
        if let Some(version) = offers.as_deref().and_then(matching_version) {
            return unpack(project, version);
        }
    }
    bail!("no Debian suite within reach has rust-src {RUSTC}")
}

fn unpack(project: &Project, version: &str) -> Result<PathBuf> {
    let folder = folder(project);
    let package = format!("rust-src={version}");
    process::run(
        apt(project, "apt-get").args(["-qq", "download", &package]),
        "apt-get download",
    )?;
    let archive = fs::read_dir(&folder)
        .context("looking for the package")?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get downloaded nothing")?;
    process::run(
        Command::new("dpkg")
            .arg("-x")
            .arg(&archive)
            .arg(folder.join("unpacked")),
        "dpkg -x",
    )?;
    let library = library_folder(project);
    ensure!(
        library.join("core/src/lib.rs").exists(),
        "the package has no {}",
        library.display()
    );
    process::announce(&format!("using Debian's rust-src {version}"));
    Ok(library)
}

/// The mirror that serves Debian proper on this machine.
fn own_mirror() -> Result<String> {
    let format = "$(ORIGIN)|$(COMPONENT)|$(REPO_URI)";
    let targets = process::answer(Command::new("apt-get").args([
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
    ]))
    .context("rustup is refused and this is no Debian with apt-get")?;
    mirror_in(&targets)
        .map(str::to_owned)
        .context("apt has no Debian mirror configured")
}

/// The first mirror of the main archive; security archives have no backports.
fn mirror_in(targets: &str) -> Option<&str> {
    targets
        .lines()
        .filter_map(|line| line.rsplit('|').next())
        .find(|uri| uri.trim_end_matches('/').ends_with("/debian"))
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

fn apt(project: &Project, program: &str) -> Command {
    let folder = folder(project);
    let mut apt = Command::new(program);
    apt.current_dir(&folder);
    for (option, value) in [
        ("Dir::State::Lists", folder.join("lists")),
        ("Dir::Cache", folder.join("cache")),
        ("Dir::Etc::SourceList", folder.join("sources.list")),
        ("Dir::Etc::SourceParts", PathBuf::from("/dev/null")),
        // apt as root drops to a user who may not write below our folder.
        ("APT::Sandbox::User", PathBuf::from("root")),
        ("Debug::NoLocking", PathBuf::from("1")),
    ] {
        apt.arg("-o").arg(format!("{option}={}", value.display()));
    }
    apt
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

    #[test]
    fn the_main_archive_is_chosen_among_mirrors() {
        let targets = "Debian|main|http://a.example/debian-security/\n\
                       Other|main|https://b.example/apt/\n\
                       Debian|main|http://a.example/debian/\n";
        assert_eq!(mirror_in(targets), Some("http://a.example/debian/"));
        assert_eq!(mirror_in("Other|main|https://b.example/apt/"), None);
    }
}
