//! `status`, `list`, `stop`, `events`: answered by the daemon where there is one, by the journals else.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Question, tell};
use crate::{
    api::{Client, Status, client::Told, foreground, socket_path},
    error::{Exit, Refusal},
    experiment::Target,
    journal::{self, ListedRun, Record, RunId, RunState, Stamped},
    lever::{self, Halt},
    printable,
    report::RunReport,
    worker::Output,
};

/// Answers, and returns the exit code.
pub fn ask(question: Question, output: Output) -> Result<Exit, Refusal> {
    super::runtime()?.block_on(answer(question, output))
}

async fn answer(question: Question, output: Output) -> Result<Exit, Refusal> {
    let client = Client::connect(&socket_path()).await?;
    match question {
        Question::Status => status(client.as_ref(), output).await?,
        Question::List => list(&runs(client.as_ref()).await?, output),
        Question::Stop(run) => {
            let runs = runs(client.as_ref()).await?;
            let listed = runs.into_iter().find(|listed| listed.run == run);
            let listed = listed.ok_or_else(|| {
                Refusal::usage(format!(
                    "there is no run {run}; `injector list` shows those that are known"
                ))
            })?;
            return stop(client.as_ref(), vec![listed], output).await;
        }
        Question::StopAll => {
            let mut runs = runs(client.as_ref()).await?;
            runs.retain(|listed| listed.state == RunState::Running);
            return stop(client.as_ref(), runs, output).await;
        }
        Question::Events { run, follow: false } => events(run.as_ref(), output)?,
        Question::Events { run, follow: true } => {
            let client = client.ok_or_else(|| {
                Refusal::usage(format!(
                    "no daemon answers at {}, and only a daemon tells what happens as it does; start one with \
                     `injector daemon`, or leave out --follow",
                    socket_path().display()
                ))
            })?;
            follow(&client, run.as_ref(), output).await?;
        }
    }
    Ok(Exit::Done)
}

async fn runs(client: Option<&Client>) -> Result<Vec<ListedRun>, Refusal> {
    match client {
        Some(client) => client.list().await,
        None => journals(&journal::directory()),
    }
}

