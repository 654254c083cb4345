//! What the BPF build needs besides cargo: rustc 1.95, the source of `core`, and bpf-linker.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    bpf_linker,
    paths::{Project, cargo_program},
    process,
    rust_src::{self, RustSource},
};

/// The rustc whose LLVM bpf-linker reads; `rust-toolchain.toml` says the same to rustup.
pub(crate) const RUSTC: &str = "1.95.0";

/// The target of BPF programs on a little-endian host.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";

/// A complete BPF toolchain.
pub(crate) struct Toolchain {
    linker_folder: Option<PathBuf>,
    source: RustSource,
}

impl Toolchain {
    /// Checks rustc, then finds or fetches the rest.
    pub(crate) fn ensure(project: &Project) -> Result<Self> {
        check_rustc()?;
        let source = rust_src::ensure(project)?;
        let linker_folder = bpf_linker::ensure(project)?;
        Ok(Self {
            linker_folder,
            source,
        })
    }

    /// `cargo SUBCOMMAND --release` for the BPF crate, with all that it needs.
    ///
    /// The compiler flags are in the crate's own `.cargo/config.toml`, where editors find them too.
    pub(crate) fn cargo(&self, project: &Project, subcommand: &str) -> Result<Command> {
        let words = format!("{subcommand} --release --target {BPF_TARGET} -Z build-std=core");
        let mut cargo = project.cargo(&words);
        cargo
            .current_dir(project.bpf_crate())
            .env("CARGO_TARGET_DIR", project.bpf_target())
            // build-std is a nightly feature; this lets the pinned stable compiler do it.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("PATH", path_with(self.linker_folder.as_deref())?);
        // What is optimised less also gives the kernel's verifier up to a hundred times more to look at.
        as_written(&mut cargo);
        self.source.hand_to(&mut cargo);
        Ok(cargo)
    }
}

/// Takes from a cargo call what the caller's environment says of flags and of the release profile, so that it builds
/// what the manifests say.
pub(crate) fn as_written(cargo: &mut Command) {
    cargo
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_INCREMENTAL");
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_RELEASE_") {
            cargo.env_remove(name);
        }
    }
}

fn check_rustc() -> Result<()> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = process::answer(Command::new(&rustc).arg("--version"))
        .with_context(|| format!("{} does not run: install rustup", rustc.display()))?;
    let found = version_in(&said).unwrap_or("an unknown version");
    ensure!(
        found == RUSTC,
        "the BPF programs build with rustc {RUSTC} only, and this is {found}: \
         install rustup, which reads rust-toolchain.toml, or unset RUSTUP_TOOLCHAIN"
    );
    Ok(())
}

/// The version in the answer of `rustc --version`, `bpf-linker --version` and the like.
///
/// It is the first word that begins with a digit.
pub(crate) fn version_in(answer: &str) -> Option<&str> {
    answer
        .split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
}

/// The folder of the compiler and its libraries.
pub(crate) fn sysroot() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    process::answer(Command::new(rustc).args(["--print", "sysroot"]))
        .map(PathBuf::from)
        .context("rustc does not tell its sysroot: install rustup")
}

fn path_with(first: Option<&Path>) -> Result<OsString> {
    let rest = env::var_os("PATH").unwrap_or_default();
    let folders = first
        .map(Path::to_owned)
        .into_iter()
        .chain(env::split_paths(&rest));
    env::join_paths(folders)
        .context("the target folder cannot be put on PATH: choose one without `:` in its name")
}

/// A cargo subcommand (`clippy`, `fmt`, ...) is installed.
pub(crate) fn has_subcommand(name: &str) -> bool {
    process::answer(Command::new(cargo_program()).args([name, "--version"])).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_answers() {
        assert_eq!(
            version_in("rustc 1.95.0 (59807616e 2026-04-14)"),
            Some("1.95.0")
        );
        assert_eq!(version_in("bpf-linker 0.10.3"), Some("0.10.3"));
        assert_eq!(
            version_in("rustc 1.96.0-nightly (abc 2026-01-01)"),
            Some("1.96.0-nightly")
        );
        assert_eq!(version_in("no version here"), None);
        assert_eq!(version_in(""), None);
    }
}
