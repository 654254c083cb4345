//! What a test can need of the machine. Each answers with the reason why it is not there.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use injector_tests::{binaries, cgroup, lack::Lack};
use serde_json::Value;

/// `None` where the machine has it.
pub(crate) type Need = fn() -> Option<String>;

/// For tests of the harness alone.
pub(crate) const HARNESS: &[Need] = &[root, cgroup_v2];
/// For nearly all tests.
pub(crate) const INJECTOR: &[Need] = &[root, cgroup_v2, injector];
/// The same across network namespaces.
pub(crate) const INJECTOR_AND_NETNS: &[Need] = &[root, cgroup_v2, injector, iproute2];

/// By what programs stand on devices: faults on packets need one of the two.
pub(crate) const TCX: &str = "tcx";
pub(crate) const CLSACT: &str = "clsact";

/// The privileges that every mechanism needs.
pub(crate) fn root() -> Option<String> {
    (!rustix::process::geteuid().is_root()).then(|| "needs root".to_owned())
}

/// The hierarchy that targets live in.
pub(crate) fn cgroup_v2() -> Option<String> {
    cgroup::mount().err().map(|error| error.to_string())
}

/// The program under test.
pub(crate) fn injector() -> Option<String> {
    binaries::injector().err().map(|error| error.to_string())
}

/// `ip`, for namespaces and veth pairs.
pub(crate) fn iproute2() -> Option<String> {
    let found = Command::new("ip").arg("-V").output().is_ok();
    (!found).then(|| "needs ip (Debian package iproute2)".to_owned())
}

/// `tc`, for filters of another program.
pub(crate) fn tc() -> Option<String> {
    let version = Command::new("tc").arg("-V").output();
    let found =
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("iproute2"));
    (!found).then(|| "needs tc (Debian package iproute2)".to_owned())
}

/// `nft`, for the translation of addresses.
pub(crate) fn nft() -> Option<String> {
    let version = Command::new("nft").arg("--version").output();
    let found = version.is_ok_and(|output| output.status.success());
    (!found).then(|| "needs nft (Debian package nftables)".to_owned())
}

/// `unshare`, for namespaces of other kinds.
pub(crate) fn unshare() -> Option<String> {
    let found = Command::new("unshare").arg("--version").output().is_ok();
    (!found).then(|| "needs unshare (Debian package util-linux)".to_owned())
}

/// `openssl`, for servers that have a certificate.
pub(crate) fn openssl() -> Option<String> {
    let version = Command::new("openssl").arg("version").output();
    let found = version.is_ok_and(|output| output.status.success());
    (!found).then(|| "needs openssl (Debian package openssl)".to_owned())
}

/// `python3` with TLS of OpenSSL's library, for clients whose text is looked at.
pub(crate) fn python() -> Option<String> {
    let version = Command::new("python3").args(["-c", "import ssl"]).output();
    let found = version.is_ok_and(|output| output.status.success());
    (!found).then(|| "needs python3 with its module ssl (Debian package python3)".to_owned())
}

/// The same, and `openssl`, which makes its server's certificate.
pub(crate) fn python_and_openssl() -> Option<String> {
    python().or_else(openssl)
}

/// Probes in user space.
pub(crate) fn uprobes() -> Option<String> {
    let there = Path::new("/sys/bus/event_source/devices/uprobe").exists();
    (!there).then(|| "this kernel has no probes in user space".to_owned())
}

/// systemd's own check of units; nothing is started.
pub(crate) fn systemd_analyze() -> Option<String> {
    let version = Command::new("systemd-analyze").arg("--version").output();
    let found = version.is_ok_and(|output| output.status.success());
    (!found).then(|| "needs systemd-analyze (Debian package systemd)".to_owned())
}

/// Addresses of the sixth version.
pub(crate) fn ipv6() -> Option<String> {
    let there = Path::new("/proc/net/if_inet6").exists();
    (!there).then(|| "this kernel has no IPv6".to_owned())
}

/// Why threads cannot be put to sleep here; from `injector doctor`.
pub(crate) fn no_park() -> Option<String> {
    static ANSWER: OnceLock<Option<String>> = OnceLock::new();
    // Asked before every run of tests, so the costly question comes second.
    if !bpf_is_a_security_module() {
        return Some("BPF programs are no security module here".to_owned());
    }
    ANSWER
        .get_or_init(|| match lacks("park") {
            Ok(missing) => missing,
            Err(error) => Some(format!("{error:#}")),
        })
        .clone()
}

/// Programs that could sleep are called here, and the functions that they would sleep with are missing.
pub(crate) fn park_without_functions() -> Option<String> {
    match no_park() {
        Some(reason) if reason.contains("bpf_task_from_pid") => None,
        _ => Some("this kernel has the functions that the park calls".to_owned()),
    }
}

fn bpf_is_a_security_module() -> bool {
    let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    modules.split(',').any(|module| module.trim() == "bpf")
}

/// Goes no further with a test where the host lacks this capability, and counts it as refused: for tests that cannot hear
/// the injector's own refusal, because it talks to a terminal or a pipe of theirs, or is one of several runs.
pub(crate) fn by_means_of(capability: &str) -> Result<()> {
    match lacks(capability)? {
        Some(_why) => Err(Lack::of(capability).into()),
        None => Ok(()),
    }
}

/// The same where the host lacks both ways to stand on devices.
pub(crate) fn by_means_of_devices() -> Result<()> {
    if lacks(TCX)?.is_some() {
        by_means_of(CLSACT)?;
    }
    Ok(())
}

/// What `injector doctor` says about a capability, where it is missing.
pub(crate) fn lacks(name: &str) -> Result<Option<String>> {
    let output = Command::new(binaries::injector()?)
        .args(["doctor", "--json"])
        .output()?;
    let survey: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let found = survey.iter().find(|it| it["name"] == name);
    let found = found.with_context(|| format!("doctor says nothing about {name}"))?;
    Ok(found["missing"]["why"].as_str().map(ToOwned::to_owned))
}
