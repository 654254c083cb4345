//! `halt` and `resume`: the kill switch, moved by hand.

use std::time::Duration;

use serde::Serialize;

use injector_api::{Client, HaltRequest, Resumed, socket_path};
use injector_engine::tell;
use injector_engine::{
    kill_switch::{self, KillSwitchError},
    worker::{Output, login_uid},
};
use injector_host::kernel::clock::boot_ns;
use injector_record::halt::Halt;
use injector_record::journal::{self, Journal, ListedRun, Listing, Look, Record, RunId, RunState};
use injector_spec::{
    error::{Exit, Refusal},
    quantity::duration::nanos,
};

/// How long runs may take to end: a worker that hangs is killed after its lease (2 s), one that ends in
/// good order is given 8 s by its supervisor. The commands of a rollback may take longer.
const END_WITHIN: Duration = Duration::from_secs(12);

/// How often the journals are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What `halt --json` prints.
#[derive(Serialize)]
struct Told {
    halted: Halt,
    /// Runs that went on and are over.
    ended: Vec<RunId>,
    /// Runs that do not end.
    still_running: Vec<RunId>,
    /// Why that is a failure, where it is one.
    #[serde(flatten)]
    refusal: Option<Refusal>,
}

/// How long the daemon may take to answer a command that has made the file already.
const HURRY_WITHIN: Duration = Duration::from_secs(2);

/// Pulls the kill switch and waits until every run of this state directory is over.
///
/// The file alone does it, for the daemon's runs as for those of other processes: each watchdog sees it
/// within 100 ms. A daemon is told as well, and ends its leases at once. For a user who may not make the
/// file, or cannot, the daemon pulls the kill switch.
pub fn halt(reason: Option<String>, output: Output) -> Result<Exit, Refusal> {
    if reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > HaltRequest::LONGEST)
    {
        return Err(Refusal::usage(format!(
            "the reason is longer than {} characters; write a shorter one",
            HaltRequest::LONGEST
        )));
    }
    let directory = journal::directory();
    let by_uid = rustix::process::getuid().as_raw();
    let ours = Halt {
        by_uid,
        by_pid: std::process::id(),
        login_uid: login_uid(std::process::id(), by_uid),
        since_unix_ms: journal::unix_ms(),
        reason: reason.clone(),
    };
    let halted = match kill_switch::pull(&directory, ours.clone()) {
        Ok(halted) => halted,
        Err(error) => return through_the_daemon(reason, output, error),
    };
    hurry(reason);
    let before = running()?;
    let deadline = boot_ns().saturating_add(nanos(END_WITHIN));
    let mut still_running = before.clone();
    while !still_running.is_empty() && boot_ns() < deadline {
        std::thread::sleep(LOOK_EVERY);
        let now = running()?;
        still_running.retain(|run| now.contains(run));
    }
    let before = with_those_that_were_quick(before, &ours);
    note(&Record::Halted { halt: ours });
    Ok(tell_halted(halted, before, still_running, output))
}

/// Adds the runs that had ended for this halt before this command could look which are on.
fn with_those_that_were_quick(mut before: Vec<RunId>, halt: &Halt) -> Vec<RunId> {
    let halted = journal::halted_since(&journal::directory(), halt.since_unix_ms);
    // Where they cannot be read, the list is what was seen.
    for run in halted.unwrap_or_default() {
        if !before.contains(&run) {
            before.push(run);
        }
    }
    before
}

fn tell_halted(
    halted: Halt,
    before: Vec<RunId>,
    still_running: Vec<RunId>,
    output: Output,
) -> Exit {
    let told = Told {
        ended: before
            .into_iter()
            .filter(|run| !still_running.contains(run))
            .collect(),
        refusal: unended(&still_running),
        halted,
        still_running,
    };
    match output {
        Output::Json => tell::json(&told),
        Output::Text => tell::result(text(&told)),
    }
    let Some(refusal) = told.refusal else {
        return Exit::Done;
    };
    tell::complaint(&refusal);
    refusal.exit
}

