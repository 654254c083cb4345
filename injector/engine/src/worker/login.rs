//! Who logged in behind a user id: under sudo every caller is root.

use std::fs;

/// What the kernel says where no user logged in (`AUDIT_UID_UNSET`, include/uapi/linux/audit.h).
const UNSET: u32 = u32::MAX;

/// The user who logged in to the session of a process: what the kernel has noted of the login
/// (`/proc/PID/loginuid`), else what sudo noted in the environment of one that runs as root. `None` where
/// neither says anything, as for a service.
///
/// It is for the record alone: root can say there what it likes. Reading the environment may wait for the
/// process, so this is not for a thread that others wait for.
pub fn login_uid(pid: u32, uid: u32) -> Option<u32> {
    let sudo = || {
        let environment = (uid == 0).then(|| fs::read(format!("/proc/{pid}/environ")));
        sudo_uid(&environment?.ok()?)
    };
    session_uid(pid).or_else(sudo)
}

/// The kernel's word alone, which never waits.
pub fn session_uid(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/loginuid")).ok()?;
    text.trim().parse().ok().filter(|uid| *uid != UNSET)
}

/// `SUDO_UID` among the variables of an environment.
fn sudo_uid(environment: &[u8]) -> Option<u32> {
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(b"SUDO_UID="))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_is_read_as_a_number_or_not_at_all() {
        assert_eq!(sudo_uid(b"A=1\0SUDO_UID=1000\0B=2\0"), Some(1000));
        for environment in [
            &b""[..],
            b"XSUDO_UID=1000\0",
            b"SUDO_UID=\0",
            b"SUDO_UID=-1",
            b"SUDO_UID=\xff",
        ] {
            assert_eq!(sudo_uid(environment), None);
        }
    }

    #[test]
    fn a_process_that_is_gone_has_no_login() {
        // Larger than any process id (`PID_MAX_LIMIT`, 2^22).
        assert_eq!(login_uid(99_999_999, 0), None);
    }
}
