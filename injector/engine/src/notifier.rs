//! Tells a person that a run was halted or broke.
//!
//! It comes last: the kernel side is disarmed, everything is detached, put back and rolled back before any person is told, so
//! no server that hangs can prolong a fault. All channels are tried at once, each on a thread of its own, and
//! after [`WITHIN`] the run goes on to its report, which says who was told, and who could not be and why.
//!
//! Nothing of a webhook's path or of a command's arguments gets into a record: they may be secrets.

mod journald;
mod naming;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use crate::halt_monitor::{Ending, ExecHelper, WhoAsks, post_json};
use injector_record::{
    escalation::Matter,
    journal::{self, RunId},
    notice::{Channel, Notice},
    report::{Outcome, RunReport},
};
use injector_spec::{
    condition::HttpUrl,
    config::{Escalation, NotifierWay},
    error::Refusal,
    quantity::duration,
};
use serde::Serialize;

pub(crate) use naming::Naming;

/// The longest that telling may take. The supervisor gives a run 8 s to end.
pub const WITHIN: Duration = Duration::from_secs(5);

/// The longest that a program may take.
const COMMAND_WITHIN: Duration = Duration::from_millis(4_500);

/// How often a webhook is tried, how long each time, and the pause between; less than [`WITHIN`] together.
const TRIES: u32 = 3;
const TRY_WITHIN: Duration = Duration::from_millis(1_400);
const PAUSE: Duration = Duration::from_millis(200);

/// What there is to tell.
pub(crate) struct Message {
    run: String,
    name: String,
    outcome: &'static str,
    why: String,
    /// What a webhook gets, as JSON: the report, or what is to be decided.
    body: String,
}

/// What a webhook gets where a decision is asked for.
#[derive(Serialize)]
struct Decision<'d> {
    run: &'d str,
    experiment: &'d str,
    /// What is to be decided, as [`Matter::word`] has it.
    #[serde(rename = "decision")]
    matter: &'static str,
    why: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'d RunReport>,
}

impl Message {
    /// That a decision is asked for; `why` has the command that answers.
    pub(crate) fn of_decision(
        run: &RunId,
        name: &str,
        matter: Matter,
        why: &str,
        report: Option<&RunReport>,
    ) -> Self {
        let body = Decision {
            run: run.as_str(),
            experiment: name,
            matter: matter.word(),
            why,
            report,
        };
        Self {
            run: run.to_string(),
            name: name.to_owned(),
            outcome: matter.word(),
            why: why.to_owned(),
            // Our own types always serialise.
            body: serde_json::to_string(&body).unwrap_or_default(),
        }
    }
}

/// Tells one notifier, by a thread of its own; how that went comes later.
pub(crate) fn tell_one(
    way: &NotifierWay,
    message: &Arc<Message>,
) -> mpsc::Receiver<Result<(), String>> {
    let (sender, outcome) = mpsc::channel();
    let (way, message) = (way.clone(), Arc::clone(message));
    let body = move || {
        // The one who asks may have an answer by then.
        let _ = sender.send(tell(&way, &message, &AtomicBool::new(false)));
    };
    // Without a thread the sender is dropped, which says as much.
    let _ = thread::Builder::new().name("escalation".into()).spawn(body);
    outcome
}

/// Whether this end is one that a person is told of, and in which words.
fn why(outcome: &Outcome) -> Option<(&'static str, &str)> {
    match outcome {
        Outcome::Halted { why } => Some(("halted", why)),
        Outcome::Failed { why } => Some(("failed", why)),
        Outcome::Completed
        | Outcome::Stopped
        | Outcome::TargetEnded { .. }
        | Outcome::Unsteady { .. }
        | Outcome::GateShut { .. } => None,
    }
}

/// Refuses an experiment that names a notifier which this host does not have, and one whose caller would leave out one
/// that the host's owner has: what a guest's run does to the host is the owner's to hear of.
pub fn check(to: &Escalation, named: &[Channel], by: WhoAsks) -> Result<(), Refusal> {
    let has: Vec<&str> = to.channels().into_iter().map(Channel::name).collect();
    let named = named.iter().map(|one| ("`notify`".to_owned(), one.name()));
    Naming {
        key: "notify",
        section: "[escalation]",
        owners: has.clone(),
        has,
        named: named.collect(),
    }
    .check(by)
}

