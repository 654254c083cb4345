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
const FOR_CALLS: [(&str, &str, &str); 30] = [
    ("OFFSET_TASK_FLAGS", "task_struct", "flags"),
    ("OFFSET_THREAD_STATUS", "task_struct", "thread_info.status"),
    ("OFFSET_CRED", "task_struct", "cred"),
    ("OFFSET_REAL_CRED", "task_struct", "real_cred"),
    ("OFFSET_COMM", "task_struct", "comm"),
    ("OFFSET_FILES", "task_struct", "files"),
    ("OFFSET_FDT", "files_struct", "fdt"),
    ("OFFSET_FDT_MAX", "fdtable", "max_fds"),
    ("OFFSET_FDT_FD", "fdtable", "fd"),
    ("OFFSET_FILE_DENTRY", "file", "f_path.dentry"),
    ("OFFSET_FILE_INODE", "file", "f_inode"),
    ("OFFSET_FILE_PRIVATE", "file", "private_data"),
    ("OFFSET_PATH_DENTRY", "path", "dentry"),
    ("OFFSET_DENTRY_INODE", "dentry", "d_inode"),
    ("OFFSET_DENTRY_PARENT", "dentry", "d_parent"),
    ("OFFSET_DENTRY_NAME", "dentry", "d_name"),
    ("OFFSET_INODE_INO", "inode", "i_ino"),
    ("OFFSET_INODE_MODE", "inode", "i_mode"),
    ("OFFSET_INODE_OP", "inode", "i_op"),
    ("OFFSET_ATOMIC_OPEN", "inode_operations", "atomic_open"),
    ("OFFSET_INODE_SB", "inode", "i_sb"),
    ("OFFSET_SB_DEV", "super_block", "s_dev"),
    ("OFFSET_SOCKET_FILE", "socket", "file"),
    ("OFFSET_SOCKET_SK", "socket", "sk"),
    ("OFFSET_SOCK_FAMILY", "sock", "__sk_common.skc_family"),
    ("OFFSET_SOCK_PORT", "sock", "__sk_common.skc_dport"),
    ("OFFSET_SOCK_V4", "sock", "__sk_common.skc_daddr"),
    ("OFFSET_SOCK_V6", "sock", "__sk_common.skc_v6_daddr"),
    ("OFFSET_MESSAGE_NAME", "msghdr", "msg_name"),
    ("OFFSET_BPRM_FILE", "linux_binprm", "file"),
];

/// What looks through open sockets need besides, of which [`FOR_CALLS`] has some.
const FOR_LOOKS: [(&str, &str, &str); 8] = [
    ("OFFSET_SOCKET_SK", "socket", "sk"),
    ("OFFSET_SOCK_FAMILY", "sock", "__sk_common.skc_family"),
    ("OFFSET_SOCK_STATE", "sock", "__sk_common.skc_state"),
    ("OFFSET_TCP_RECEIVED", "tcp_sock", "rcv_nxt"),
    ("OFFSET_TCP_COPIED", "tcp_sock", "copied_seq"),
    ("OFFSET_TCP_WRITTEN", "tcp_sock", "write_seq"),
    ("OFFSET_TCP_UNACKED", "tcp_sock", "snd_una"),
    ("OFFSET_TCP_STAMP", "tcp_sock", "tcp_mstamp"),
];

/// What the watch over operations needs besides.
const FOR_OPERATIONS: [(&str, &str, &str); 7] = [
    ("OFFSET_SOCK_FAMILY", "sock", "__sk_common.skc_family"),
    ("OFFSET_SOCK_PORT", "sock", "__sk_common.skc_dport"),
    ("OFFSET_SOCK_V4", "sock", "__sk_common.skc_daddr"),
    ("OFFSET_SOCK_V6", "sock", "__sk_common.skc_v6_daddr"),
    ("OFFSET_SOCK_ERROR", "sock", "sk_err"),
    ("OFFSET_SOCK_SHUTDOWN", "sock", "sk_shutdown"),
    ("OFFSET_TCP_RECEIVED", "tcp_sock", "rcv_nxt"),
];

/// What the way through the relay needs besides.
const FOR_RELAYS: [(&str, &str, &str); 5] = [
    ("OFFSET_SOCK_FAMILY", "sock", "__sk_common.skc_family"),
    ("OFFSET_SOCK_PORT", "sock", "__sk_common.skc_dport"),
    ("OFFSET_SOCK_OWN_V4", "sock", "__sk_common.skc_rcv_saddr"),
    ("OFFSET_SOCK_OWN_V6", "sock", "__sk_common.skc_v6_rcv_saddr"),
    ("OFFSET_SOCK_OWN_PORT", "sock", "__sk_common.skc_num"),
];

/// Where fields are on this kernel.
pub(super) struct Offsets {
    /// The globals with their values.
    pub(super) globals: Vec<(&'static str, u32)>,
    /// Why faults on system calls cannot be had, if a field of theirs is missing: what [`Error::Btf`] says.
    pub(super) missing_for_calls: Option<String>,
    /// The same of looks through open sockets.
    pub(super) missing_for_looks: Option<String>,
    /// The same of the watch over operations.
    pub(super) missing_for_operations: Option<String>,
    /// The same of the way through the relay.
    pub(super) missing_for_relays: Option<String>,
}

/// Looks all of them up.
pub(super) fn find(types: &Btf) -> Result<Offsets, Error> {
    let mut globals = Vec::new();
    for (global, record, field) in NEEDED {
        globals.push((global, types.offset(record, field)?));
    }
    let missing_for_calls = add(types, &FOR_CALLS, &mut globals)?;
    let missing_for_looks = add(types, &FOR_LOOKS, &mut globals)?;
    let missing_for_operations = add(types, &FOR_OPERATIONS, &mut globals)?;
    let missing_for_relays = add(types, &FOR_RELAYS, &mut globals)?;
    Ok(Offsets {
        globals,
        missing_for_calls,
        missing_for_looks,
        missing_for_operations,
        missing_for_relays,
    })
}

/// Adds the fields that are there; the answer is about the first that is not.
fn add(
    types: &Btf,
    fields: &[(&'static str, &str, &str)],
    globals: &mut Vec<(&'static str, u32)>,
) -> Result<Option<String>, Error> {
    let mut first = None;
    for (global, record, field) in fields {
        match types.offset(record, field) {
            Ok(offset) => globals.push((global, offset)),
            Err(Error::Btf(missing)) => {
                first.get_or_insert(missing);
            }
            Err(other) => return Err(other),
        }
    }
    Ok(first)
}
