//! An experiment says which of the host's notifiers hear of its run.

use std::fs;

use anyhow::{Context, Result, ensure};
use injector_tests::victim::Victim;

use super::{Stage, case, halted};
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    vec![case("an_experiment_names_who_hears_of_it", named)]
}

fn named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let heard = folder.path().join("heard");
    let config = format!(
        "[escalation]\ncommand = [\"/bin/cp\", \"/proc/self/environ\", \"{}\"]\njournald = true\n",
        heard.display()
    );
    let stage = Stage::allowed(&config)?;
    let cgroup = stage.lab.cgroups.agent.path().to_string_lossy();
    let file = folder.path().join("heard.yaml");
    let path = file.to_string_lossy().into_owned();
    let write = |notify: &str| {
        let text = format!(
            "name: heard\ntargets: {{ agent: {{ cgroup: {cgroup} }} }}\nduration: 60s\nfaults: [ net.blackhole ]\nhalt: [ \
             target.exits >= 1 ]\nnotify: {notify}\n"
        );
        fs::write(&file, text)
    };
    for (notify, word) in [
        (
            "[comand]",
            ":6:10: no notifier is called `comand`; did you mean `command`?",
        ),
        (
            "[webhook]",
            "[escalation] of this host's configuration has command, journald",
        ),
    ] {
        write(notify)?;
        let refused = stage.injector.once(&["run", &path])?;
        ensure!(refused.code == Some(2), "{notify}: {refused:?}");
        ensure!(refused.stderr.contains(word), "{notify}: {refused:?}");
    }
    ensure!(!stage.injector.runs().exists(), "a run was begun");
    write("[command]")?;
    let victim = Victim::start(stage.lab.agent(), &["sleep"])?;
    let armed = stage.injector.arm(&["run", &path, "--json"])?;
    drop(victim);
    let report = halted(&armed.wait_within(super::SOON)?, "target.exits >= 1")?;
    let told = report["told"].as_array().context("no notice")?;
    ensure!(
        told.len() == 1 && told[0]["channel"] == "command" && told[0]["failed"].is_null(),
        "{report}"
    );
    ensure!(heard.exists(), "the command was not run: {report}");
    Ok(())
}
