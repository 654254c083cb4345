//! What a team writes after an incident, with the facts of a run filled in: Markdown, to be completed by people.
//!
//! Invariants: each fact is the journal's; what only people know is marked [`FILL_IN`]; and what the journal lacks is
//! named, so a page about an aborted run is short and not wrong. It speaks of the system and of no person. The causes
//! are candidates: rules find them, rank them by what usually explains most, and say what speaks for each.
//!
//! Rejected: one cause that is called the root. A journal has what came after what, and not why.

mod cause;
mod facts;
#[cfg(test)]
mod tests;
mod unseen;

use std::fmt::Write as _;

use crate::{
    account::{
        Account, Happened, Series,
        markdown::{capital, code, escaped},
        words,
    },
    journal::{self, RunState},
    measure::{Fate, Standing},
};
use cause::Candidate;
use facts::{Facts, at};
use injector_spec::{experiment::ProbeRole, printable};

/// What stands where people have to write.
pub const FILL_IN: &str = "_to fill in_";

/// The page, with a line feed behind each line.
pub fn postmortem(account: &Account) -> String {
    let facts = Facts::of(account);
    let causes = cause::ranked(&facts);
    let headline = account.headline();
    let mut text = format!(
        "# Postmortem: {} `{}`\n\n",
        headline.word,
        code(&account.name)
    );
    text.push_str(
        "> Facts are from the journal of the run; what is marked _to fill in_ is for those who were there. This page\n\
         > is about the system: it asks what let the impact come, and not which person did.\n",
    );
    let sections = [
        ("Summary", summary(&facts)),
        ("Timeline", timeline(account)),
        ("Impact", impact(&facts)),
        (
            "What held",
            list(&held(&facts), "Nothing that was measured."),
        ),
        (
            "What broke",
            list(&broke(&facts), "Nothing that was measured."),
        ),
        ("Candidate root causes", candidates(&causes)),
        (
            "What could not be seen",
            list(&unseen::unseen(account), "Nothing that is known of."),
        ),
        ("Corrective actions", actions(account, &causes)),
        ("Lessons", lessons(&facts)),
    ];
    for (title, section) in sections {
        let _ = write!(text, "\n## {title}\n\n{}\n", section.trim_end());
    }
    text
}

/// Sentences as a list.
fn list(sentences: &[String], none: &str) -> String {
    if sentences.is_empty() {
        return none.to_owned();
    }
    let mut text = String::new();
    for sentence in sentences {
        let _ = writeln!(text, "- {}", escaped(sentence));
    }
    text
}

fn summary(facts: &Facts<'_>) -> String {
    let account = facts.account;
    let headline = account.headline();
    let mut said = Vec::new();
    let started = account
        .started_unix_ms
        .map_or_else(|| "an unknown time".to_owned(), journal::time);
    said.push(format!(
        "On {started}, run {} put {} through {}: {}.",
        account.run,
        facts.targets(),
        facts.faults(),
        headline.course
    ));
    match &account.hypothesis {
        Some(hypothesis) => said.push(format!("Hypothesis: {hypothesis}")),
        None => said.push("The experiment states no hypothesis.".to_owned()),
    }
    let why = headline
        .why
        .map_or_else(String::new, |why| format!(": {why}"));
    said.push(format!("Outcome: {}{why}.", headline.word));
    if let Some(platform) = &account.platform {
        said.push(format!("It took place on {platform}."));
    }
    let mut text = String::new();
    for sentence in &said {
        let _ = writeln!(text, "{}", escaped(sentence));
    }
    let _ = writeln!(text, "\nWhat it meant for users: {FILL_IN}");
    text
}

fn timeline(account: &Account) -> String {
    let mut text = String::from("| from arming | time | what happened |\n| ---: | --- | --- |\n");
    for moment in &account.timeline {
        let what = match &moment.what {
            // Who asked is in the audit.
            Happened::Started { .. } => "the run started".to_owned(),
            other => other.to_string(),
        };
        let clock = account
            .armed_unix_ms
            .and_then(|armed| {
                let armed = i64::try_from(armed).ok()?;
                u64::try_from(armed.checked_add(moment.at_us / 1_000)?).ok()
            })
            .map_or_else(|| words::NONE.to_owned(), journal::time);
        let _ = writeln!(
            text,
            "| {} | {clock} | {} |",
            words::since_arming(moment.at_us),
            escaped(&what)
        );
    }
    if account.timeline.is_empty() {
        return "The journal has no record that could be read.".to_owned();
    }
    text
}

