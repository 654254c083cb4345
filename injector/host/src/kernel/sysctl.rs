//! Sysctls of a network namespace. The two that the delay line needs on `lo` are host settings: the
//! executor records the old value before it writes and puts it back afterwards.

use std::{fs, path::PathBuf};

use super::Error;

/// What frames that come back over `lo` need: the kernel looks their route up again and would take
/// 127.0.0.0/8 and its own addresses for martians (`net/ipv4/fib_frontend.c`, `__fib_validate_source`).
pub const LOOPBACK_NEEDS: [&str; 2] = [
    "net.ipv4.conf.lo.accept_local",
    "net.ipv4.conf.lo.route_localnet",
];

/// The file of a sysctl named with dots.
fn path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(key.replace('.', "/"))
}

/// Reads a sysctl of the calling thread's network namespace.
pub fn read(key: &str) -> Result<String, Error> {
    fs::read_to_string(path(key))
        .map(|value| value.trim().to_owned())
        .map_err(|source| Error::system(format!("read the sysctl {key}"), source))
}

/// Writes a sysctl of the calling thread's network namespace.
pub fn write(key: &str, value: &str) -> Result<(), Error> {
    fs::write(path(key), value)
        .map_err(|source| Error::system(format!("set the sysctl {key} to {value}"), source))
}
