//! What is made of runs that are over: of a service that never comes back, and of the same experiment when it does,
//! told by `postmortem`, `lessons`, `compare` and `report --format junit`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Finished, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use serde_json::Value;

use crate::needs::INJECTOR;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("lessons::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("a_deviation_is_told_and_closed_by_a_pass", deviation),
        case("what_cannot_be_told_is_refused", refusals),
    ]
}

/// Longer than any of these runs.
const END: Duration = Duration::from_mins(1);

/// A service of this character at this address, or at a free port.
fn service(
    lab: &Lab,
    needs: SocketAddr,
    at: Option<SocketAddr>,
    character: &str,
) -> Result<(Victim, SocketAddr)> {
    let listen = at.unwrap_or_else(|| SocketAddr::new(lab.address(), 0));
    Victim::start_dependent(lab.agent(), listen, needs, character, &[])
}

/// Runs the file, which must end with this code, and gives the run's name.
fn run(injector: &Injector, text: &str, code: i32) -> Result<String> {
    let file = injector.state().join("needs-it.yaml");
    fs::write(&file, text)?;
    let path = file.to_string_lossy();
    let arguments = ["run", &path, "--json"];
    let finished = injector.start_here(&arguments)?.wait_within(END)?;
    ensure!(finished.code == Some(code), "{finished:?}");
    let report: Value = serde_json::from_str(&finished.stdout)
        .with_context(|| format!("no report: {finished:?}"))?;
    let run = report["run"].as_str().context("a report has no run")?;
    Ok(run.to_owned())
}

fn told(injector: &Injector, arguments: &[&str], code: i32) -> Result<String> {
    let said = injector.once(arguments)?;
    ensure!(said.code == Some(code), "{arguments:?}: {said:?}");
    Ok(said.stdout)
}

fn has(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "no {part} in {text}");
    }
    Ok(())
}

fn deviation() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let needs = lab.serve("udp-echo")?;
    let injector = Injector::new()?;
    has(
        &told(&injector, &["lessons", "--open"], 0)?,
        &["no open lessons (0 stored runs)"],
    )?;
    let (victim, address) = service(&lab, needs, None, "never-comes-back")?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let text = format!(
        "name: needs-it\nhypothesis: It comes back in time.\ntargets:\n  agent: {{ cgroup: {cgroup} }}\n\
         probes:\n  web: http http://{address}/ every 100ms within 100ms\n\
         steady-state: [web]\nobjectives: {{ rto: 2s }}\nbaseline: 5500ms\nrecovery: 6s\n\
         steps:\n  - name: cut\n    duration: 1s\n    faults:\n      \
         - net.blackhole: {{ target: agent, protocol: udp, dest-port: [{}] }}\n",
        needs.port()
    );
    let bad = run(&injector, &text, 1)?;
    drop(victim);
    the_page(&injector, &bad)?;
    has(
        &told(&injector, &["lessons"], 0)?,
        &["open  needs-it (", &bad, "1 open"],
    )?;
    let open: Value = serde_json::from_str(&told(&injector, &["lessons", "--open", "--json"], 1)?)?;
    let lesson = &open["lessons"][0];
    ensure!(lesson["state"] == "open" && lesson["times"] == 1, "{open}");
    ensure!(
        lesson["last"]["run"] == bad.as_str() && lesson["verdict"] == "deviated",
        "{open}"
    );
    let xml = told(&injector, &["report", &bad, "--format", "junit"], 0)?;
    has(
        &xml,
        &[
            "tests=\"2\" failures=\"2\" errors=\"0\"",
            "name=\"web\" classname=\"needs-it\"",
        ],
    )?;

    let (_victim, _) = service(&lab, needs, Some(address), "comes-back")?;
    let good = run(&injector, &text, 0)?;
    has(
        &told(&injector, &["lessons", "--open"], 0)?,
        &["no open lessons"],
    )?;
    has(
        &told(&injector, &["lessons"], 0)?,
        &["done  needs-it (", &format!("held in {good}")],
    )?;
    let xml = told(&injector, &["report", "last", "--format", "junit"], 0)?;
    has(
        &xml,
        &["tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"0\""],
    )?;

    let better = told(&injector, &["compare", &bad, "last"], 0)?;
    has(
        &better,
        &["better (needs-it)", "the verdict was deviated, and is held"],
    )?;
    let worse: Value = serde_json::from_str(&told(
        &injector,
        &["compare", &good, &bad, "--format", "json"],
        0,
    )?)?;
    ensure!(
        worse["regressions"]
            .as_array()
            .is_some_and(|list| list.len() == 2),
        "{worse}"
    );
    for what in ["experiment", "kernel", "injector"] {
        ensure!(worse[what]["agreement"] == "same", "{what}: {worse}");
    }
    ensure!(worse["probes"][0]["change"] == "worse", "{worse}");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    has(
        &told(&injector, &["compare", &bad, &good, "--format", "md"], 0)?,
        &[kernel.trim()],
    )?;
    done_again(&injector, &bad)
}

