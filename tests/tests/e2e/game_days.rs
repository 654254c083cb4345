//! The game days of `configs/experiments/game-days`, each on a service that makes it end as its file says, and their
//! reports, which stand beside the files with times and names masked.
//!
//! `INJECTOR_REPORTS=write` writes the reports in place of comparing them, and `INJECTOR_KEEP_JOURNALS=FOLDER` leaves the
//! journals of each day in a folder of its name there.

use std::env;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use regex::Regex;
use serde_json::Value;

use crate::judged::Service;
use crate::needs::{INJECTOR, INJECTOR_AND_NETNS};
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let day = |name: &'static str, character: &'static str, met: Met, code: i32| {
        Case::new(format!("game_day::{name}"), INJECTOR, move || {
            on_a_service(name, character, met, code)
        })
        .beside_others()
    };
    vec![
        day("holds", "comes-back", Met::Yes, 0),
        day("deviates", "never-comes-back", Met::Yes, 1),
        day("halted", "never-comes-back", Met::Yes, 1),
        day("inconclusive", "absorbs", Met::No, 4),
        Case::new("game_day::stages", INJECTOR_AND_NETNS, in_a_sandbox).beside_others(),
    ]
}

/// Longer than any of these runs.
const END: Duration = Duration::from_mins(1);

/// Whether the service uses what is taken from it.
#[derive(Clone, Copy)]
enum Met {
    Yes,
    No,
}

fn folder() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = tests.parent().unwrap_or(tests);
    repository.join("configs/experiments/game-days")
}

fn on_a_service(name: &str, character: &str, met: Met, code: i32) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let needs = lab.serve("udp-echo")?;
    let service = Service::start(&lab, lab.agent(), needs, character)?;
    let port = match met {
        Met::Yes => needs.port(),
        Met::No => 9,
    };
    let sets = [
        format!("cgroup={}", lab.cgroups.agent.path().display()),
        format!("health=http://{}/", service.address()),
        format!("port={port}"),
        "baseline=5500ms".to_owned(),
        "recovery=8s".to_owned(),
    ];
    let report = play(name, &sets, code)?;
    if name == "halted" {
        // Ten answers of 100 ms each, a look of the halt monitor, and an emulated machine's patience.
        let lasted = report["judgement"]["times"]["lifted_ns"]
            .as_u64()
            .zip(report["judgement"]["times"]["faults_ns"].as_u64());
        let lasted = lasted.map(|(lifted, began)| Duration::from_nanos(lifted - began));
        let lasted = lasted.context("the report does not say when the fault was there")?;
        ensure!(
            (Duration::from_secs(1)..Duration::from_secs(5)).contains(&lasted),
            "halted after {lasted:?}"
        );
    }
    Ok(())
}

fn in_a_sandbox() -> Result<()> {
    let lab = Lab::new(Wire::Veth, Family::V4)?;
    let agent = Victim::start(lab.agent(), &["sleep"])?;
    let sets = [
        format!("cgroup={}", lab.cgroups.agent.path().display()),
        format!("pid={}", agent.pid()),
        "baseline=5500ms".to_owned(),
        "recovery=6s".to_owned(),
    ];
    play("stages", &sets, 0).map(drop)
}

/// Runs the file, which must end with this code, and holds its card against the one that stands beside it.
fn play(name: &str, sets: &[String], code: i32) -> Result<Value> {
    let injector = Injector::new()?;
    let file = folder().join(format!("{name}.yaml"));
    let path = file.to_string_lossy();
    let mut words = vec!["run", &path, "--json"];
    for set in sets {
        words.extend(["--set", set]);
    }
    let finished = injector.start_here(&words)?.wait_within(END)?;
    ensure!(finished.code == Some(code), "{finished:?}");
    let card = injector.once(&["report", "last"])?;
    let mut card = masked(&card.stdout)?;
    if name == "halted" {
        // Whether an answer was right between the first hit and the first bad one is a matter of milliseconds.
        card = card.replace(", median # (# x baseline)", "");
    }
    let kept = folder().join("reports").join(format!("{name}.txt"));
    if env::var_os("INJECTOR_REPORTS").is_some_and(|what| what == "write") {
        fs::write(&kept, &card)?;
    }
    if let Some(folder) = env::var_os("INJECTOR_KEEP_JOURNALS") {
        keep(&injector.runs(), &Path::new(&folder).join(name))?;
    }
    let wanted =
        fs::read_to_string(&kept).with_context(|| format!("{} cannot be read", kept.display()))?;
    ensure!(
        card == wanted,
        "the report of {name} is another than in {}:\n{card}",
        kept.display()
    );
    Ok(serde_json::from_str(&finished.stdout)?)
}

/// Copies the journals, which are files of one folder, in place of those of an earlier day.
fn keep(journals: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).context("the journals of an earlier day stay")?;
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .context("there is no place for journals")?;
    for entry in fs::read_dir(journals)?.flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// The card without what differs between two runs that went alike: numbers with their units, names of runs and paths, and
/// the blanks that stand each row below the other.
fn masked(card: &str) -> Result<String> {
    let mut text = card.to_owned();
    for (pattern, with) in [
        (r"\br[0-9a-f]{12}\b", "RUN"),
        (r"/[\w./-]+", "PATH"),
        // By classic filters, where the kernel has no TCX.
        (r"\bclsact-redirect\b", "tcx-redirect"),
        (
            r"\d+(\.\d+)?( ?(ms|us|µs|ns|s|min|m|h|%))?( ?± ?\d+(\.\d+)?( ?(ms|s))?)?",
            "#",
        ),
        // There is one where an answer was right before the fault was felt.
        (r", median # \(# x baseline\)", ""),
        (r" {2,}", "  "),
        (r" +\n", "\n"),
    ] {
        text = Regex::new(pattern)?.replace_all(&text, with).into_owned();
    }
    Ok(text)
}
