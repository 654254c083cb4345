//! From source to executables: the BPF programs first, then what carries them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    paths::{Profile, Project},
    process,
    toolchain::{BPF_TARGET, Toolchain, sysroot},
};

/// Whether the BPF programs report what they do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BpfDebug {
    /// As released.
    Silent,
    /// With debug messages, which cost time on every packet.
    Logged,
}

/// The name of the end-to-end test in the tests package.
pub(crate) const END_TO_END: &str = "e2e";

/// Builds all that users and tests run: injector, and the executables of the tests package.
pub(crate) fn product(project: &Project, debug: BpfDebug) -> Result<()> {
    let toolchain = Toolchain::ensure(project)?;
    bpf_object(project, &toolchain, debug)?;
    process::announce("building injector and the test programs");
    let mut cargo = project.compile("build");
    cargo.arg("--bins");
    match project.profile() {
        // With a test among what is built, crates are compiled as all tests want them: once, for whatever comes next.
        Profile::Checked => cargo.args(["--test", END_TO_END]),
        Profile::Optimized => &mut cargo,
    };
    process::run(&mut cargo, "the build of injector")
}

/// Builds the BPF programs as they are released, with what that takes, and returns their object.
pub(crate) fn bpf_programs(project: &Project) -> Result<PathBuf> {
    let toolchain = Toolchain::ensure(project)?;
    bpf_object(project, &toolchain, BpfDebug::Silent)
}

/// Builds the BPF programs and leaves them at [`Project::bpf_object`].
fn bpf_object(project: &Project, toolchain: &Toolchain, debug: BpfDebug) -> Result<PathBuf> {
    process::announce("building the BPF programs");
    let mut cargo = toolchain.cargo(project, "build")?;
    if debug == BpfDebug::Logged {
        cargo.args(["--features", "debug-log"]);
    }
    process::run(&mut cargo, "the build of the BPF programs")?;
    let built = project
        .bpf_target()
        .join(BPF_TARGET)
        .join("release/injector-ebpf");
    let object = project.bpf_object();
    copy_if_changed(&stripped(&built)?, &object)?;
    Ok(object)
}

/// The object without DWARF, which takes four fifths of it and which neither the kernel nor aya reads: both go by BTF. Where
/// the toolchain has no objcopy (rustup's has), it stays whole.
fn stripped(object: &Path) -> Result<PathBuf> {
    let sysroot = sysroot()?;
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let objcopy = sysroot.join(format!("lib/rustlib/{target}/bin/rust-objcopy"));
    if !objcopy.is_file() {
        return Ok(object.to_owned());
    }
    let stripped = object.with_extension("stripped");
    let mut strip = Command::new(objcopy);
    // It needs the compiler's LLVM, which is no library of the host.
    strip.env("LD_LIBRARY_PATH", sysroot.join("lib"));
    strip.arg("--strip-debug").arg(object).arg(&stripped);
    process::run(&mut strip, "rust-objcopy")?;
    Ok(stripped)
}

/// Copies a file unless the copy is the same: a new timestamp would rebuild injector.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let new =
        fs::read(from).with_context(|| format!("the BPF build left no {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::write(to, new).with_context(|| format!("{} could not be written", to.display()))
}

/// Builds one program of the tests package, and returns where it is.
pub(crate) fn test_program(project: &Project, name: &str) -> Result<PathBuf> {
    let mut cargo = project.compile("build");
    cargo.args(["--bin", name]);
    process::run(&mut cargo, &format!("the build of {name}"))?;
    Ok(project.binary(name))
}

/// Builds all that users and tests run, and returns the executable of the end-to-end tests.
pub(crate) fn end_to_end(project: &Project) -> Result<PathBuf> {
    bpf_programs(project)?;
    process::announce("building injector, the test programs and the end-to-end tests");
    harness(project, &["--bins", "--test", END_TO_END])
}

/// Builds the same and the unit tests beside it, and returns the executable of the end-to-end tests. The BPF programs are
/// built already.
pub(crate) fn all_targets(project: &Project) -> Result<PathBuf> {
    process::announce("building injector and all tests");
    harness(project, &["--all-targets"])
}

fn harness(project: &Project, targets: &[&str]) -> Result<PathBuf> {
    let mut cargo = project.compile("build");
    cargo
        .args(targets)
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = cargo.output().context("cargo could not be started")?;
    executable_in(&String::from_utf8_lossy(&output.stdout))
        .context("the end-to-end tests did not build; the compiler's message is above")
}

/// One line of cargo's JSON messages; only what is read here.
#[derive(Deserialize)]
struct Message {
    target: Option<MessageTarget>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
    kind: Vec<String>,
}

/// The executable of the end-to-end tests among cargo's JSON messages.
fn executable_in(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .find_map(|message| {
            let target = message.target?;
            let wanted = target.name == END_TO_END && target.kind == ["test"];
            if wanted { message.executable } else { None }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_executable_is_found_among_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"demo","kind":["bin"]},"executable":"/t/demo"}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"e2e","kind":["test"]},"executable":"/t/e2e-1f"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable_in(messages), Some(PathBuf::from("/t/e2e-1f")));
        assert_eq!(
            executable_in(r#"{"reason":"build-finished","success":false}"#),
            None
        );
    }
}
