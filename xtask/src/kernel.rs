//! `cargo xtask kernel build`: a kernel that no Debian package has, from Debian's own source.
//!
//! What is wanted of the kernel is a file of the repository (`configs/kernels`), the source is a
//! package, and the finished image lies where `cargo xtask vm` looks for it. Nothing is installed:
//! what the build needs from the machine is looked for first, and named in one sentence.
//!
//! Rejected: a prebuilt image in the repository. A reader could not tell what is in it.

mod tools;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Subcommand, ValueEnum};

use crate::{
    paths::Project,
    process::{self, announce},
    vm,
};

/// What can be done about kernels.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Build a kernel from Debian's source package into `vm/kernels` of cargo's target folder (about
    /// 11 minutes on two cores); `cargo xtask vm` finds it there.
    Build {
        /// Which one.
        kernel: Recipe,
        /// Stop when the configuration is made and checked.
        #[arg(long)]
        configure_only: bool,
    },
}

/// A kernel that can be built.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Recipe {
    /// Linux 6.12 as on an Ubuntu host: error injection built in, BPF LSM off unless booted with it.
    UbuntuLike,
}

/// How long the build goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Configured,
    Built,
}

impl Recipe {
    /// The name of the finished kernel, and of its configuration.
    const fn name(self) -> &'static str {
        match self {
            Self::UbuntuLike => vm::UBUNTU_LIKE,
        }
    }

    /// Debian's package with the source.
    const fn package(self) -> &'static str {
        match self {
            Self::UbuntuLike => "linux-source-6.12",
        }
    }
}

/// Does it.
pub(crate) fn run(project: &Project, task: &Task) -> Result<ExitCode> {
    let Task::Build {
        kernel,
        configure_only,
    } = task;
    let until = if *configure_only {
        Until::Configured
    } else {
        Until::Built
    };
    build(project, *kernel, until)?;
    Ok(ExitCode::SUCCESS)
}

fn build(project: &Project, recipe: Recipe, until: Until) -> Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "the configuration is one for x86_64, and this is another machine: build it on x86_64"
    );
    tools::ensure()?;
    let name = recipe.name();
    let fragment = project
        .root()
        .join(format!("configs/kernels/{name}.config"));
    let source = source(project, recipe)?;
    let output = vm::folder(project).join("build").join(name);
    fs::create_dir_all(&output)
        .with_context(|| format!("{} could not be made", output.display()))?;

    announce(&format!("configuring {name}"));
    let mut configure = make(&source, &output);
    configure
        .env("KCONFIG_ALLCONFIG", &fragment)
        .args(["--quiet", "allnoconfig"]);
    process::run(&mut configure, "the configuration of the kernel")?;
    check(&fragment, &output.join(".config"))?;
    if until == Until::Configured {
        announce(&format!("the configuration is in {}", output.display()));
        return Ok(());
    }

    announce(&format!("building {name}, which takes some minutes"));
    let started = Instant::now();
    let mut compile = make(&source, &output);
    compile.args(["--quiet", &format!("--jobs={}", jobs()), "bzImage"]);
    process::run(&mut compile, "the build of the kernel")?;
    let image = vm::built_kernels(project).join(format!("{name}.bzImage"));
    deliver(&output.join("arch/x86/boot/bzImage"), &image)?;
    let took = started.elapsed().as_secs();
    announce(&format!("built {} in {took} s", image.display()));
    Ok(())
}

/// The unpacked source, fetched if it is not there.
fn source(project: &Project, recipe: Recipe) -> Result<PathBuf> {
    let package = recipe.package();
    let folder = vm::folder(project).join("source");
    let source = folder.join(package);
    if source.join("Makefile").exists() {
        return Ok(source);
    }
    let unpacked = vm::debian_package(project, package)?;
    let archive = unpacked.join(format!("usr/src/{package}.tar.xz"));
    announce(&format!("unpacking {}", archive.display()));
    let scratch = folder.join("scratch");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("an unpacked half could not be removed")?;
    }
    fs::create_dir_all(&scratch)
        .with_context(|| format!("{} could not be made", scratch.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&scratch).arg("-xf").arg(&archive);
    process::run(&mut tar, "tar")?;
    // Whole or not at all, so that a broken unpacking is tried again next time.
    fs::rename(scratch.join(package), &source)
        .with_context(|| format!("{} has no folder {package}", archive.display()))?;
    Ok(source)
}

/// `make` for a kernel, with nothing of this machine or moment in the result.
fn make(source: &Path, output: &Path) -> Command {
    let mut make = Command::new("make");
    make.arg("-C")
        .arg(source)
        .arg(format!("O={}", output.display()));
    for (name, value) in [
        ("KBUILD_BUILD_USER", "injector"),
        ("KBUILD_BUILD_HOST", "injector"),
        ("KBUILD_BUILD_TIMESTAMP", "2026-01-01"),
        ("KBUILD_BUILD_VERSION", "1"),
    ] {
        make.env(name, value);
    }
    // cargo runs this with its own job server, which make would take for its parent's.
    make.env_remove("MAKEFLAGS").env_remove("CARGO_MAKEFLAGS");
    make
}

fn jobs() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get() + 1)
}

/// Every line of the fragment must have taken effect: Kconfig drops silently what it cannot do.
fn check(fragment: &Path, config: &Path) -> Result<()> {
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
    };
    let missing = not_in_effect(&read(fragment)?, &read(config)?);
    if !missing.is_empty() {
        bail!(
            "the kernel's configuration does not take {} of {}: {}; the source may be newer than the \
             file, so mend the file",
            missing.len(),
            fragment.display(),
            missing.join(", ")
        );
    }
    Ok(())
}

fn not_in_effect(fragment: &str, config: &str) -> Vec<String> {
    let set: Vec<&str> = config.lines().collect();
    fragment
        .lines()
        .filter(|line| line.starts_with("CONFIG_") || is_unset(line))
        .filter(|line| !set.contains(line))
        .map(str::to_owned)
        .collect()
}

/// `# CONFIG_NAME is not set`, which Kconfig reads although it looks like a comment.
fn is_unset(line: &str) -> bool {
    line.starts_with("# CONFIG_") && line.ends_with(" is not set")
}

/// Puts the image in place, whole or not at all.
fn deliver(built: &Path, image: &Path) -> Result<()> {
    let half = image.with_extension("half");
    let folder = image.parent().context("an image has a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::copy(built, &half))
        .and_then(|_| fs::rename(&half, image))
        .with_context(|| format!("{} could not be written", image.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kconfig_dropped_is_found() {
        let fragment = "# BPF\nCONFIG_BPF=y\nCONFIG_NO_SUCH=y\n# CONFIG_MODULES is not set\n";
        let config = "CONFIG_BPF=y\nCONFIG_MODULES=y\n";
        assert_eq!(
            not_in_effect(fragment, config),
            ["CONFIG_NO_SUCH=y", "# CONFIG_MODULES is not set"]
        );
        assert!(not_in_effect(fragment, fragment).is_empty());
    }

    #[test]
    fn every_recipe_has_its_configuration() {
        for recipe in Recipe::value_variants() {
            let file = format!("../configs/kernels/{}.config", recipe.name());
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains("CONFIG_DEBUG_INFO_BTF=y"), "{text}");
        }
    }
}
