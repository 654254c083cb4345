//! `injector report`: a run that ended and one that was killed are told in each format, by their journals alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use injector_tests::binaries;
use injector_tests::injector::{Finished, Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use serde_json::Value;

use crate::lifecycle::id_of_only_run;
use crate::needs::INJECTOR;
use crate::suite::Case;

const DELAY: [&str; 4] = ["net", "delay", "--latency", "20ms"];

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("report::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("a_whole_run_in_each_format", whole_run),
        case("a_killed_run_is_aborted", killed_run),
        case("its_output_is_whole_or_not_there", output),
        case("a_user_who_can_read_a_journal_needs_no_root", without_root),
    ]
}

/// A short run on a process that does nothing, and its id.
fn short_run(injector: &Injector) -> Result<String> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let resident = Victim::start(lab.agent(), &["sleep"])?;
    let pid = resident.pid().to_string();
    let run = [&DELAY[..], &["--pid", &pid, "--duration", "500ms"]].concat();
    let finished = injector.once(&run)?;
    ensure!(finished.code == Some(0), "{finished:?}");
    id_of_only_run(injector)
}

/// What `report` prints, which must go well.
fn told(injector: &Injector, run: &str, format: &str) -> Result<String> {
    let said = injector.once(&["report", run, "--format", format])?;
    ensure!(said.code == Some(0), "{format}: {said:?}");
    ensure!(said.stderr.is_empty(), "{format}: {said:?}");
    Ok(said.stdout)
}

fn has(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "no {part} in {text}");
    }
    Ok(())
}

fn whole_run() -> Result<()> {
    let injector = Injector::new()?;
    let run = short_run(&injector)?;
    has(
        &told(&injector, &run, "text")?,
        &[&run, "completed", "net.delay"],
    )?;
    has(
        &told(&injector, "last", "md")?,
        &["**completed** `net.delay`", &run],
    )?;
    let page = told(&injector, &run, "html")?;
    has(
        &page,
        &[
            "<!DOCTYPE html>",
            "latency 20ms",
            "sudo injector net delay",
            "</html>",
        ],
    )?;
    for part in ["<script", "http://", "https://", "src="] {
        ensure!(!page.contains(part), "{part} in {page}");
    }
    let data: Value = serde_json::from_str(&told(&injector, &run, "json")?)?;
    ensure!(
        data["run"] == run.as_str() && data["outcome"] == "completed",
        "{data}"
    );
    ensure!(data["windows"][0]["faults"][0] == "net.delay", "{data}");
    ensure!(
        data["report"]["faults"][0]["fault"] == "net.delay",
        "{data}"
    );
    Ok(())
}

fn killed_run() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &DELAY)?;
    let run = id_of_only_run(&injector)?;
    has(&told(&injector, &run, "md")?, &["**running** `net.delay`"])?;
    armed.kill_all()?;
    let no_process = "no process was left to say why";
    has(
        &told(&injector, &run, "text")?,
        &["aborted", no_process, "latency 20ms"],
    )?;
    has(
        &told(&injector, &run, "md")?,
        &["**aborted** `net.delay`", no_process],
    )?;
    has(
        &told(&injector, &run, "html")?,
        &["<strong>aborted</strong>", no_process],
    )?;
    let data: Value = serde_json::from_str(&told(&injector, &run, "json")?)?;
    ensure!(
        data["state"] == "aborted" && data["report"].is_null(),
        "{data}"
    );
    // What is left of it is cleaned up, and then there is a reason.
    let swept = injector.once(&["sweep"])?;
    ensure!(swept.code == Some(0), "{swept:?}");
    has(&told(&injector, &run, "md")?, &["**aborted** `net.delay`"])
}

fn output() -> Result<()> {
    let injector = Injector::new()?;
    let run = short_run(&injector)?;
    let file = injector.state().join("report.html");
    let name = file.to_string_lossy();
    let to = |path: &str| injector.once(&["report", &run, "--format", "html", "--output", path]);
    for _twice in 0..2 {
        let said = to(&name)?;
        ensure!(said.code == Some(0) && said.stdout.is_empty(), "{said:?}");
        ensure!(said.stderr.contains("report.html"), "{said:?}");
    }
    let page = fs::read_to_string(&file)?;
    ensure!(page == told(&injector, &run, "html")?, "{page}");
    let refused = |said: &Finished, part: &str| {
        let is_told = said.code == Some(2) && said.stderr.contains(part);
        ensure!(is_told, "{said:?}");
        Ok(())
    };
    refused(&to("/dev/null")?, "it is a device")?;
    refused(
        &to(&injector.state().to_string_lossy())?,
        "it is a directory",
    )?;
    refused(
        &injector.once(&["report", "r000000000000"])?,
        "there is no run r000000000000",
    )?;
    let lost = injector.once(&["report", "it", "--format", "json"])?;
    let document: Value = serde_json::from_str(&lost.stdout)?;
    ensure!(lost.code == Some(2) && document["exit"] == 2, "{lost:?}");
    let mut full = injector.command(&["report", &run, "--format", "html"]);
    full.stdout(Stdio::from(
        fs::OpenOptions::new().write(true).open("/dev/full")?,
    ));
    let full = full.output().context("cannot start the report")?;
    ensure!(full.status.code() == Some(1), "{full:?}");
    let left: Vec<_> = fs::read_dir(injector.state())?
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().contains("report.html"))
        .collect();
    ensure!(left == ["report.html"], "{left:?}");
    Ok(())
}

fn without_root() -> Result<()> {
    let injector = Injector::new()?;
    // Where that user can reach it.
    let binary = injector.state().join("injector");
    fs::copy(binaries::injector()?, &binary).context("cannot copy the injector")?;
    let injector = injector.installed(&binary);
    let run = short_run(&injector)?;
    let journal = injector.runs().join(format!("{run}.jsonl"));
    let open = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("cannot open {} to all", path.display()))
    };
    open(injector.state(), 0o755)?;
    open(&injector.runs(), 0o755)?;
    open(&journal, 0o644)?;
    let mut command = injector.command(&["report", &run, "--format", "md"]);
    command.uid(65_534).gid(65_534);
    let said = Running::spawn(command)?.wait()?;
    ensure!(said.code == Some(0), "{said:?}");
    has(&said.stdout, &["**completed** `net.delay`"])
}
