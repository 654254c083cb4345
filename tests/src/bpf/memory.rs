//! What the tables of a process take of the kernel's memory.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

/// Bytes that all BPF maps together take of which a process holds descriptors (kernel/bpf/syscall.c,
/// `bpf_map_show_fdinfo`: `memlock`, which is what they take since 6.4, and was an estimate before).
pub fn tables_of(pid: u32) -> Result<u64> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))?;
    let mut tables = BTreeMap::new();
    for entry in entries.flatten() {
        // One that is closed meanwhile is none.
        let told = fs::read_to_string(entry.path()).unwrap_or_default();
        let field = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(name));
            line?.trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            tables.insert(id, bytes);
        }
    }
    Ok(tables.into_values().sum())
}
