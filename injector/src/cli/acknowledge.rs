//! `acknowledge`: a person takes over what others are asked about, so that no further one is told.

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
    escalation::{Acknowledgement, Answer, Escalated},
    journal::{Record, RunId, Stamped},
};
use injector_spec::error::{Exit, Refusal};

/// What `acknowledge --json` prints.
#[derive(Serialize)]
struct Told {
    run: RunId,
    #[serde(flatten)]
    turn: Escalated,
}

/// Takes over, and waits until that is on record.
pub fn acknowledge(which: &Which, output: Output) -> Result<Exit, Refusal> {
    let (listed, replay) = which.read()?;
    let run = listed.run;
    match last(&replay.records) {
        Some(turn) if !turn.is_last() => {}
        Some(turn) => {
            return Err(Refusal::usage(format!(
                "no person is asked about run {run} any more; {turn}."
            )));
        }
        None => {
            return Err(Refusal::usage(format!(
                "no person is asked about run {run}; `injector report {run}` shows how it stands."
            )));
        }
    }
    let by_uid = rustix::process::getuid().as_raw();
    let own = std::process::id();
    let ours = Acknowledgement {
        by_uid,
        by_name: user_name(by_uid),
        by_pid: own,
        login_uid: login_uid(own, by_uid),
        boot_ns: boot_ns(),
    };
    let seen = answering::answer(&run, AnswerFile::Acknowledgement, &ours, || {
        let (_, replay) = Which::Run(run.clone()).read()?;
        let last = last(&replay.records).filter(|turn| turn.is_last());
        Ok(last.cloned())
    });
    let Some(turn) = seen? else {
        return Err(Refusal::failed(format!(
            "the process that asks about run {run} has not seen it within {} s, and it is withdrawn; it may have ended with \
             this host's last start, or with the unit that the run was started in.",
            SEEN_WITHIN.as_secs()
        )));
    };
    let is_ours = matches!(&turn, Escalated::Answered { by: Answer::Acknowledged { acknowledgement }, .. } if *acknowledgement == ours);
    if !is_ours {
        return Err(Refusal::failed(format!("it came too late; {turn}.")));
    }
    match output {
        Output::Json => tell::json(&Told { run, turn }),
        Output::Text => tell::result(format!("{turn}; no further person is told of run {run}")),
    }
    Ok(Exit::Done)
}

/// The last turn that the journal has.
fn last(records: &[Stamped]) -> Option<&Escalated> {
    records
        .iter()
        .rev()
        .find_map(|stamped| match &stamped.record {
            Record::Escalated { turn } => Some(turn),
            _ => None,
        })
}

/// The name that this host's own list of users has; one from a directory service is known by its number alone.
fn user_name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let number = uid.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(&number)).then(|| name.to_owned())
    })
}
