//! The source of `core`, which the BPF build compiles for its own target.
//!
//! In this order: what the toolchain has, rustup's component, Debian's package of the same version.
//! Rejected: `rust-src` in `rust-toolchain.toml`, because where rustup cannot fetch it that breaks
//! every cargo call, not only the BPF build.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, anyhow};

use crate::{
    debian,
    paths::Project,
    process,
    toolchain::{RUSTC, sysroot},
};

/// Where cargo finds the standard library's source.
pub(crate) enum RustSource {
    /// In the toolchain, where cargo looks anyway.
    Toolchain,
    /// In a folder of our own (the `library` folder of the Rust sources).
    Folder(PathBuf),
}

impl RustSource {
    /// Tells a cargo call about it.
    pub(crate) fn hand_to(&self, cargo: &mut Command) {
        if let Self::Folder(library) = self {
            // Cargo's own test suite uses this. The documented way is a link inside the toolchain,
            // which would change a folder that is not ours; the pinned version knows the variable.
            cargo.env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
        }
    }
}

/// Finds or fetches the source, and says what it fetched.
pub(crate) fn ensure(project: &Project) -> Result<RustSource> {
    let in_toolchain = sysroot()?.join("lib/rustlib/src/rust/library/core/src/lib.rs");
    if in_toolchain.exists() {
        return Ok(RustSource::Toolchain);
    }
    let unpacked = debian::library_folder(project);
    if unpacked.join("core/src/lib.rs").exists() {
        return Ok(RustSource::Folder(unpacked));
    }
    process::announce("fetching rust-src by `rustup component add rust-src`");
    let rustup = process::run(
        Command::new("rustup")
            .args(["component", "add", "rust-src"])
            .current_dir(project.root()),
        "rustup",
    );
    let refused = match rustup {
        Ok(()) if in_toolchain.exists() => return Ok(RustSource::Toolchain),
        Ok(()) => anyhow!("rustup added it to another toolchain"),
        Err(error) => error,
    };
    process::announce(&format!("rustup did not provide it ({refused:#})"));
    process::announce(&format!(
        "fetching Debian's package rust-src {RUSTC} instead"
    ));
    match debian::fetch(project) {
        Ok(library) => Ok(RustSource::Folder(library)),
        Err(error) => Err(anyhow!(
            "the source of Rust's core library is missing ({error:#}): run `rustup component add \
             rust-src` once with network access and try again"
        )),
    }
}
