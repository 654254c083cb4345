//! Under which conditions a run took place, as far as its journal says.

use super::Account;
use crate::journal;
use injector_spec::{
    escalation::EscalationStep,
    experiment::{OnTargetExit, flaw},
    printable,
};

/// Terms and what they were, each on one line with names escaped.
pub(super) fn environment(account: &Account) -> Vec<(&'static str, String)> {
    let mut terms = Vec::new();
    let mut say = |term, value: String| terms.push((term, printable::line(&value).into_owned()));
    say("run", account.run.to_string());
    if let Some(started) = account.started_unix_ms {
        say("started", journal::time(started));
    }
    if let Some(armed) = account.armed_unix_ms {
        say("armed", journal::time(armed));
    }
    if let Some(asked) = &account.asked {
        let login = asked.login_uid.filter(|login| *login != asked.by_uid);
        let login = login.map_or_else(String::new, |login| format!(" (logged in as {login})"));
        say(
            "asked by",
            format!("user {}{login}, process {}", asked.by_uid, asked.by_pid),
        );
        let limits = asked.config.as_ref();
        say(
            "limits",
            limits.map_or_else(|| "the defaults".to_owned(), ToString::to_string),
        );
    }
    if let Some(platform) = &account.platform {
        say("kernel", platform.kernel());
        say("injector", platform.injector.clone());
    }
    if let Some(fingerprint) = account.fingerprint {
        say("experiment", format!("fingerprint {fingerprint}"));
    }
    for limit in &account.overrides {
        say("limit lifted", limit.to_string());
    }
    if let Some(experiment) = &account.experiment {
        for (term, value) in experiment.head_in_words() {
            say(term, value);
        }
        for target in &experiment.targets {
            say("target", format!("{}: {}", target.name, target.selector));
        }
        for picked in &account.picked {
            say("picked", picked.to_string());
        }
        for condition in &experiment.halt {
            say("halts if", condition.to_string());
        }
        if !experiment.notify.is_empty() {
            let names: Vec<&str> = experiment.notify.iter().map(|one| one.name()).collect();
            say("a breach is told to", names.join(", "));
        }
        if !experiment.fail_on.is_empty() {
            say("fails on", flaw::names(&experiment.fail_on));
        }
        if let Some(sign) = experiment.handoff() {
            say("hands over by", sign.in_words());
        }
        if let Some(success) = experiment.success() {
            say("success is", success.in_words());
        }
        if !experiment.escalate.is_empty() {
            say(
                "a decision is asked of",
                EscalationStep::in_words(&experiment.escalate),
            );
        }
        for command in &experiment.rollback {
            say("rolled back by", command.to_string());
        }
        say(
            "target ends",
            match experiment.on_target_exit {
                OnTargetExit::Wait => "the run goes on".to_owned(),
                OnTargetExit::End => "the run ends".to_owned(),
            },
        );
    }
    for change in &account.to_restore {
        say("not known to be put back", change.to_string());
    }
    for damaged in &account.damaged {
        say("journal", format!("line {}: {}", damaged.line, damaged.why));
    }
    terms
}
