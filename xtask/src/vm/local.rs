//! This host as one more kernel: where it is a restricted one, it has a column in the table.

use std::{fs, path::Path};

use anyhow::Result;

use super::{
    harness::ONLY_MATRIX,
    table::{self, Column},
    verdict,
};
use crate::{build, paths::Project, process, root};

/// A host whose kernel takes neither BPF LSM programs nor kprobes, as hardened and nested ones do.
pub(super) const RESTRICTED: &str = "restricted host";

/// The name of this host's column, if it has one. Other hosts are like one of the virtual machines, or
/// like none: the table does not say what they ought to do.
pub(super) fn name() -> Option<&'static str> {
    let active = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let has_bpf_lsm = active.trim().split(',').any(|name| name == "bpf");
    let has_kprobes = Path::new("/sys/bus/event_source/devices/kprobe").exists();
    (!has_bpf_lsm && !has_kprobes).then_some(RESTRICTED)
}

/// Tries every fault here; none where this host has no column or there is no way to root.
pub(super) fn column(project: &Project) -> Result<Option<Column>> {
    if name().is_none() {
        return Ok(None);
    }
    let Ok(root) = root::available() else {
        return Ok(None);
    };
    let program = build::end_to_end(project)?;
    let injector = project.binary("injector");
    let (variable, value) = ONLY_MATRIX;
    let environment = [
        ("INJECTOR_BIN", injector.as_os_str()),
        (variable, value.as_ref()),
    ];
    let outcome = process::stream(&mut root.command(project, &program, &environment))?;
    Ok(Some(table::column(&verdict::read(&outcome.stdout))))
}
