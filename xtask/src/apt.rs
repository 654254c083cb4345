//! Debian packages, downloaded and unpacked into the target folder, never installed.
//!
//! apt gets a configuration of our own: the machine's package lists, sources and status stay as they
//! are, and no root is needed. The mirrors are the ones that the machine uses already; only the
//! suites differ.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};

use crate::process;

/// Debian's own keys, old and new; apt refuses a list that they did not sign.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Package lists younger than this are good enough: kernels and compilers change some times a month.
const FRESH: Duration = Duration::from_hours(24);

/// An apt that lives in a folder of its own.
pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Prepares one in `folder` that reads `suites` of Debian; a suite whose name ends with
    /// `-security` is read from the security archive, if this machine knows a mirror of it.
    pub(crate) fn new(folder: PathBuf, suites: &[&str]) -> Result<Self> {
        for needed in ["lists/partial", "cache/archives/partial"] {
            let path = folder.join(needed);
            fs::create_dir_all(&path)
                .with_context(|| format!("{} could not be made", path.display()))?;
        }
        let mirrors = mirrors()?;
        let sources: String = suites
            .iter()
            .filter_map(|suite| {
                let archive = if suite.ends_with("-security") {
                    "/debian-security"
                } else {
                    "/debian"
                };
                let mirror = mirror_of(&mirrors, archive)?;
                Some(format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))
            })
            .collect();
        ensure!(!sources.is_empty(), "apt has no Debian mirror configured");
        let apt = Self { folder };
        apt.use_sources(&sources)?;
        Ok(apt)
    }

    /// Writes the source list, and reads the suites anew if they are others or not fresh.
    fn use_sources(&self, sources: &str) -> Result<()> {
        let path = self.folder.join("sources.list");
        let is_same = fs::read_to_string(&path).is_ok_and(|old| old == sources);
        let stamp = self.folder.join("updated");
        if is_same && is_fresh(&stamp) {
            return Ok(());
        }
        fs::write(&path, sources).context("an apt source list could not be written")?;
        // A suite that cannot be read shows as one without the package.
        if process::answer(self.command("apt-get").args(["-qq", "update"])).is_some() {
            fs::write(&stamp, "").context("a time stamp could not be written")?;
        }
        Ok(())
    }

    /// The versions of a package that the suites offer, as `apt-cache madison` prints them.
    pub(crate) fn versions(&self, package: &str) -> Option<String> {
        process::answer(self.command("apt-cache").args(["madison", package]))
    }

    /// The names of packages that match an extended regular expression.
    pub(crate) fn names(&self, pattern: &str) -> Vec<String> {
        let mut search = self.command("apt-cache");
        let found = process::answer(search.args(["search", "--names-only", pattern]));
        found
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    }

    /// Downloads a package (`NAME` or `NAME=VERSION`) and unpacks it into `into`.
    ///
    /// `into` appears whole or not at all, so a broken download is tried again next time.
    pub(crate) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let scratch = self.folder.join("scratch");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).context("an old download could not be removed")?;
        }
        let unpacked = scratch.join("unpacked");
        fs::create_dir_all(&unpacked)
            .with_context(|| format!("{} could not be made", unpacked.display()))?;
        process::run(
            self.command("apt-get")
                .current_dir(&scratch)
                .args(["-qq", "download", package]),
            "apt-get download",
        )?;
        let archive = fs::read_dir(&scratch)
            .context("looking for the package")?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt-get downloaded nothing")?;
        process::run(
            Command::new("dpkg").arg("-x").arg(&archive).arg(&unpacked),
            "dpkg -x",
        )?;
        if let Some(parent) = into.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("{} could not be made", parent.display()))?;
        }
        if into.exists() {
            fs::remove_dir_all(into)
                .with_context(|| format!("{} could not be replaced", into.display()))?;
        }
        fs::rename(&unpacked, into)
            .with_context(|| format!("{} could not be put in place", into.display()))?;
        fs::remove_dir_all(&scratch).context("the download could not be removed")
    }

    fn command(&self, program: &str) -> Command {
        let folder = &self.folder;
        let mut apt = Command::new(program);
        apt.current_dir(folder);
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
}

fn is_fresh(stamp: &Path) -> bool {
    fs::metadata(stamp)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|written| {
            SystemTime::now()
                .duration_since(written)
                .is_ok_and(|age| age < FRESH)
        })
}

/// The addresses of the archives that this machine reads, one a line.
fn mirrors() -> Result<String> {
    process::answer(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))
    .context("this is no Debian with apt-get")
}

/// The address of Debian's archive that this machine reads.
pub(crate) fn debian_mirror() -> Result<String> {
    let mirrors = mirrors()?;
    let mirror = mirror_of(&mirrors, "/debian").context("apt has no Debian mirror configured")?;
    Ok(mirror.to_owned())
}

/// The first mirror whose address ends like this; security archives have no backports.
fn mirror_of<'a>(mirrors: &'a str, archive: &str) -> Option<&'a str> {
    mirrors
        .lines()
        .find(|address| address.trim_end_matches('/').ends_with(archive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_told_apart() {
        let mirrors = "http://a.example/debian-security/\n\
                       https://b.example/apt/\n\
                       http://a.example/debian/\n";
        assert_eq!(
            mirror_of(mirrors, "/debian"),
            Some("http://a.example/debian/")
        );
        assert_eq!(
            mirror_of(mirrors, "/debian-security"),
            Some("http://a.example/debian-security/")
        );
        assert_eq!(mirror_of("https://b.example/apt/", "/debian"), None);
    }
}
