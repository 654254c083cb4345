//! Which experiment is played: the one with slow and failing system calls, where they can be had.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::Injector;
use serde::Deserialize;

/// Network and system calls. Like its neighbour relative to the root of the repository, where xtask
/// starts this.
const ALL: &str = "configs/experiments/bad-day.yaml";
/// The network alone.
const NETWORK: &str = "configs/experiments/model-latency-spike.yaml";

/// What is played.
pub(crate) struct Programme {
    /// The experiment's file.
    pub(crate) experiment: &'static str,
    /// Why it is the shorter one.
    pub(crate) left_out: Option<String>,
}

/// What `--dry-run --json` says.
#[derive(Deserialize)]
struct Rehearsed {
    refusal: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Programme {
    /// Asks the injector what a run of the longer experiment against this cgroup would meet.
    pub(crate) fn choose(injector: &Injector, cgroup: &str) -> Result<Self> {
        ensure!(
            Path::new(ALL).is_file(),
            "{ALL} is not here; start the demo at the root of the repository, or with `cargo xtask demo`"
        );
        let asked = ["run", ALL, "--dry-run", "--json", "--cgroup", cgroup];
        let answer = injector.once(&asked)?;
        let rehearsed: Rehearsed = serde_json::from_str(&answer.stdout)
            .with_context(|| format!("no rehearsal of {ALL}: {answer:?}"))?;
        Ok(match rehearsed.refusal {
            None => Self {
                experiment: ALL,
                left_out: None,
            },
            Some(refusal) => Self {
                experiment: NETWORK,
                left_out: Some(refusal.error),
            },
        })
    }
}