/// Tells through every channel that the configuration names, where the run was halted or broke.
pub fn escalate(to: &Escalation, report: &RunReport) -> Vec<Notice> {
    let Some((outcome, why)) = why(&report.outcome) else {
        return Vec::new();
    };
    let message = Arc::new(Message {
        run: report.run.to_string(),
        name: report.name.clone(),
        outcome,
        why: why.to_owned(),
        // Our own types always serialise.
        body: serde_json::to_string(report).unwrap_or_default(),
    });
    let is_over = Arc::new(AtomicBool::new(false));
    let (sender, notices) = mpsc::channel();
    let mut waiting = Vec::new();
    for way in ways(to) {
        waiting.push(blank(&way, "no answer within 5s"));
        start(
            way,
            Arc::clone(&message),
            Arc::clone(&is_over),
            sender.clone(),
        );
    }
    drop(sender);
    let deadline = Instant::now() + WITHIN;
    let mut told = Vec::new();
    while !waiting.is_empty() {
        match notices.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(notice) => {
                waiting.retain(|other: &Notice| other.channel != notice.channel);
                told.push(notice);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    is_over.store(true, Ordering::Relaxed);
    told.extend(waiting);
    told
}

fn ways(to: &Escalation) -> Vec<NotifierWay> {
    let command = (!to.command.is_empty()).then(|| NotifierWay::Command(to.command.clone()));
    let webhook = to.webhook.clone().map(NotifierWay::Webhook);
    let journald = to.journald.then_some(NotifierWay::Journald);
    [command, webhook, journald].into_iter().flatten().collect()
}

fn start(
    way: NotifierWay,
    message: Arc<Message>,
    is_over: Arc<AtomicBool>,
    notices: Sender<Notice>,
) {
    let fallback = (
        blank(&way, "no thread could be started for it"),
        notices.clone(),
    );
    let body = move || {
        let failed = tell(&way, &message, &is_over).err();
        let notice = Notice {
            failed,
            ..blank(&way, "")
        };
        // The thread that waits for the notices may have given up by now.
        let _ = notices.send(notice);
    };
    if thread::Builder::new()
        .name("escalation".into())
        .spawn(body)
        .is_err()
    {
        let (notice, notices) = fallback;
        let _ = notices.send(notice);
    }
}

fn blank(way: &NotifierWay, why: &str) -> Notice {
    let whom = match way {
        NotifierWay::Command(words) => words.first().cloned().unwrap_or_default(),
        NotifierWay::Webhook(url) => url.without_secrets(),
        NotifierWay::Journald => "journald".to_owned(),
    };
    Notice {
        channel: way.channel(),
        whom,
        unix_ms: journal::unix_ms(),
        failed: Some(why.to_owned()),
    }
}

fn tell(way: &NotifierWay, message: &Message, is_over: &AtomicBool) -> Result<(), String> {
    match way {
        NotifierWay::Command(words) => {
            let exec_helper = ExecHelper::new(words)
                .tell("INJECTOR_RUN", &message.run)
                .tell("INJECTOR_EXPERIMENT", &message.name)
                .tell("INJECTOR_OUTCOME", message.outcome)
                .tell("INJECTOR_REASON", &message.why);
            match exec_helper.run(COMMAND_WITHIN, is_over) {
                Ending::Code(0) => Ok(()),
                other => Err(other.to_string()),
            }
        }
        NotifierWay::Webhook(url) => webhook(url, message, is_over),
        NotifierWay::Journald => journald::tell(&journald::SOCKETS, message),
    }
}

/// Posts the report. What the server refuses for good (4xx) is not tried again.
fn webhook(url: &HttpUrl, message: &Message, is_over: &AtomicBool) -> Result<(), String> {
    let mut why = String::new();
    for number in 1..=TRIES {
        match post_json(url, message.body.clone(), TRY_WITHIN) {
            Ok(200..300) => return Ok(()),
            Ok(status @ 400..500) => return Err(format!("the status is {status}")),
            Ok(status) => why = format!("the status is {status}"),
            Err(error) => why = error.to_string(),
        }
        if number < TRIES && !is_over.load(Ordering::Relaxed) {
            thread::sleep(PAUSE);
        }
    }
    let each = duration::format(TRY_WITHIN);
    Err(format!("tried {TRIES} times for up to {each}: {why}"))
}

#[cfg(test)]
mod tests;
