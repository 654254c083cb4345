//! Silence and claims: what is said of a target by what is seen from outside, where an experiment declares it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Finished, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use tempfile::TempDir;

use crate::needs::INJECTOR;
use crate::suite::Case;
use crate::tools::TOOL;

/// How long a run may take to end once its target has.
const SOON: Duration = Duration::from_secs(15);

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("signs::{name}"), INJECTOR, run);
    vec![
        case("a_target_that_fails_and_tells_no_person_is_silent", || {
            file_of_alerts(None, 1, "silent: 1 task failed for good")
        }),
        case("a_target_that_tells_a_person_is_not_silent", || {
            file_of_alerts(Some("help\n"), 0, "escalated: a change of ")
        }),
        case("a_connection_tells_a_person_too", connection),
        case("a_success_without_its_effect_is_false", claims),
    ]
}

/// A lab, and a folder for what is written.
struct Scene {
    lab: Lab,
    folder: TempDir,
}

impl Scene {
    fn set() -> Result<Self> {
        Ok(Self {
            lab: Lab::new(Wire::Loopback, Family::V4)?,
            folder: tempfile::tempdir().context("cannot make a folder")?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An experiment on the agent with this declared of it, as a file.
    fn experiment(&self, declared: &str, faults: &str) -> Result<String> {
        let cgroup = self.lab.cgroups.agent.path().display();
        let text = format!(
            "name: signs\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\non-target-exit: end\n{declared}\nsteps:\n\
             - {{ name: failing, duration: 20s, faults: [ {faults} ] }}\n"
        );
        let path = self.path("signs.yaml");
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }
}

/// What a call of the plain tool meets.
const FAILING: &str = "tool.error: { interface: json, request-path: \"/tools/*\", status: 503 }";

fn append(path: &Path, text: &str) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file?.write_all(text.as_bytes())?;
    Ok(())
}

fn said(finished: &Finished, code: i32, words: &str) -> Result<()> {
    ensure!(finished.code == Some(code), "{finished:?}");
    let report = finished.report()?;
    let told = report.remarks.iter().any(|one| one.contains(words));
    ensure!(told, "{:?}", report.remarks);
    Ok(())
}

/// A call fails, and the agent ends; meanwhile this is written to its file of alerts.
fn file_of_alerts(written: Option<&str>, code: i32, words: &str) -> Result<()> {
    let scene = Scene::set()?;
    let alerts = scene.path("alerts");
    let named = alerts.display();
    let declared = format!("handoff: {{ file: {named} }}\nfail-on: [silent]");
    let path = scene.experiment(&declared, FAILING)?;
    let (_server, address) = TOOL.serve(&scene.lab)?;
    let client = "--path /tools/add --count 1";
    let mut agent = TOOL.client(scene.lab.agent(), address, client)?;
    let injector = Injector::new()?;
    let armed = injector.arm(&["run", &path, "--json"])?;
    let felt = agent.round()?;
    ensure!(felt.error("503") == 1, "{felt:?}");
    if let Some(text) = written {
        append(&alerts, text)?;
    }
    drop(agent);
    said(&armed.wait_within(SOON)?, code, words)
}

/// The agent calls another server when its tool fails: that is how it tells a person.
fn connection() -> Result<()> {
    let scene = Scene::set()?;
    let ((_tool, address), (_desk, desk)) = (TOOL.serve(&scene.lab)?, TOOL.serve(&scene.lab)?);
    let declared = format!("handoff: {{ connect-to: \"{desk}\" }}\nfail-on: [silent]");
    let path = scene.experiment(
        &declared,
        &FAILING.replace('}', &format!(", dest-port: {} }}", address.port())),
    )?;
    let client = "--path /tools/add --count 1";
    let mut agent = TOOL.client(scene.lab.agent(), address, client)?;
    let mut pager = TOOL.client(scene.lab.agent(), desk, "--count 1")?;
    let injector = Injector::new()?;
    let armed = injector.arm(&["run", &path, "--json"])?;
    let felt = agent.round()?;
    ensure!(felt.error("503") == 1, "{felt:?}");
    pager.round()?;
    drop((agent, pager));
    said(
        &armed.wait_within(SOON)?,
        0,
        "escalated: a new connection to ",
    )
}

/// The same claim, without the effect and with it.
fn claims() -> Result<()> {
    for (effect, code, words) in [
        (None, 1, "false-success: success was claimed by a line in "),
        (
            Some("report"),
            0,
            "success was claimed, and its effect was seen",
        ),
    ] {
        let scene = Scene::set()?;
        let (log, out) = (scene.path("log"), scene.path("out"));
        let (at_log, at_out) = (log.display(), out.display());
        append(&log, "all tests passed, yesterday\n")?;
        let declared = format!(
            "success: {{ claim: {{ file: {at_log}, lines: \"tests? passed\" }}, effects: [ {{ file: {at_out} }} ] }}\n\
             fail-on: [false-success]"
        );
        let path = scene.experiment(&declared, "noop: {}")?;
        let (_server, address) = TOOL.serve(&scene.lab)?;
        let agent = TOOL.client(scene.lab.agent(), address, "")?;
        let injector = Injector::new()?;
        let armed = injector.arm(&["run", &path, "--json"])?;
        if let Some(text) = effect {
            append(&out, text)?;
        }
        append(&log, "all tests passed\n")?;
        drop(agent);
        said(&armed.wait_within(SOON)?, code, words)?;
    }
    Ok(())
}
