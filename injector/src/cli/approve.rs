//! `approve`: a person lets a run go on that waits at a gate.

use serde::Serialize;

use super::{
    answering::{self, SEEN_WITHIN},
    stored::Which,
};
use injector_engine::{
    approval::AnswerFile,
    tell,
    worker::{Output, login_uid},
};
use injector_host::kernel::clock::boot_ns;
use injector_record::{
    account::{Account, Happened},
    gate::{Approval, GateReport},
    journal::{RunId, RunState},
};
use injector_spec::{
    error::{Exit, Refusal},
    experiment::Gate,
};

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
    let seen = answering::answer(&run, AnswerFile::Approval, &ours, || {
        Ok(ended(Which::Run(run.clone()).account()?, &ours.step))
    });
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
fn ended(account: Account, step: &str) -> Option<GateReport> {
    let mut moments = account.timeline.into_iter().rev();
    moments.find_map(|moment| match moment.what {
        Happened::GateEnded { report } if report.step == step => Some(report),
        _ => None,
    })
}
