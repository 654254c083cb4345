//! Debian's kernels for clouds: small, and with the drivers of virtual machines built in.
//!
//! Point releases move on and old ones vanish from the mirrors, so the newest one of a series is
//! looked for, never a fixed version.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{catalogue::Kernel, folder};
use crate::{apt::Apt, paths::Project, process::announce};

/// The suites that carry one of the [`RELEASES`], or the source of another kernel.
const SUITES: [&str; 4] = [
    "bookworm",
    "bookworm-security",
    "bookworm-backports",
    "trixie-backports",
];

/// How the names of all these packages end.
const FLAVOUR: &str = "-cloud-amd64";

/// A series of kernels.
pub(super) struct Release {
    pub(super) name: &'static str,
    /// The beginning of the package with the image.
    image: &'static str,
    /// The beginning of the package with the modules, where that is another one.
    modules: Option<&'static str>,
    /// What follows, up to [`FLAVOUR`], as an extended regular expression.
    version: &'static str,
}

pub(super) const RELEASES: [Release; 3] = [
    Release {
        name: "debian-6.1",
        image: "linux-image-",
        modules: None,
        version: r"6\.1\.0-[0-9]+",
    },
    Release {
        name: "debian-6.12",
        image: "linux-image-",
        modules: None,
        version: r"6\.12\.[0-9]+\+deb12[.0-9]*",
    },
    Release {
        name: "debian-7.3",
        image: "linux-binary-",
        modules: Some("linux-modules-"),
        version: r"7\.3\.[0-9]+\+deb13[.0-9]*",
    },
];

/// busybox, linked statically: the guest's user space.
pub(super) fn busybox(project: &Project) -> Result<PathBuf> {
    let unpacked = unpacked(project, &apt(project)?, "busybox-static")?;
    first_existing(&[
        unpacked.join("bin/busybox"),
        unpacked.join("usr/bin/busybox"),
    ])
    .context("the package busybox-static has no busybox")
}

/// The newest kernel of a series, unpacked.
pub(super) fn fetch(project: &Project, release: &Release) -> Result<Kernel> {
    let apt = apt(project)?;
    let pattern = format!("^{}{}{FLAVOUR}$", release.image, release.version);
    let names = apt.names(&pattern);
    let newest = names
        .iter()
        .max_by_key(|name| numbers(name))
        .with_context(|| format!("no Debian suite within reach has a package {pattern}"))?;
    let version = newest.trim_start_matches(release.image);
    let image = unpacked(project, &apt, newest)?;
    let modules = match release.modules {
        None => image.clone(),
        Some(beginning) => unpacked(project, &apt, &format!("{beginning}{version}"))?,
    };
    let below = |folder: &Path| {
        [
            folder.join("lib/modules").join(version),
            folder.join("usr/lib/modules").join(version),
        ]
    };
    let [old, new] = below(&image).map(|folder| folder.join("vmlinuz"));
    let boot = image.join(format!("boot/vmlinuz-{version}"));
    Ok(Kernel {
        image: first_existing(&[boot, old, new])
            .with_context(|| format!("the package {newest} has no vmlinuz"))?,
        modules: first_existing(&below(&modules)),
        options: "",
    })
}

/// Any package of these suites.
pub(super) fn package(project: &Project, package: &str) -> Result<PathBuf> {
    unpacked(project, &apt(project)?, package)
}

fn unpacked(project: &Project, apt: &Apt, package: &str) -> Result<PathBuf> {
    let place = folder(project).join("packages").join(package);
    if !place.exists() {
        announce(&format!("fetching Debian's package {package}"));
        apt.unpack(package, &place)?;
    }
    Ok(place)
}

fn apt(project: &Project) -> Result<Apt> {
    Apt::new(folder(project).join("apt"), &SUITES)
}

fn first_existing(paths: &[PathBuf]) -> Option<PathBuf> {
    paths
        .iter()
        .find(|path| fs::exists(path).unwrap_or(false))
        .cloned()
}

/// The numbers in a package's name, which order the versions of one series.
fn numbers(name: &str) -> Vec<u64> {
    // The number of the architecture is none of the version.
    name.trim_end_matches(FLAVOUR)
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_highest_number() {
        let sorted = [
            "linux-image-6.12.90+deb12-cloud-amd64",
            "linux-image-6.12.90+deb12.1-cloud-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64",
        ];
        assert!(sorted.is_sorted_by_key(|name| numbers(name)));
    }
}