/// What a postmortem says is what is known of the service.
fn the_page(injector: &Injector, run: &str) -> Result<()> {
    let file = injector.state().join("postmortem.md");
    let path = file.to_string_lossy();
    let said = injector.once(&["postmortem", "last", "--output", &path])?;
    ensure!(said.code == Some(0) && said.stdout.is_empty(), "{said:?}");
    let page = fs::read_to_string(&file)?;
    ensure!(page == told(injector, &["postmortem", run], 0)?, "{page}");
    has(
        &page,
        &[
            "# Postmortem: deviated `needs-it`",
            "impact: probe web turns bad",
            "1. **net.blackhole",
            "2. **No way back",
            "No control was asked",
            "$ sudo injector run experiment.yaml",
        ],
    )
}

/// The file in the page asks for the same experiment, so that a run of it closes the lesson.
fn done_again(injector: &Injector, run: &str) -> Result<()> {
    let page = told(injector, &["postmortem", run], 0)?;
    let (_, file) = page
        .split_once("```yaml\n")
        .context("no file in the page")?;
    let file = file.split("```").next().unwrap_or_default();
    let path = injector.state().join("again.yaml");
    fs::write(&path, file)?;
    let path = path.to_string_lossy();
    // It is refused by no check, and is not run a third time.
    let rehearsed = injector.once(&["run", &path, "--dry-run"])?;
    ensure!(rehearsed.code == Some(0), "{rehearsed:?}, for {file}");
    Ok(())
}

fn refusals() -> Result<()> {
    let injector = Injector::new()?;
    let refused = |said: &Finished, part: &str| {
        ensure!(
            said.code == Some(2) && said.stderr.contains(part),
            "{part}: {said:?}"
        );
        Ok(())
    };
    let unknown = "r000000000000";
    for arguments in [
        &["postmortem", unknown][..],
        &["compare", unknown, "last"],
        &["compare", unknown, unknown],
    ] {
        refused(&injector.once(arguments)?, "there is no run r000000000000")?;
    }
    refused(
        &injector.once(&["postmortem", "last"])?,
        "there is no run yet",
    )?;
    refused(
        &injector.once(&["postmortem", "it"])?,
        "`it` is not the name of a run",
    )?;
    refused(&injector.once(&["compare", "last"])?, "RUN")?;
    // A journal of one record is a run that broke off, and has a page.
    fs::create_dir_all(injector.runs())?;
    let journal = injector.runs().join("r000000010001.jsonl");
    fs::write(&journal, "")?;
    let page = told(&injector, &["postmortem", "r000000010001"], 0)?;
    has(
        &page,
        &[
            "# Postmortem: aborted",
            "The record of what was asked is damaged or missing",
        ],
    )?;
    let compared = told(&injector, &["compare", "r000000010001", "last"], 0)?;
    has(
        &compared,
        &["not comparable", "the comparison means nothing"],
    )?;
    let link = injector.state().join("link.md");
    symlink(injector.state().join("precious"), &link)?;
    let link = link.to_string_lossy();
    for arguments in [
        &["postmortem", "last", "--output", &link][..],
        &["compare", "last", "last", "--output", &link],
        &["report", "last", "--format", "junit", "--output", &link],
    ] {
        refused(&injector.once(arguments)?, "it is a symbolic link")?;
    }
    // What lies there as a journal and is none is named, and no pipeline passes it by.
    fs::remove_file(&journal)?;
    fs::create_dir(&journal)?;
    let said = injector.once(&["lessons", "--open"])?;
    ensure!(
        said.code == Some(1) && said.stderr.contains("it is a directory"),
        "{said:?}"
    );
    let said = injector.once(&["postmortem", "r000000010001"])?;
    ensure!(
        said.code == Some(1) && said.stderr.contains("it is a directory"),
        "{said:?}"
    );
    fs::remove_dir(&journal)?;
    // A table of a later version is named and left.
    let table = injector.runs().join("ended.table");
    let newer = [
        &b"inj-runs"[..],
        &9_u32.to_le_bytes(),
        &80_u32.to_le_bytes(),
    ]
    .concat();
    fs::write(&table, &newer)?;
    let said = injector.once(&["lessons"])?;
    ensure!(
        said.code == Some(0) && said.stderr.contains("of a newer injector"),
        "{said:?}"
    );
    ensure!(fs::read(&table)? == newer, "it was written to");
    Ok(())
}
