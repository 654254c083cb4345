//! Where things are: the checkout and cargo's target folder.
//!
//! The target folder is asked from cargo, so `CARGO_TARGET_DIR` and cargo's configuration are
//! honoured. It is absolute: steps change their working directory.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde::Deserialize;

/// This checkout and its target folder.
pub(crate) struct Project {
    root: PathBuf,
    target: PathBuf,
}

/// The part of `cargo metadata` that is read here.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

impl Project {
    /// Asks cargo for both folders.
    pub(crate) fn locate() -> Result<Self> {
        // Set by `cargo run`, which is what the alias `cargo xtask` stands for.
        let own_manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let output = Command::new(cargo_program())
            .args([
                "metadata",
                "--no-deps",
                "--format-version",
                "1",
                "--manifest-path",
            ])
            .arg(own_manifest.join("Cargo.toml"))
            .output()
            .context("cargo could not be started; install it from https://rustup.rs")?;
        anyhow::ensure!(
            output.status.success(),
            "cargo cannot read the workspace: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .context("the answer of `cargo metadata` was not understood")?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
        })
    }

    /// A copy of the checkout, with a target folder of its own.
    pub(crate) const fn at(root: PathBuf, target: PathBuf) -> Self {
        Self { root, target }
    }

    /// The checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The crate with the BPF programs; it is no member of the workspace.
    pub(crate) fn bpf_crate(&self) -> PathBuf {
        self.root.join("injector-ebpf")
    }

    /// The BPF programs, where injector's build expects them.
    pub(crate) fn bpf_object(&self) -> PathBuf {
        self.bpf_target().join("injector.bpf.o")
    }

    /// The target folder of the BPF build, apart because cargo locks a target folder while it runs.
    pub(crate) fn bpf_target(&self) -> PathBuf {
        self.target.join("bpf")
    }

    /// The tools that the build fetches, as a root for `cargo install`.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A built executable.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// `cargo WORDS` in the checkout, on this project's target folder.
    ///
    /// `words` is split at spaces; arguments that may contain some are added by the caller.
    pub(crate) fn cargo(&self, words: &str) -> Command {
        let mut cargo = Command::new(cargo_program());
        cargo
            .args(words.split(' '))
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        cargo
    }
}

/// The cargo that started us; it is the one that `rust-toolchain.toml` chose.
pub(crate) fn cargo_program() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
