//! The few tests that are run on every kernel.
//!
//! An emulated processor is some ten times slower than the host's, so the whole suite would take most
//! of an hour for each kernel. What differs from kernel to kernel is whether a fault's mechanism is
//! there and works, so each fault is tried once ([`Case::shows`]); to that come a few tests of what
//! rests on the kernel in all faults. The list below is the only place to change.
//!
//! [`Case::shows`]: crate::suite::Case::shows

use std::collections::BTreeSet;
use std::env;

use anyhow::{Result, ensure};

use crate::needs::Need;
use crate::suite::Case;

/// `matrix`: only these tests, set by `cargo xtask test` in virtual machines. `quick`: only what
/// [`is_quick`], set by `cargo xtask test --quick`.
const SELECTION: &str = "INJECTOR_TESTS";

/// What is run beside the tests that show a fault.
const ALSO: [&str; 23] = [
    // Only the target is hit, by each way to a socket: a device's and a cgroup's.
    "scope::delay_tcp::loopback_v4",
    "scope::connect_refused::loopback_v4",
    // Another device than `lo`.
    "effect::delay_tcp::veth_v6",
    // What the host forwards, and the kernel's own look-ups decide.
    "bystander::of_forwarded_packets_v4",
    "bystander::of_forwarded_packets_v6",
    // The worker dies, the worker sleeps.
    "death::kill_9_with_a_delay",
    "death::a_stopped_worker_loses_its_lease",
    // All of injector's processes die, with filters at devices that no descriptor holds.
    "clsact::kill_9_of_all_is_inert_and_swept",
    // Children are followed by tracepoints.
    "target::tree_present_and_future",
    "refusal::root_cgroup",
    // A call that only its own function knows: no thread is skipped there, and there is room for one run's sleepers.
    "sys::error_of_fsync",
    "pipe::every_call_on_one_cpu",
    "sys::delays_of_one_call_in_two_runs",
    // A call that cgroups know where nothing else does.
    "sys::error_of_connect_by_the_cgroup_v4",
    // Sleepers at once, and without their worker.
    "sys::delay_of_64_threads_at_once",
    "sys::sleepers_go_on_when_the_worker_is_killed",
    "sys::sleepers_go_on_when_the_page_holder_is_killed",
    // No thread sleeps with a lock that a neighbour waits for.
    "bystander::waits_for_no_change_that_is_delayed",
    "bystander::waits_for_no_look_that_is_delayed",
    // A tracepoint with types that asks for a socket's storage, and pidfds.
    "halt::too_many_retransmits",
    "halt::a_process_that_ends",
    // Socket storage that is made by a tracepoint, and a look-up of a listener from a cgroup's program.
    "operations::refused_connects_are_bad_with_the_reason",
    "matrix::its_tests_exist",
];

/// Which tests the environment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All.
    All,
    /// The few that are run on every kernel.
    Matrix,
    /// What answers in a few minutes.
    Quick,
}

/// What [`SELECTION`] says.
pub(crate) fn selection() -> Selection {
    match env::var_os(SELECTION) {
        Some(word) if word == "matrix" => Selection::Matrix,
        Some(word) if word == "quick" => Selection::Quick,
        _ => Selection::All,
    }
}

/// The tests that were asked for by [`SELECTION`], with one more that checks the list.
pub(crate) fn select(mut cases: Vec<Case>) -> Vec<Case> {
    let names: BTreeSet<String> = cases.iter().map(|case| case.name().to_owned()).collect();
    let no_needs: &[Need] = &[];
    cases.push(Case::new("matrix::its_tests_exist", no_needs, move || {
        exist(&names)
    }));
    match selection() {
        Selection::All => {}
        Selection::Matrix => {
            cases.retain(|case| case.shown_fault().is_some() || ALSO.contains(&case.name()));
        }
        Selection::Quick => {
            cases.retain(|case| is_quick(case.name()));
        }
    }
    cases
}

/// Arms a hundred times, each time with one descriptor more.
const SLOW_REFUSAL: &str = "refusal::half_armed_is_undone";

/// What is refused, and each fault's effect on two of the four stages, which differ in wire and family.
fn is_quick(name: &str) -> bool {
    let on_a_stage = ["::loopback_v4", "::veth_v6"];
    let is_effect = name.starts_with("effect::");
    let is_refusal = name.starts_with("refusal::") && name != SLOW_REFUSAL;
    is_refusal || is_effect && on_a_stage.iter().any(|it| name.ends_with(it))
}

fn exist(names: &BTreeSet<String>) -> Result<()> {
    for name in ALSO {
        ensure!(
            names.contains(name) || name.starts_with("matrix::"),
            "there is no test {name}, which every kernel should run"
        );
    }
    Ok(())
}
