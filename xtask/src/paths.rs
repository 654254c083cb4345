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

/// This checkout, its target folder, and how things are compiled in it.
pub(crate) struct Project {
    root: PathBuf,
    target: PathBuf,
    profile: Profile,
}

/// How cargo compiles injector and the programs of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// With the checks of a debug build: what is tested, shown and drawn. One build serves all of it, the lints and the
    /// unit tests included.
    Checked,
    /// Optimized: what is measured, and what `cargo xtask build` leaves.
    Optimized,
}

impl Profile {
    /// What cargo calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Checked => "dev",
            Self::Optimized => "release",
        }
    }

    /// Its folder in cargo's target folder.
    const fn folder(self) -> &'static str {
        match self {
            Self::Checked => "debug",
            Self::Optimized => "release",
        }
    }
}

/// The part of `cargo metadata` that is read here.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
    workspace_root: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    targets: Vec<Target>,
}

/// Something that cargo builds: a library, a program, a test.
#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    /// Whether it has tests.
    test: bool,
}

impl Project {
    /// Asks cargo for both folders.
    pub(crate) fn locate(profile: Profile) -> Result<Self> {
        // Set by `cargo run`, which is what the alias `cargo xtask` stands for.
        let own_manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let metadata = metadata(&own_manifest)?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            profile,
        })
    }

    /// A copy of the checkout, with a target folder of its own.
    pub(crate) const fn at(root: PathBuf, target: PathBuf) -> Self {
        Self {
            root,
            target,
            profile: Profile::Checked,
        }
    }

    /// How things are compiled.
    pub(crate) const fn profile(&self) -> Profile {
        self.profile
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
        self.target.join(self.profile.folder()).join(name)
    }

    /// What has tests beside the libraries, as cargo is asked for it: `--bin NAME` and `--test NAME`, but for one test.
    pub(crate) fn tested_targets(&self, leave_out: &str) -> Result<Vec<String>> {
        let packages = metadata(&self.root)?.packages;
        let targets = packages.into_iter().flat_map(|package| package.targets);
        let asked = targets.filter(|target| target.test && target.name != leave_out);
        Ok(asked
            .flat_map(|target| match target.kind.first().map(String::as_str) {
                Some(kind @ ("bin" | "test")) => vec![format!("--{kind}"), target.name],
                _ => Vec::new(),
            })
            .collect())
    }

    /// `cargo WORDS` for the workspace, in this project's profile and with the BPF programs where these are built.
    ///
    /// Whether they are embedded is part of what cargo compares: all steps say the same, or each would build anew what
    /// the one before has built.
    pub(crate) fn compile(&self, words: &str) -> Command {
        let mut cargo = self.cargo(words);
        cargo.args(["--workspace", "--profile", self.profile.name()]);
        let object = self.bpf_object();
        if object.is_file() {
            cargo.env("INJECTOR_BPF_OBJECT", object);
        }
        cargo
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

/// Asks cargo of the workspace that the package in `folder` belongs to.
fn metadata(folder: &Path) -> Result<Metadata> {
    let output = Command::new(cargo_program())
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(folder.join("Cargo.toml"))
        .output()
        .context("cargo could not be started; install it from https://rustup.rs")?;
    anyhow::ensure!(
        output.status.success(),
        "cargo cannot read the workspace: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout)
        .context("the answer of `cargo metadata` was not understood")
}

/// The cargo that started us; it is the one that `rust-toolchain.toml` chose.
pub(crate) fn cargo_program() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
