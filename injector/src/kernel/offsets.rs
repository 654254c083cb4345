//! Which fields of kernel structs the programs read, by the names of their frozen globals.

use super::{Error, btf::Btf};

/// Globals, structs and fields that every run needs.
const NEEDED: [(&str, &str, &str); 5] = [
    ("OFFSET_TGID", "task_struct", "tgid"),
    ("OFFSET_LEADER", "task_struct", "group_leader"),
    ("OFFSET_START", "task_struct", "start_boottime"),
    ("OFFSET_SIGNAL", "task_struct", "signal"),
    ("OFFSET_LIVE", "signal_struct", "live"),
];

/// What faults on system calls need besides. A field of a field is `a.b`.
const FOR_CALLS: [(&str, &str, &str); 3] = [
    ("OFFSET_TASK_FLAGS", "task_struct", "flags"),
    ("OFFSET_THREAD_STATUS", "task_struct", "thread_info.status"),
    ("OFFSET_COMM", "task_struct", "comm"),
];

/// Where fields are on this kernel.
pub(super) struct Offsets {
    /// The globals with their values.
    pub(super) globals: Vec<(&'static str, u32)>,
    /// Why faults on system calls cannot be had, if a field of theirs is missing.
    pub(super) missing_for_calls: Option<Error>,
}

/// Looks all of them up.
pub(super) fn find(types: &Btf) -> Result<Offsets, Error> {
    let mut globals = Vec::new();
    for (global, record, field) in NEEDED {
        globals.push((global, types.offset(record, field)?));
    }
    let mut missing_for_calls = None;
    for (global, record, field) in FOR_CALLS {
        match types.offset(record, field) {
            Ok(offset) => globals.push((global, offset)),
            Err(error) => missing_for_calls = missing_for_calls.or(Some(error)),
        }
    }
    Ok(Offsets {
        globals,
        missing_for_calls,
    })
}
