//! `status`, `list`, `stop`, `events`: answered by the daemon where there is one, by the journals else.

use serde::Serialize;

use super::{
    Question,
    list::{self, NEWEST, Shown},
    record::Reader,
    stored,
};
use injector_api::{Client, ScheduleStatus, Status, client::Told, foreground, socket_path};
use injector_engine::tell;
use injector_engine::{kill_switch, worker::Output};
use injector_record::halt::Halt;
use injector_record::{
    journal::{
        self, ListedRun, Listing, Look, Newest, Reports, RunId, RunState, Stamped, Unreadable,
    },
    report::RunReport,
};
use injector_spec::{
    error::{Exit, Refusal},
    printable,
};

/// Answers, and returns the exit code.
pub fn ask(question: Question, output: Output) -> Result<Exit, Refusal> {
    super::runtime()?.block_on(answer(question, output))
}

async fn answer(question: Question, output: Output) -> Result<Exit, Refusal> {
    let client = Client::connect(&socket_path()).await?;
    match question {
        Question::Status => return status(client.as_ref(), output).await,
        Question::List(shown) => {
            let Newest { listing, older } = wanted(client.as_ref(), shown, output).await?;
            list(&listing.runs, older, output);
            return Ok(tell_unreadable(&listing.unreadable));
        }
        Question::Stop(run) => {
            let Listing { runs, .. } = runs(client.as_ref(), Reports::Without).await?;
            let listed = runs.into_iter().find(|listed| listed.run == run);
            let listed = listed.ok_or_else(|| unknown(&run))?;
            return stop(client.as_ref(), vec![listed], output).await;
        }
        Question::StopAll => {
            let Listing { mut runs, .. } = runs(client.as_ref(), Reports::Without).await?;
            runs.retain(|listed| listed.state == RunState::Running);
            return stop(client.as_ref(), runs, output).await;
        }
        Question::Events { run, follow: false } => return events(run.as_ref(), output),
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

/// The daemon's answer, or what the journals say and which of them cannot be read.
async fn runs(client: Option<&Client>, reports: Reports) -> Result<Listing, Refusal> {
    if let Some(client) = client {
        return Ok(Listing {
            runs: client.list().await?,
            unreadable: Vec::new(),
        });
    }
    let directory = journal::directory();
    journal::look(&directory, reports).map_err(|error| stored::unreadable(&directory, &error))
}

/// The runs that a list shows, and how many it leaves out: programs get all of them.
async fn wanted(client: Option<&Client>, shown: Shown, output: Output) -> Result<Newest, Refusal> {
    let count = match (shown, output) {
        (Shown::Newest, Output::Text) => NEWEST,
        (Shown::All, _) | (_, Output::Json) => usize::MAX,
    };
    if client.is_none() && count == NEWEST {
        let directory = journal::directory();
        return journal::newest(&directory, count)
            .map_err(|error| stored::unreadable(&directory, &error));
    }
    let mut listing = runs(client, Reports::With).await?;
    let older = listing.runs.len().saturating_sub(count);
    listing.runs.drain(..older);
    Ok(Newest { listing, older })
}

/// Names what could not be read, and gives the exit code of the command that asked.
fn tell_unreadable(unreadable: &[Unreadable]) -> Exit {
    stored::tell_unreadable(unreadable);
    if unreadable.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    }
}

/// What `status --json` prints.
#[derive(Serialize)]
struct Standing {
    daemon: Option<Status>,
    running: Vec<ListedRun>,
    halted: Option<Halt>,
}

/// What the daemon's schedule is at.
fn schedule(status: Option<&ScheduleStatus>) -> String {
    let Some(status) = status else {
        return "the schedule is off".to_owned();
    };
    let ScheduleStatus {
        next_unix_ms,
        run,
        waiting_because,
        today,
        at_most_a_day,
    } = status;
    let what = match (run, waiting_because, next_unix_ms) {
        (Some(run), _, _) => format!("run {run} goes on"),
        (None, Some(why), _) => format!("nothing is due: {}", printable::line(why)),
        (None, None, Some(next)) => format!(
            "the next is due at {} at the earliest",
            journal::time(*next)
        ),
        (None, None, None) => "its hours are never open".to_owned(),
    };
    let count = match today {
        Some(today) => format!("{today} of at most {at_most_a_day} started today"),
        None => format!("at most {at_most_a_day} a day"),
    };
    format!("schedule: {what} ({count})")
}

async fn status(client: Option<&Client>, output: Output) -> Result<Exit, Refusal> {
    let daemon = match client {
        Some(client) => Some(client.status().await?),
        None => None,
    };
    let directory = journal::directory();
    let Listing {
        runs: mut running,
        unreadable,
    } = match &daemon {
        Some(status) => Listing {
            runs: status.running.clone(),
            unreadable: Vec::new(),
        },
        None => journal::unfinished(&directory, Look::Since)
            .map_err(|error| stored::unreadable(&directory, &error))?,
    };
    running.retain(|listed| listed.state == RunState::Running);
    let halted = match &daemon {
        Some(status) => status.halted.clone(),
        None => kill_switch::standing(&directory)?,
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
            if let Some(daemon) = &daemon {
                tell::result(schedule(daemon.schedule.as_ref()));
            }
            list(&running, 0, output);
        }
    }
    Ok(tell_unreadable(&unreadable))
}

