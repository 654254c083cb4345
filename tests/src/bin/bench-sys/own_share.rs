//! What the injector's programs take of a call themselves, by the kernel's own BPF statistics.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use injector_tests::bpf::{self, Charge};

/// Programs that are loaded already.
pub(crate) fn known() -> Result<Vec<u32>> {
    Ok(bpf::programs()?.iter().map(|program| program.id).collect())
}

/// Nanoseconds of a run of each program that was loaded since and that all of so many calls pass, added up.
pub(crate) fn of(known: &[u32], count: u64, calls: impl FnOnce() -> Result<()>) -> Result<f64> {
    let statistics = bpf::enable_statistics()?;
    let before = charged(known)?;
    calls()?;
    let after = charged(known)?;
    drop(statistics);
    let means: Vec<f64> = after
        .iter()
        .filter_map(|(id, charge)| {
            let before = before.get(id)?;
            let is_passed = charge.run_count >= before.run_count + count;
            is_passed.then(|| charge.mean_since(*before)).flatten()
        })
        .collect();
    ensure!(!means.is_empty(), "no call passed a program");
    Ok(means.iter().sum())
}

fn charged(known: &[u32]) -> Result<BTreeMap<u32, Charge>> {
    let ours = bpf::programs()?.into_iter();
    Ok(ours
        .filter(|program| !known.contains(&program.id) && program.name.starts_with("inj_"))
        .map(|program| (program.id, program.charge))
        .collect())
}
