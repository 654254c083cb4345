//! What a test can need of the machine. Each answers with the reason why it is not there.

use std::path::Path;
use std::process::Command;

use injector_tests::{binaries, cgroup};

/// `None` where the machine has it.
pub(crate) type Need = fn() -> Option<String>;

/// For tests of the harness alone.
pub(crate) const HARNESS: &[Need] = &[root, cgroup_v2];
/// For nearly all tests.
pub(crate) const INJECTOR: &[Need] = &[root, cgroup_v2, injector];
/// The same across network namespaces.
pub(crate) const INJECTOR_AND_NETNS: &[Need] = &[root, cgroup_v2, injector, iproute2];

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

/// `unshare`, for namespaces of other kinds.
pub(crate) fn unshare() -> Option<String> {
    let found = Command::new("unshare").arg("--version").output().is_ok();
    (!found).then(|| "needs unshare (Debian package util-linux)".to_owned())
}

/// Addresses of the sixth version.
pub(crate) fn ipv6() -> Option<String> {
    let there = Path::new("/proc/net/if_inet6").exists();
    (!there).then(|| "this kernel has no IPv6".to_owned())
}
