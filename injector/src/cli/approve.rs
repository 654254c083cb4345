//! `approve`: a person lets a run go on that waits at a gate.

use std::{path::Path, time::Duration};

use serde::Serialize;

use super::stored::Which;
use injector_engine::{
    approval::{self, AnswerFile},
    tell,
    worker::{Output, login_uid},
};
use injector_host::kernel::clock::boot_ns;
use injector_record::{
    account::{Account, Happened},
    gate::{Approval, GateReport},
    journal::{self, RunId, RunState},
};
use injector_spec::{
    error::{Exit, Refusal},
    experiment::Gate,
    printable,
};

/// How long a run may take to see it: its thread looks 20 times a second, and its record goes through a disk.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// How often the journal is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What `approve --json` prints.
#[derive(Serialize)]
struct Told {
    run: RunId,
    #[serde(flatten)]
    gate: GateReport,
}

/// Opens the gate at which a run waits for a person, and waits until the run goes on.
pub fn approve(which: &Which, output: Output) -> Result<Exit, Refusal> {
    let account = which.account()?;
    let run = account.run.clone();
    let step = waits(&account)?;
    let own = std::process::id();
    let by_uid = rustix::process::getuid().as_raw();
    let ours = Approval {
        by_uid,
        by_pid: own,
        login_uid: login_uid(own, by_uid),
        boot_ns: boot_ns(),
        step,
    };
    let directory = journal::directory();
    approval::give(&directory, &run, AnswerFile::Approval, &ours)
        .map_err(|error| cannot(&directory, &error))?;
    let seen = await_gate(&run, &ours);
    // Where it is gone already another command has taken it away.
    let _ = approval::take_away(&directory, &run, AnswerFile::Approval);
    let Some(gate) = seen? else {
        return Err(Refusal::failed(format!(
            "run {run} has not seen the approval within {} s, and it is withdrawn; `injector report {run}` shows how it \
             stands.",
            SEEN_WITHIN.as_secs()
        )));
    };
    if !gate.is_open() {
        return Err(Refusal::failed(format!(
            "the approval came too late: {gate}."
        )));
    }
    match output {
        Output::Json => tell::json(&Told { run, gate }),
        Output::Text => tell::result(format!("{gate}; run {run} goes on")),
    }
    Ok(Exit::Done)
}

/// The step at which the run waits for a person.
fn waits(account: &Account) -> Result<String, Refusal> {
    let run = &account.run;
    if !matches!(account.state, RunState::Running) {
        return Err(Refusal::usage(format!(
            "run {run} does not go on any more, so it waits for no approval; `injector list` shows those that do."
        )));
    }
    let last = account
        .timeline
        .iter()
        .rev()
        .find_map(|moment| match &moment.what {
            Happened::GateWaits { step, .. } => Some(Some(step.clone())),
            Happened::GateEnded { .. } => Some(None),
            _ => None,
        });
    let waits = last.flatten().filter(|name| {
        let steps = account.experiment.iter().flat_map(|asked| &asked.steps);
        let mut gates = steps.filter(|step| step.name == *name);
        gates.any(|step| step.gate == Some(Gate::Approve))
    });
    waits.ok_or_else(|| {
        Refusal::usage(format!(
            "run {run} does not wait for a person now; `injector report {run}` shows how it stands."
        ))
    })
}

/// What became of the gate since; `None` where the run has not looked.
fn await_gate(run: &RunId, ours: &Approval) -> Result<Option<GateReport>, Refusal> {
    let within = u64::try_from(SEEN_WITHIN.as_nanos()).unwrap_or(u64::MAX);
    let deadline = boot_ns().saturating_add(within);
    while boot_ns() < deadline {
        let account = Which::Run(run.clone()).account()?;
        let ended = account
            .timeline
            .into_iter()
            .rev()
            .find_map(|moment| match moment.what {
                Happened::GateEnded { report } if report.step == ours.step => Some(report),
                _ => None,
            });
        if ended.is_some() {
            return Ok(ended);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(None)
}

fn cannot(directory: &Path, error: &std::io::Error) -> Refusal {
    let shown = printable::path(directory);
    Refusal::usage(match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!("only root lets a run go on, for {shown} is root's; use sudo.")
        }
        _ => format!("the approval cannot be put into {shown}: {error}; free some space there."),
    })
}
