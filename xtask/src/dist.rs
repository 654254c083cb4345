//! `cargo xtask dist`: what a person installs who has no checkout, in `dist` of cargo's target folder.
//!
//! A static program, which runs on every Linux of its architecture; its man pages and completions; and a Debian
//! package with all of that, the systemd unit and the configuration. `--check` installs the package on a clean Debian
//! ([`check`]).
//!
//! Invariants:
//! - The program is built as the manifests say, whatever the caller's environment says of profiles and flags.
//! - It is no larger than [`LARGEST`].
//! - Nothing is signed and nothing leaves this machine: publishing is another step.
//!
//! Rejected: a package of the dynamic program. It would need the glibc of the host that built it, or a later one.

mod check;
mod musl;
mod package;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};

pub(crate) use check::run as check;

use crate::{build, paths::Project, process, toolchain::as_written};
use musl::Musl;

/// Bytes of the program. TLS for probes (rustls, ring) took 1.1 MB of it, the relay and its faults 0.7 MB.
const LARGEST: u64 = 14 << 20;

/// Cargo's profile, which is also the name of its folder.
const PROFILE: &str = "shipped";

/// What was made.
pub(crate) struct Dist {
    /// The program.
    pub(crate) program: PathBuf,
    /// The Debian package.
    pub(crate) package: PathBuf,
}

/// Makes all of it and says where it is.
pub(crate) fn run(project: &Project) -> Result<ExitCode> {
    let Dist { program, package } = make(project)?;
    for path in [program, package] {
        println!("{:>6} KiB  {}", size(&path)? >> 10, path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes all of it.
pub(crate) fn make(project: &Project) -> Result<Dist> {
    let folder = project.target().join("dist");
    let object = build::bpf_programs(project)?;
    let musl = Musl::ensure(project)?;
    let program = program(project, &musl, &object, &folder)?;
    pages(project, &folder)?;
    let package = package::build(project, &folder)?;
    Ok(Dist { program, package })
}

/// Builds the program and leaves it in the folder.
fn program(project: &Project, musl: &Musl, object: &Path, folder: &Path) -> Result<PathBuf> {
    process::announce("building the static program (some minutes: it is optimised as a whole)");
    let mut cargo = musl.cargo(
        project,
        &format!("build --locked --profile {PROFILE} -p injector --bins"),
    );
    as_written(cargo.env("INJECTOR_BPF_OBJECT", object));
    process::run(&mut cargo, "the build of the static program")?;
    let built = built(project).join("injector");
    let bytes = size(&built)?;
    ensure!(
        bytes <= LARGEST,
        "{} has {bytes} bytes, and {LARGEST} are allowed: find what has grown, as with cargo-bloat",
        built.display()
    );
    fs::create_dir_all(folder)
        .with_context(|| format!("{} could not be made", folder.display()))?;
    let program = folder.join("injector");
    fs::copy(&built, &program)
        .with_context(|| format!("{} could not be written", program.display()))?;
    Ok(program)
}

/// Writes man pages and completions into the folder.
fn pages(project: &Project, folder: &Path) -> Result<()> {
    process::announce("writing man pages and completions");
    for old in ["man", "completions"].map(|name| folder.join(name)) {
        if old.exists() {
            fs::remove_dir_all(&old)
                .with_context(|| format!("{} could not be replaced", old.display()))?;
        }
    }
    let mut cargo = project.cargo("run --locked --quiet -p injector --example pages --");
    process::run(cargo.arg(folder), "the writer of man pages")
}

/// Where cargo leaves what it builds in this profile.
fn built(project: &Project) -> PathBuf {
    project.target().join(musl::triple()).join(PROFILE)
}

fn size(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path);
    let metadata = metadata.with_context(|| format!("{} is not there", path.display()))?;
    Ok(metadata.len())
}