fn unended(still_running: &[RunId]) -> Option<Refusal> {
    let runs: Vec<_> = still_running.iter().map(RunId::as_str).collect();
    let sentence = format!(
        "not ended within 12 s: {}; their leases are over, so nothing of them fires, but they run the \
         commands of their rollback, or their processes hang. `injector list` shows them, `kill -KILL` of the supervisor \
         ends them.",
        runs.join(", ")
    );
    (!runs.is_empty()).then(|| Refusal::failed(sentence))
}

/// Tells the daemon, where there is one, so that it need not look; nothing depends on it.
fn hurry(reason: Option<String>) {
    let Ok(runtime) = super::runtime() else {
        return;
    };
    runtime.block_on(async {
        let told = async {
            if let Ok(Some(client)) = Client::connect(&socket_path()).await {
                let _ = client.halt(&HaltRequest { reason }).await;
            }
        };
        let _ = tokio::time::timeout(HURRY_WITHIN, told).await;
    });
}

/// Has the daemon pull the kill switch, and waits until it has no run any more.
fn through_the_daemon(
    reason: Option<String>,
    output: Output,
    error: KillSwitchError,
) -> Result<Exit, Refusal> {
    super::runtime()?.block_on(async {
        let Some(client) = Client::connect(&socket_path()).await? else {
            return Err(error.into());
        };
        let before = names(client.status().await?.running);
        let halted = client.halt(&HaltRequest { reason }).await?;
        let deadline = tokio::time::Instant::now() + END_WITHIN;
        let mut still_running = before.clone();
        while !still_running.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = names(client.status().await?.running);
            still_running.retain(|run| now.contains(run));
        }
        Ok(tell_halted(halted, before, still_running, output))
    })
}

fn names(runs: Vec<ListedRun>) -> Vec<RunId> {
    runs.into_iter().map(|listed| listed.run).collect()
}

fn text(told: &Told) -> String {
    let count = told.ended.len();
    let runs = match count {
        0 => "no run was on".to_owned(),
        1 => "1 run has ended".to_owned(),
        _ => format!("{count} runs have ended"),
    };
    format!("{}; {runs}; `injector resume` lifts it", told.halted)
}

fn running() -> Result<Vec<RunId>, Refusal> {
    let directory = journal::directory();
    let unfinished = journal::unfinished(&directory, Look::Since);
    let runs = unfinished.and_then(Listing::whole).map_err(|error| {
        Refusal::failed(format!(
            "injector is halted, but the journals in {} cannot be read: {error}; runs end by themselves \
             within the lease.",
            directory.display()
        ))
    })?;
    let is_on = |listed: &ListedRun| listed.state == RunState::Running;
    Ok(runs
        .into_iter()
        .filter(is_on)
        .map(|listed| listed.run)
        .collect())
}

/// Puts it on record, after the fact: the kill switch does not wait for a disk.
fn note(record: &Record) {
    if let Err(error) = Journal::note(&kill_switch::journal(&journal::directory()), record) {
        tell::aside(format!("injector: this is not on record: {error}"));
    }
}

/// Releases the kill switch.
pub fn resume(output: Output) -> Result<Exit, Refusal> {
    let was_halted = match kill_switch::release(&journal::directory()) {
        Err(error @ KillSwitchError::NotRoot { .. }) => {
            let resumed = super::runtime()?.block_on(async {
                match Client::connect(&socket_path()).await? {
                    Some(client) => client.resume().await,
                    None => Err(error.into()),
                }
            })?;
            return Ok(tell_resumed(&resumed, output));
        }
        released => released?,
    };
    if was_halted.is_some() {
        note(&Record::Resumed {
            by_uid: rustix::process::getuid().as_raw(),
            by_pid: std::process::id(),
        });
    }
    Ok(tell_resumed(&Resumed { was_halted }, output))
}

fn tell_resumed(resumed: &Resumed, output: Output) -> Exit {
    match output {
        Output::Json => tell::json(resumed),
        Output::Text => tell::result(match &resumed.was_halted {
            Some(halt) => format!("runs may start again; injector was {halt}"),
            None => "injector was not halted; runs may start".to_owned(),
        }),
    }
    Exit::Done
}
