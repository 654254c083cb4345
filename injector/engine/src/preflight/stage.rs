//! Whether a stage may run: the one in front of it has held, and its targets are where it wants them.

use std::path::Path;

use injector_host::{kernel::netns::Namespace, targets::ResolvedTarget};
use injector_record::stages::Record;
use injector_spec::{
    error::Refusal,
    experiment::{Ground, Stage},
    printable,
};

/// Refuses a stage that is locked, by the runs of this directory, or that is not where it has to be.
pub(super) fn check(stage: &Stage, targets: &[ResolvedTarget], runs: &Path) -> Result<(), Refusal> {
    check_lock(stage, runs)?;
    match stage.ground {
        Ground::Anywhere => Ok(()),
        Ground::Sandbox => {
            let own = Namespace::current()?;
            targets
                .iter()
                .try_for_each(|target| check_sandbox(stage, target, &own))
        }
    }
}

fn check_lock(stage: &Stage, runs: &Path) -> Result<(), Refusal> {
    let Some(earlier) = &stage.after else {
        return Ok(());
    };
    let (own, before) = (
        printable::line(&stage.name),
        printable::line(&earlier.stage),
    );
    let record = Record::of(earlier.asks, runs).map_err(|error| {
        Refusal::failed(format!(
            "whether the stage `{before}` has held cannot be read from {}: {error}; the stage `{own}` stays locked",
            printable::path(runs)
        ))
    })?;
    let why = match record {
        Record::Held(_) => return Ok(()),
        Record::Never => format!("`{before}` was not run with this file and these values yet"),
        Record::Not(run, shortfall) => format!("the last run of `{before}`, {run}, {shortfall}"),
    };
    Err(Refusal::endangers(format!(
        "the stage `{own}` is locked: {why}; run `--stage {before}` until it holds"
    )))
}

fn check_sandbox(stage: &Stage, target: &ResolvedTarget, own: &Namespace) -> Result<(), Refusal> {
    let lacks = if target.cgroup.is_none() {
        "is no cgroup of its own; name it by `cgroup`, `unit` or `container`"
    } else if target.namespace.inode() == own.inode() {
        "is in the network namespace that injector is in, the host's; start it in one of its own"
    } else {
        return Ok(());
    };
    Err(Refusal::endangers(format!(
        "the stage `{}` wants a sandbox, and the target `{}` {lacks}",
        printable::line(&stage.name),
        printable::line(&target.name),
    )))
}
