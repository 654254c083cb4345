//! The end-to-end tests: real processes, real packets, the real binary.
//!
//! One after the other, because the kernel's state is shared, and each between two snapshots of it:
//! a test that leaves anything behind fails, whatever it was about. A test that this machine cannot
//! run says why and counts as ignored.

mod harness_itself;
mod needs;
mod suite;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut cases = Vec::new();
    cases.extend(harness_itself::cases());
    suite::run(cases)
}
