//! The capabilities that stay. Found out by taking each away (`setpriv --bounding-set -NAME`) and running the
//! end-to-end tests.
//!
//! `CAP_BPF` and `CAP_PERFMON` are not missed beside `CAP_SYS_ADMIN`, which stands in for both
//! (`bpf_capable`, `perfmon_capable` in include/linux/capability.h). They stay for hosts that withhold it.
//! `CAP_SYS_PTRACE` is missed for targets that are root's too: `__ptrace_may_access` asks for it where the
//! target has more capabilities than the worker, and a root process has.

use super::files;
use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
        clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
        set_no_new_privs,
    },
};

/// A capability, its name, and what is done with it.
type Reason = (CapabilitySet, &'static str, &'static str);

/// What the worker keeps, each with the calls that fail without it.
const WORKER: [Reason; 10] = [
    (
        CapabilitySet::BPF,
        "CAP_BPF",
        "load BPF programs and maps: bpf(2)",
    ),
    (
        CapabilitySet::PERFMON,
        "CAP_PERFMON",
        "attach to tracepoints and read kernel structs: bpf(2), perf_event_open(2)",
    ),
    (
        CapabilitySet::NET_ADMIN,
        "CAP_NET_ADMIN",
        "attach to devices and cgroups, make TAPs, set net sysctls",
    ),
    (
        CapabilitySet::NET_RAW,
        "CAP_NET_RAW",
        "send resets in the peer's name: socket(SOCK_RAW)",
    ),
    (
        CapabilitySet::SYS_ADMIN,
        "CAP_SYS_ADMIN",
        "enter network namespaces: setns(2), unshare(2)",
    ),
    (
        CapabilitySet::SYS_PTRACE,
        "CAP_SYS_PTRACE",
        "copy sockets of targets and see their namespaces: pidfd_getfd(2), /proc/PID/ns",
    ),
    (
        CapabilitySet::DAC_OVERRIDE,
        "CAP_DAC_OVERRIDE",
        "see open files of other users' processes, and write to cgroups that were delegated to them: /proc/PID/fd",
    ),
    (
        CapabilitySet::KILL,
        "CAP_KILL",
        "signal other users' processes: pidfd_send_signal(2)",
    ),
    (
        CapabilitySet::IPC_LOCK,
        "CAP_IPC_LOCK",
        "keep the watchdog in memory: mlockall(2)",
    ),
    (
        CapabilitySet::CHOWN,
        "CAP_CHOWN",
        "give the socket to the group that the configuration lets in: chown(2)",
    ),
];

/// What the supervisor keeps: to put settings and processes back, and no more.
const SUPERVISOR: [Reason; 5] = [
    (
        CapabilitySet::NET_ADMIN,
        "CAP_NET_ADMIN",
        "put net sysctls back",
    ),
    (
        CapabilitySet::SYS_ADMIN,
        "CAP_SYS_ADMIN",
        "enter the namespaces of those sysctls: setns(2)",
    ),
    (
        CapabilitySet::SYS_PTRACE,
        "CAP_SYS_PTRACE",
        "find those namespaces: /proc/PID/ns",
    ),
    (
        CapabilitySet::DAC_OVERRIDE,
        "CAP_DAC_OVERRIDE",
        "write to delegated cgroups and to journals",
    ),
    (
        CapabilitySet::KILL,
        "CAP_KILL",
        "signal other users' processes",
    ),
];

/// The highest number that the kernel's sets have room for.
const MOST: u32 = 63;

/// What the worker wants and this process does not have, as half a sentence for each: `CAP_X, without which
/// ...`. The supervisor asks, because its worker is started with the same.
pub fn withheld() -> Vec<String> {
    let Ok(sets) = capabilities(None) else {
        return Vec::new();
    };
    missing(&WORKER, sets.permitted)
}

fn missing(wanted: &[Reason], have: CapabilitySet) -> Vec<String> {
    wanted
        .iter()
        .filter(|(capability, ..)| !have.contains(*capability))
        .map(|(_, name, purpose)| format!("{name} (to {purpose})"))
        .collect()
}

/// Keeps what the worker needs.
///
/// Call it before the first thread is started. What the worker starts gets none of it: the bounding set
/// is empty, so that not even root regains a capability at exec(2).
pub fn confine_worker() -> Result<(), Errno> {
    keep(all(&WORKER))
}

/// Keeps what the supervisor needs. Call it after the worker was started, which needs more.
pub fn confine_supervisor() -> Result<(), Errno> {
    keep(all(&SUPERVISOR))
}

/// Keeps nothing. What the relay reads comes from targets and from their peers, and what it needs it was given open.
pub fn confine_relay() -> Result<(), Errno> {
    keep(CapabilitySet::empty())?;
    // A kernel without Landlock, or with it switched off, has nothing more to take.
    let _ = files::close_all();
    Ok(())
}

fn all(reasons: &[Reason]) -> CapabilitySet {
    reasons.iter().map(|(capability, ..)| *capability).collect()
}

fn keep(wanted: CapabilitySet) -> Result<(), Errno> {
    empty_bounding_set()?;
    clear_ambient_capability_set()?;
    let kept = capabilities(None)?.permitted & wanted;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    set_no_new_privs(true)
}

fn empty_bounding_set() -> Result<(), Errno> {
    for number in 0..=MOST {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            Ok(true) => match remove_capability_from_bounding_set(one) {
                // Without CAP_SETPCAP the set stays; no_new_privs keeps it from being used.
                Err(Errno::PERM) => return Ok(()),
                removed => removed?,
            },
            Ok(false) => {}
            // The first number that this kernel does not know (`cap_valid`).
            Err(Errno::INVAL) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_by_name_and_purpose() {
        let have = all(&WORKER) - CapabilitySet::NET_RAW;
        assert_eq!(
            missing(&WORKER, have),
            ["CAP_NET_RAW (to send resets in the peer's name: socket(SOCK_RAW))"]
        );
        assert!(missing(&WORKER, CapabilitySet::all()).is_empty());
    }

    #[test]
    fn the_supervisor_needs_nothing_that_the_worker_lacks() {
        assert!(all(&WORKER).contains(all(&SUPERVISOR)));
    }

    /// Capabilities are a thread's, so that one can try on a thread of its own.
    #[test]
    fn a_confined_thread_keeps_what_is_named_and_can_get_nothing_back() {
        let tried = std::thread::spawn(|| {
            let before = capabilities(None).unwrap().permitted;
            confine_supervisor().unwrap();
            let after = capabilities(None).unwrap();
            assert_eq!(after.permitted, before & all(&SUPERVISOR));
            assert_eq!(after.effective, after.permitted);
            assert_eq!(after.inheritable, CapabilitySet::empty());
            assert!(rustix::thread::no_new_privs().unwrap());
            let more = CapabilitySets {
                permitted: before,
                ..after
            };
            assert!(before == after.permitted || set_capabilities(None, more).is_err());
            std::fs::read_to_string("/proc/thread-self/status").unwrap()
        });
        let status = tried.join().unwrap();
        if rustix::process::geteuid().is_root() {
            assert!(status.contains("CapBnd:\t0000000000000000"), "{status}");
        }
    }
}
