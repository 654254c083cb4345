//! Targets that must not be: the injector's caller and all above it, the first process, threads of the kernel, and
//! cgroups with any of these. Each is refused by a sentence, and nothing is armed.

use std::fs;

use anyhow::{Context, Result};
use injector_common::decide::random64;
use injector_tests::injector::Injector;
use injector_tests::snapshot::Snapshot;

use crate::oracle::Outcome;

const FAULTS: [&str; 6] = [
    "noop",
    "net loss --percent 1%",
    "net connect --errno EIO",
    "proc kill --after 900ms",
    "proc pause",
    "sys error --syscall connect --errno ECONNREFUSED --fd-kind inet",
];

/// How a command ends that would have touched what must not be touched.
const NEVER: i32 = 3;

/// Asks for so many of them.
pub(crate) fn campaign(seed: u64, runs: u64) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    let injector = Injector::new()?;
    let own = std::process::id();
    let forbidden = [
        format!("--pid {own}"),
        format!("--pid {own} --tree"),
        format!("--pid {}", std::os::unix::process::parent_id()),
        "--pid 1".to_owned(),
        "--pid 2".to_owned(),
        "--cgroup /".to_owned(),
        format!("--cgroup {}", own_cgroup()?),
    ];
    for number in 0..runs {
        let draw = |what: u64, most: usize| {
            usize::try_from(random64(seed ^ what, number) >> 16).unwrap_or_default() % most
        };
        let (fault, target) = (
            FAULTS[draw(1, FAULTS.len())],
            &forbidden[draw(2, forbidden.len())],
        );
        let words = format!("{fault} {target} --duration 1s");
        let words: Vec<&str> = words.split_whitespace().collect();
        let finished = injector.once(&words)?;
        outcome.runs += 1;
        outcome.hits += u64::from(finished.code == Some(NEVER));
        if finished.code != Some(NEVER) || finished.stderr.contains("armed") {
            outcome.violated(format!("{fault} {target}: {finished:?}"));
        }
    }
    outcome.check("after all", before.assert_same());
    Ok(outcome)
}

fn own_cgroup() -> Result<String> {
    let text = fs::read_to_string("/proc/self/cgroup")?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    own.map(str::to_owned).context("no cgroup v2 here")
}
