//! What the kernel says of a process in `/proc`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A field of the `status` of a process or thread, as `VmRSS`, by its folder.
pub fn field(folder: &Path, name: &str) -> Result<String> {
    let text = fs::read_to_string(folder.join("status"))?;
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = value.with_context(|| format!("no {name} in {text}"))?;
    Ok(value.trim().to_owned())
}

/// A field of a process that is an amount of memory, in KiB.
pub fn kib(pid: u32, name: &str) -> Result<u64> {
    let value = field(format!("/proc/{pid}").as_ref(), name)?;
    let number = value.split_whitespace().next().unwrap_or_default();
    number.parse().with_context(|| format!("{name} is {value}"))
}

/// Its processor time in ticks of 10 ms (proc(5), `utime` and `stime`; `USER_HZ` is 100 on each architecture that is built
/// for).
pub fn cpu_ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_name, rest) = stat.rsplit_once(')').context("no name in a stat")?;
    // After the name: state is field 3, utime field 14, stime field 15.
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || -> Result<u64> { Ok(fields.next().context("a stat is too short")?.parse()?) };
    Ok(next()? + next()?)
}