fn journals(directory: &Path) -> Result<Vec<ListedRun>, Refusal> {
    journal::list(directory).map_err(|error| unreadable(directory, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    let path = path.display();
    Refusal::usage(format!(
        "the journals in {path} cannot be read: {error}; use sudo, or check the path"
    ))
}

/// What `status --json` prints.
#[derive(Serialize)]
struct Standing {
    daemon: Option<Status>,
    running: Vec<ListedRun>,
    halted: Option<Halt>,
}

async fn status(client: Option<&Client>, output: Output) -> Result<(), Refusal> {
    let daemon = match client {
        Some(client) => Some(client.status().await?),
        None => None,
    };
    let running = if let Some(status) = &daemon {
        status.running.clone()
    } else {
        let mut runs = journals(&journal::directory())?;
        runs.retain(|listed| listed.state == RunState::Running);
        runs
    };
    let halted = match &daemon {
        Some(status) => status.halted.clone(),
        None => lever::standing(&journal::directory())?,
    };
    match output {
        Output::Json => tell::json(&Standing {
            daemon,
            running,
            halted,
        }),
        Output::Text => {
            let socket = socket_path();
            tell::result(match &daemon {
                Some(Status { version, pid, .. }) => {
                    format!(
                        "daemon {version} answers at {} (process {pid})",
                        socket.display()
                    )
                }
                None => format!("no daemon answers at {}", socket.display()),
            });
            if let Some(halt) = &halted {
                tell::result(format!("{halt}; nothing starts until `injector resume`"));
            }
            list(&running, output);
        }
    }
    Ok(())
}

fn list(runs: &[ListedRun], output: Output) {
    match output {
        Output::Json => tell::json(&runs),
        Output::Text if runs.is_empty() => tell::result("no runs"),
        Output::Text => runs.iter().for_each(|listed| {
            tell::result(printable::line(&line(listed)));
            for fault in &listed.faults {
                tell::result(printable::line(&format!("    {fault}")));
            }
        }),
    }
}

fn line(listed: &ListedRun) -> String {
    let ListedRun {
        run,
        name,
        state,
        to_restore,
        damaged_lines,
        ..
    } = listed;
    let state = match state {
        RunState::Running => "running".to_owned(),
        RunState::Ended { outcome } => outcome.to_string(),
        RunState::Aborted { why: Some(why) } => format!("aborted: {why}"),
        RunState::Aborted { why: None } => "aborted, with nobody left to say why".to_owned(),
    };
    let mut text = format!(
        "{run}  {}  {name}  {state}",
        journal::time(listed.started_unix_ms)
    );
    if !matches!(listed.state, RunState::Running) && !to_restore.is_empty() {
        text = format!("{text}; {} host settings to restore", to_restore.len());
    }
    if *damaged_lines > 0 {
        text = format!("{text}; {damaged_lines} damaged lines in its journal");
    }
    text
}

/// Ends runs one after the other, and fails at the end if one of them could not be ended.
async fn stop(
    client: Option<&Client>,
    runs: Vec<ListedRun>,
    output: Output,
) -> Result<Exit, Refusal> {
    let mut reports = Vec::new();
    let mut failed = None;
    for listed in runs {
        match stop_one(client, listed).await {
            Ok(report) => reports.push(report),
            Err(refusal) => {
                // The last of them becomes the command's own.
                failed.replace(refusal).iter().for_each(tell::complaint);
            }
        }
    }
    match (output, failed) {
        (Output::Json, None) => tell::json(&reports),
        (Output::Json, Some(refusal)) if reports.is_empty() => return Err(refusal),
        (Output::Json, Some(refusal)) => {
            tell::json(&StoppedInPart {
                refusal: &refusal,
                reports: &reports,
            });
            tell::complaint(&refusal);
            return Ok(refusal.exit);
        }
        (Output::Text, None) if reports.is_empty() => tell::result("no runs to stop"),
        (Output::Text, failed) => {
            for report in &reports {
                tell::report(report, output);
            }
            return failed.map_or(Ok(Exit::Done), Err);
        }
    }
    Ok(Exit::Done)
}

/// What `stop --all --json` prints where some of the runs could not be ended.
#[derive(Serialize)]
struct StoppedInPart<'a> {
    #[serde(flatten)]
    refusal: &'a Refusal,
    /// Those that were.
    reports: &'a [RunReport],
}

async fn stop_one(client: Option<&Client>, listed: ListedRun) -> Result<RunReport, Refusal> {
    let run = listed.run.clone();
    if listed.state != RunState::Running {
        let sentence = format!("the run {run} is over already; `injector list` says how it ended");
        return Err(Refusal::usage(sentence));
    }
    match (client, listed.supervisor) {
        (Some(client), _) => client.stop(&run).await,
        (None, Some(supervisor)) => {
            let stop = move || foreground::stop(&journal::directory(), &listed, supervisor);
            let stopped = tokio::task::spawn_blocking(stop).await;
            stopped.unwrap_or_else(|_| {
                Err(Refusal::failed(format!(
                    "ending the run {run} broke; try again"
                )))
            })
        }
        (None, None) => Err(Refusal::usage(format!(
            "the run {run} belongs to a daemon that does not answer at {}; set INJECTOR_SOCKET to its socket",
            socket_path().display()
        ))),
    }
}

/// What the journals tell.
fn events(run: Option<&RunId>, output: Output) -> Result<(), Refusal> {
    let directory = journal::directory();
    let runs = journals(&directory)?;
    if let Some(run) = run
        && !runs.iter().any(|listed| listed.run == *run)
    {
        let sentence = format!("there is no run {run}; `injector list` shows those that are known");
        return Err(Refusal::usage(sentence));
    }
    for listed in runs
        .iter()
        .filter(|listed| run.is_none_or(|run| listed.run == *run))
    {
        let path: PathBuf = directory.join(format!("{}.jsonl", listed.run));
        let replay = journal::replay(&path).map_err(|error| unreadable(&path, &error))?;
        for stamped in &replay.records {
            match output {
                Output::Json => tell::json(&OfRun {
                    run: &listed.run,
                    stamped,
                }),
                Output::Text => {
                    let (time, what) = (journal::time(stamped.unix_ms), sentence(&stamped.record));
                    tell::result(format!("{time}  {}  {what}", listed.run));
                }
            }
        }
    }
    Ok(())
}

/// A record with the name of its run.
#[derive(Serialize)]
struct OfRun<'a> {
    run: &'a RunId,
    #[serde(flatten)]
    stamped: &'a Stamped,
}