/// The runs, as a table or as JSON; so many older ones are left out.
fn list(runs: &[ListedRun], older: usize, output: Output) {
    match output {
        Output::Json => tell::json(&runs),
        Output::Text if runs.is_empty() => tell::result("no runs"),
        Output::Text => tell::page(
            list::table(runs, older, journal::unix_ms())
                .into_iter()
                .collect(),
        ),
    }
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

pub(super) async fn stop_one(
    client: Option<&Client>,
    listed: ListedRun,
) -> Result<RunReport, Refusal> {
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
fn events(wanted: Option<&RunId>, output: Output) -> Result<Exit, Refusal> {
    let directory = journal::directory();
    let mut files =
        journal::files(&directory).map_err(|error| stored::unreadable(&directory, &error))?;
    if let Some(wanted) = wanted {
        files.retain(|(_, run)| run == wanted);
        if files.is_empty() {
            return Err(unknown(wanted));
        }
    }
    let mut exit = Exit::Done;
    for (file, run) in files {
        let replay = match journal::replay(&file) {
            Ok(replay) => replay,
            Err(error) => {
                let why = error.to_string();
                tell_unreadable(&[Unreadable { file, why }]);
                exit = Exit::Failed;
                continue;
            }
        };
        let mut reader = Reader::default();
        for stamped in &replay.records {
            match output {
                Output::Json => tell::json(&OfRun { run: &run, stamped }),
                Output::Text => {
                    let (time, what) = (
                        journal::time(stamped.unix_ms),
                        reader.sentence(&stamped.record),
                    );
                    tell::result(format!("{time}  {run}  {what}"));
                }
            }
        }
    }
    Ok(exit)
}

fn unknown(run: &RunId) -> Refusal {
    Refusal::usage(format!(
        "there is no run {run}; `injector list` shows those that are known"
    ))
}

/// A record with the name of its run.
#[derive(Serialize)]
struct OfRun<'a> {
    run: &'a RunId,
    #[serde(flatten)]
    stamped: &'a Stamped,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_says_what_it_is_at() {
        let status = ScheduleStatus {
            next_unix_ms: None,
            run: None,
            waiting_because: None,
            today: None,
            at_most_a_day: 3,
        };
        assert_eq!(schedule(None), "the schedule is off");
        let undrawn = ScheduleStatus {
            waiting_because: Some("the next start is not drawn yet".into()),
            ..status.clone()
        };
        assert_eq!(
            schedule(Some(&undrawn)),
            "schedule: nothing is due: the next start is not drawn yet (at most 3 a day)"
        );
        let counted = ScheduleStatus {
            today: Some(1),
            ..status
        };
        assert_eq!(
            schedule(Some(&counted)),
            "schedule: its hours are never open (1 of at most 3 started today)"
        );
        let due = ScheduleStatus {
            next_unix_ms: Some(0),
            ..counted
        };
        assert!(schedule(Some(&due)).contains("the next is due at "));
    }
}
