//! Experiments of Chaos Toolkit are run as they are, judged, and made into the other form.

use std::fs;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use serde_json::{Value, json};

use crate::judged::{Service, judgement};
use crate::needs::INJECTOR;
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("chaos_toolkit::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("its_actions_are_faults_and_its_probes_judge_them", faults),
        case("its_commands_are_tried_and_rolled_back", commands),
        case("a_system_that_bears_a_command_has_held", borne),
    ]
}

/// When a probe is asked, and what is good enough.
fn extension(probe: &str) -> Value {
    json!([{
        "name": "injector", "rto": "2s", "baseline": "6s", "recovery": "8s",
        "probes": { probe: { "every": "100ms", "within": "100ms" } },
    }])
}

fn faults() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let needs = lab.serve("udp-echo")?;
    let service = Service::start(&lab, lab.agent(), needs, "comes-back")?;
    let injector = Injector::new()?;
    let document = json!({
        "version": "1.0.0",
        "title": "the service lives without what it needs",
        "description": "It is good again within two seconds.",
        "tags": ["udp"],
        "configuration": {
            "port": needs.port(),
            "lasts": { "type": "env", "key": "INJECTOR_TEST_NOT_SET", "default": "1s" },
        },
        "steady-state-hypothesis": {
            "title": "it answers",
            "probes": [{
                "type": "probe", "name": "health", "tolerance": 200,
                "provider": { "type": "http", "url": format!("http://{}/", service.address()), "timeout": 1 },
            }],
        },
        "method": [{
            "type": "action", "name": "cut",
            "provider": {
                "type": "process", "path": "injector",
                "arguments": ["net", "blackhole", "--protocol", "udp", "--dest-port", "${port}", "--cgroup",
                    lab.cgroups.agent.path(), "--duration=${lasts}"],
            },
        }],
        "rollbacks": [],
        "extensions": extension("health"),
    });
    let file = injector.state().join("cut.json");
    fs::write(&file, document.to_string())?;
    let file = file.to_string_lossy();
    let finished = injector.once(&["run", &file, "--json"])?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let judged = judgement(&finished)?;
    ensure!(judged["verdict"] == "held", "{judged:#}");
    ensure!(
        judged["met"] == 1 && judged["probes"][0]["fate"] == "recovered",
        "{judged:#}"
    );
    let report: Value = serde_json::from_str(&finished.stdout)?;
    ensure!(report["name"] == document["title"], "{report}");
    // The other form is the same experiment, and back.
    let ours = injector.once(&["convert", &file, "--to", "injector"])?;
    ensure!(
        ours.code == Some(0) && ours.stdout.contains("apiVersion: injector/v1"),
        "{ours:?}"
    );
    let other = injector.state().join("cut.yaml");
    fs::write(&other, &ours.stdout)?;
    let other = other.to_string_lossy();
    let back = injector.once(&["convert", &other, "--to", "chaos-toolkit"])?;
    ensure!(back.code == Some(0), "{back:?}");
    let back: Value = serde_json::from_str(&back.stdout).context("no JSON")?;
    ensure!(
        back["method"][0]["provider"]["path"] == "injector",
        "{back:#}"
    );
    ensure!(
        back["steady-state-hypothesis"]["probes"][0]["tolerance"] == 200,
        "{back:#}"
    );
    let planned = injector.once(&["run", &other, "--dry-run"])?;
    ensure!(
        planned.code == Some(0) && planned.stdout.contains("net.blackhole"),
        "{planned:?}"
    );
    // What is refused has its place, and nothing is armed.
    fs::write(
        &*other,
        document.to_string().replace("\"http\"", "\"python\""),
    )?;
    let refused = injector.once(&["run", &other])?;
    ensure!(refused.code == Some(2), "{refused:?}");
    ensure!(
        refused.stderr.contains("runs no Python") && refused.stderr.contains("cut.yaml:1:"),
        "{refused:?}"
    );
    Ok(())
}

fn commands() -> Result<()> {
    let injector = Injector::new()?;
    let settings = injector.state().join("settings");
    let away = injector.state().join("settings.away");
    fs::write(&settings, "greeting=hello\n")?;
    let document = json!({
        "title": "a settings file that is gone",
        "description": "It is there again within two seconds.",
        "steady-state-hypothesis": {
            "title": "the settings are there",
            "probes": [{
                "type": "probe", "name": "settings", "tolerance": 0,
                "provider": { "type": "process", "path": "test", "arguments": ["-f", settings] },
            }],
        },
        "method": [{
            "type": "action", "name": "move it away",
            "provider": { "type": "process", "path": "mv", "arguments": [settings, away], "timeout": 5 },
        }],
        "rollbacks": [{
            "type": "action", "name": "move it back",
            "provider": { "type": "process", "path": "mv", "arguments": [away, settings], "timeout": 5 },
        }],
        "extensions": extension("settings"),
    });
    let file = injector.state().join("settings.json");
    fs::write(&file, document.to_string())?;
    let finished = injector.once(&["run", &file.to_string_lossy(), "--json"])?;
    ensure!(finished.code == Some(1), "{finished:?}");
    let judged = judgement(&finished)?;
    ensure!(judged["verdict"] == "deviated", "{judged:#}");
    let report: Value = serde_json::from_str(&finished.stdout)?;
    ensure!(report["outcome"] == "completed", "{report:#}");
    let ends: Vec<&Value> = report["gates"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|gate| &gate["code"])
        .collect();
    ensure!(ends == [0, 0], "{report:#}");
    ensure!(
        settings.exists() && !away.exists(),
        "nothing was rolled back"
    );
    Ok(())
}

/// A command of an instant, and rollbacks of which the first fails: neither that nor the shortness spoils the verdict.
fn borne() -> Result<()> {
    let injector = Injector::new()?;
    let (settings, back) = (
        injector.state().join("settings"),
        injector.state().join("back"),
    );
    fs::write(&settings, "greeting=hello\n")?;
    let action = |name: &str, path: &str, arguments: Value| {
        json!({
            "type": "action", "name": name,
            "provider": { "type": "process", "path": path, "arguments": arguments, "timeout": 5 },
        })
    };
    let document = json!({
        "title": "nothing of note",
        "description": "The settings stay.",
        "steady-state-hypothesis": {
            "title": "the settings are there",
            "probes": [{
                "type": "probe", "name": "settings", "tolerance": 0,
                "provider": { "type": "process", "path": "cat", "arguments": [settings] },
            }],
        },
        "method": [action("do nothing", "/bin/true", json!([]))],
        "rollbacks": [
            action("take the settings away", "/bin/mv", json!([settings, back])),
            action("fail", "/bin/false", json!([])),
            action("put them back", "/bin/mv", json!([back, settings])),
        ],
        "extensions": extension("settings"),
    });
    let file = injector.state().join("nothing.json");
    fs::write(&file, document.to_string())?;
    let finished = injector.once(&["run", &file.to_string_lossy(), "--json"])?;
    ensure!(finished.code == Some(0), "{finished:?}");
    let judged = judgement(&finished)?;
    ensure!(
        judged["verdict"] == "held" && judged["probes"][0]["fate"] == "absorbed",
        "{judged:#}"
    );
    let report: Value = serde_json::from_str(&finished.stdout)?;
    let gates = report["gates"].as_array().context("no commands")?;
    let codes: Vec<&Value> = gates.iter().map(|gate| &gate["code"]).collect();
    ensure!(codes == [0, 0, 1, 0], "{report:#}");
    ensure!(settings.exists(), "the last rollback was not run");
    Ok(())
}