pub(super) fn sentence(record: &Record) -> String {
    match record {
        Record::Started {
            name,
            by_uid,
            by_pid,
            login_uid,
            config,
            ..
        } => {
            let login = login_uid.filter(|login| login != by_uid);
            let login = login.map_or_else(String::new, |login| format!(" (logged in as {login})"));
            let limits = config.as_ref().map_or_else(
                || "the default limits".to_owned(),
                |file| format!("the limits of {file}"),
            );
            format!(
                "started {name}, asked by user {by_uid}{login}, process {by_pid}, under {limits}"
            )
        }
        Record::Overridden {
            limit,
            by_uid,
            by_pid,
            lifted,
        } => {
            let what = lifted
                .as_deref()
                .unwrap_or("the run keeps that limit anyway");
            format!("user {by_uid}, process {by_pid}, asked for {limit}: {what}")
        }
        Record::Planned { faults, .. } if faults.is_empty() => "planned".to_owned(),
        Record::Planned { faults, .. } => {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            format!("planned: {}", faults.join(" | "))
        }
        Record::Change { id, change } => format!("change {id}: {change}"),
        Record::TargetEnded {
            target,
            how,
            after_ms,
        } => format!(
            "{} ended after {after_ms} ms: {how}",
            Target::in_words(target)
        ),
        Record::TargetMet { target, after_ms } => {
            format!("{} met again after {after_ms} ms", Target::in_words(target))
        }
        Record::TargetNotMet {
            target,
            why,
            after_ms,
        } => format!(
            "{} back after {after_ms} ms and not met: {why}",
            Target::in_words(target)
        ),
        Record::Changed { id } => format!("change {id} made"),
        Record::Restored { id } => format!("change {id} undone"),
        Record::RestoreFailed { id, why } => format!("change {id} could not be undone: {why}"),
        Record::Armed => "armed".to_owned(),
        Record::StepStarted { step } => format!("step {step}"),
        Record::StepEnded { step } => format!("end of step {step}"),
        Record::Told { notice } => notice.to_string(),
        Record::Ended { report } => format!("ended: {}", report.outcome),
        Record::Aborted { why } => format!("aborted: {why}"),
        Record::Halted { halt } => halt.to_string(),
        Record::Resumed { by_uid, by_pid } => {
            format!("resumed by user {by_uid}, process {by_pid}")
        }
    }
}

/// What happens from now on; an interrupt ends this command as it does any other.
async fn follow(client: &Client, run: Option<&RunId>, output: Output) -> Result<(), Refusal> {
    let mut events = client.events(true).await?;
    while let Some(told) = events.next().await? {
        match told {
            Told::Event(event) if run.is_none_or(|run| event.run == *run) => {
                tell::event(&event, output);
                if tell::has_left() {
                    return Ok(());
                }
            }
            Told::Event(_) => {}
            Told::Lost => {
                tell::aside(
                    "injector: some events came too fast and were lost; counters have them",
                );
            }
        }
    }
    Ok(())
}
