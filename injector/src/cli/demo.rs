//! `injector demo`: one fault after the other on a process of its own, beside a bystander that does the same work.
//!
//! The demo needs nothing but this program. It starts a server, a target and a bystander, which are this program
//! again ([`part`]), and for each fault an `injector` of its own, as a person would from a shell. What it prints comes
//! from the two clients' own clocks; what it checks is in [`verdict`].
//!
//! Invariants:
//! - Only processes that the demo has started meet a fault, and they end with it.
//! - Runs of the demo are runs like others: the kill switch and the limits of this host hold for them, and they are on
//!   record. Only a daemon is passed by, because its list of cgroups need not have the demo's.
//! - A fault that this host refuses is named with the reason and left out; the demo fails where none can be shown.
//!
//! Rejected: to decide from the survey of `injector doctor` which faults can be shown. A dry run asks the same
//! probes, and the policy and the target besides. Rejected, too: the demo of the checkout in this program. Its agent,
//! its HTTP and its disk are for tests.

mod act;
mod agent;
mod cast;
mod figures;
mod part;
mod remains;
mod table;
mod verdict;

use std::time::{Duration, Instant};

pub use agent::demo_agent;
pub(super) use cast::COMMAND;
pub use part::Part;

use act::{Act, Programme};
use cast::Cast;
use injector_engine::tell;
use injector_spec::{
    config::Source,
    error::{Exit, Refusal},
};
use remains::Remains;
use table::Row;

/// How long the clients call while no fault is on.
const QUIET: Duration = Duration::from_millis(1500);

/// Shows what can be shown here, under this configuration, and checks what it has shown.
pub fn demo(config: &Source) -> Result<Exit, Refusal> {
    refuse_but_root()?;
    let before = Remains::look()?;
    let mut cast = Cast::start()?;
    let Programme { acts, refused } = Programme::choose(cast.target(), config)?;
    if acts.is_empty() {
        return Err(nothing_to_show(&refused));
    }
    tell::result(table::opening(&cast, &acts));
    let mut rows = vec![Row::of("before", cast.listen(QUIET))];
    tell::result(rows[0].line());
    let mut reports = Vec::new();
    for act in &acts {
        let (report, meanwhile) = act.play(&mut cast, config)?;
        let row = Row::of(&act.name(), meanwhile);
        tell::result(row.line());
        rows.push(row);
        reports.push(report);
    }
    // Calls that were on their way when the fault ended are of neither phase.
    settle(&mut cast);
    let after = Row::of("after", cast.listen(QUIET));
    tell::result(after.line());
    cast.end();
    let verdict = verdict::Verdict {
        before: &rows[0],
        acts: acts.iter().zip(&rows[1..]).zip(&reports).collect(),
        after: &after,
        left: before.left()?,
    };
    let findings = verdict.findings();
    tell::result(table::closing(&refused, &findings, &reports));
    let is_good = findings.iter().all(|finding| finding.is_good);
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}

fn refuse_but_root() -> Result<(), Refusal> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Refusal::usage(
        "the demo puts faults on processes of its own, which needs root; run it with sudo.",
    ))
}

/// Lets go by what the clients have begun under a fault.
fn settle(cast: &mut Cast) {
    let until = Instant::now() + part::PATIENCE;
    while Instant::now() < until && !cast.is_well() {}
}

fn nothing_to_show(refused: &[(Act, String)]) -> Refusal {
    let reasons: Vec<String> = refused
        .iter()
        .map(|(act, why)| format!("{}: {}", act.name(), why.trim_end_matches('.')))
        .collect();
    Refusal::usage(format!(
        "this host allows none of the demo's faults: {}; `injector doctor` says what would enable them",
        reasons.join("; ")
    ))
}