fn impact(facts: &Facts<'_>) -> String {
    let account = facts.account;
    let mut text = format!("{}\n", escaped(&facts.extent()));
    if !account.probes.is_empty() {
        let _ = writeln!(
            text,
            "\n| probe | baseline | under faults | × baseline | behind them | {} |\n\
             | --- | ---: | ---: | ---: | ---: | --- |",
            words::recovery_head(account)
        );
    }
    for series in &account.probes {
        let cells = [
            words::probe(series),
            words::tally(series.baseline),
            words::tally(series.under_fault),
            words::by_baseline(series),
            words::tally(series.recovery),
            words::fate(series),
        ];
        let cells = cells.map(|cell| escaped(&cell));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let beside = account.beside();
    if !beside.is_empty() {
        text.push('\n');
        text.push_str(&list(&beside, ""));
    }
    let reported = account.report.iter().flat_map(|report| &report.faults);
    let mut rows = reported.peekable();
    if rows.peek().is_some() {
        text.push_str(
            "\n| step | fault | target | seen | matched | hit | missed |\n\
             | --- | --- | --- | ---: | ---: | ---: | ---: |\n",
        );
    }
    for fault in rows {
        let name = format!("{} {}", fault.fault, fault.described);
        let names = [&fault.step, &name, &fault.target].map(|name| escaped(name.trim()));
        let [step, name, target] = names;
        let _ = writeln!(
            text,
            "| {step} | {name} | {target} | {} | {} | {} | {} |",
            fault.seen, fault.matched, fault.hit, fault.missed
        );
    }
    text
}

fn held(facts: &Facts<'_>) -> Vec<String> {
    let account = facts.account;
    let is_control = |series: &Series| series.role == Some(ProbeRole::Control);
    let is_good = |series: &&Series| match &series.fate {
        Some(Fate::Absorbed) => true,
        // A bystander has no time in which it may be hurt.
        Some(Fate::Adapted(_) | Fate::Recovered(_)) => !is_control(series),
        Some(Fate::Late(_) | Fate::Never { .. } | Fate::NotMet | Fate::NotMeasurable { .. })
        | None => false,
    };
    let good = account.probes.iter().filter(is_good);
    let mut said: Vec<String> = good.map(|series| became(series, account)).collect();
    let within = measures(account).filter(|(standing, _)| *standing == Standing::Within);
    said.extend(within.map(|(_, what)| what));
    if let (RunState::Ended { .. }, Some(report)) = (&account.state, &account.report)
        && report.undo_errors.is_empty()
        && account.to_restore.is_empty()
    {
        said.push("All that the run had changed on the host was put back.".to_owned());
        let halt = report.halt.iter();
        said.extend(halt.map(|halt| format!("The halt: {halt}.")));
    }
    said
}

/// The detection and the ledgers that have an objective, each with how it stands to it.
fn measures(account: &Account) -> impl Iterator<Item = (Standing, String)> {
    let judgement = account.judgement();
    let detection = judgement.and_then(|judgement| judgement.detection.as_ref());
    let detection = detection.filter(|detected| detected.objective_ms.is_some());
    let detection = detection.map(|detected| (detected.standing(), detected.to_string()));
    let ledgers = judgement.map_or(&[][..], |judgement| &judgement.ledgers);
    let ledgers = ledgers.iter().filter(|ledger| ledger.rpo.is_some());
    let ledgers = ledgers.map(|ledger| (ledger.standing(), ledger.to_string()));
    let all = detection.into_iter().chain(ledgers);
    all.map(|(standing, said)| (standing, format!("{}.", capital(&said))))
}

/// What became of a probe, as a sentence.
fn became(series: &Series, account: &Account) -> String {
    let fate = series.fate.as_ref().map(Fate::to_string);
    let fate = fate.unwrap_or_else(|| "was not judged".to_owned());
    let slower = series
        .under_fault
        .by(series.baseline)
        .map_or_else(String::new, |quotient| {
            format!("; its median under the faults was {quotient} × baseline")
        });
    let rto = match (&series.fate, account.rto_ms()) {
        (Some(fate), Some(rto)) if fate.recovery().is_some() => {
            format!(" (RTO {})", words::millis(rto))
        }
        _ => String::new(),
    };
    format!("{} {fate}{rto}{slower}.", words::probe(series))
}

fn broke(facts: &Facts<'_>) -> Vec<String> {
    let account = facts.account;
    let mut said = Vec::new();
    let order = facts.broken.iter().chain(&facts.hurt_controls);
    for broken in order {
        let what = if broken.series.fate.is_some() {
            became(broken.series, account)
        } else {
            format!("{} turned bad.", words::probe(broken.series))
        };
        said.push(format!("{}: {what}{}", at(broken.at_us), broken.said()));
    }
    said.extend(
        measures(account).filter_map(|(standing, _)| match standing {
            Standing::Deviated(why) | Standing::Unsafe(why) => Some(format!("{}.", capital(&why))),
            Standing::Within | Standing::Unseen(_) => None,
        }),
    );
    for moment in &account.timeline {
        if let Happened::TargetEnded { .. } | Happened::RestoreFailed { .. } = moment.what {
            said.push(format!("{}: {}.", at(moment.at_us), moment.what));
        }
    }
    let errors = account.report.iter().flat_map(|report| &report.undo_errors);
    said.extend(errors.map(|error| format!("Not put back: {error}.")));
    let left = account.to_restore.iter();
    said.extend(left.map(|change| format!("Not known to be put back: {change}.")));
    said
}

fn candidates(causes: &[Candidate]) -> String {
    if causes.is_empty() {
        return "None: the journal has nothing that broke. What was not measured is below."
            .to_owned();
    }
    let mut text = String::from(
        "Ranked by rule, the likeliest first. A rule knows what came after what, and not why: confirm or strike each.\n\n",
    );
    for (cause, number) in causes.iter().zip(1..) {
        let _ = writeln!(text, "{number}. **{}**", escaped(&cause.title));
        for evidence in &cause.evidence {
            let _ = writeln!(text, "   - Evidence: {}", escaped(evidence));
        }
        let _ = writeln!(text, "   - To confirm: {}", escaped(&cause.check));
        let _ = writeln!(text, "   - Confirmed or struck: {FILL_IN}");
    }
    text
}

fn actions(account: &Account, causes: &[Candidate]) -> String {
    let again = account.again();
    let recheck = match again {
        Some(_) => "the command below",
        None => "the journal does not say what was asked",
    };
    let mut text =
        String::from("| action | owner | due | re-checked by |\n| --- | --- | --- | --- |\n");
    let mut wanted: Vec<&str> = Vec::new();
    for cause in causes {
        if !wanted.contains(&cause.action.as_str()) {
            wanted.push(&cause.action);
        }
    }
    for action in wanted {
        let _ = writeln!(
            text,
            "| {} | {FILL_IN} | {FILL_IN} | {recheck} |",
            escaped(action)
        );
    }
    let _ = writeln!(text, "| {FILL_IN} | {FILL_IN} | {FILL_IN} | {recheck} |");
    if let Some(fingerprint) = account.fingerprint {
        let _ = writeln!(
            text,
            "\nAn action is done when a run of this experiment (`{fingerprint}`) holds after it; `injector lessons` \
             keeps it open until then."
        );
    }
    if let Some(again) = &again {
        let _ = writeln!(text, "\n```console\n$ {}\n```", fenced(&again.command));
    }
    if let Some(file) = again.and_then(|again| again.file) {
        let _ = writeln!(
            text,
            "\n`experiment.yaml`, from the journal, with the seeds of this run:\n\n```yaml\n{}\n```",
            file.trim_end()
        );
    }
    text
}

/// A line between fences, which it does not close: a command has no backticks but those that it quotes.
fn fenced(line: &str) -> String {
    printable::line(line).replace("```", "'''")
}

fn lessons(facts: &Facts<'_>) -> String {
    let mut text = String::new();
    for broken in &facts.broken {
        let fate = words::fate(broken.series);
        let name = words::probe(broken.series);
        let _ = writeln!(
            text,
            "- Measured: {} under {}: {}. What this teaches: {FILL_IN}",
            escaped(&name),
            escaped(&facts.faults()),
            escaped(&fate)
        );
    }
    for question in [
        "What went well",
        "What went less well",
        "Where luck helped",
        "What other services this may be true of",
    ] {
        let _ = writeln!(text, "- {question}: {FILL_IN}");
    }
    text
}
