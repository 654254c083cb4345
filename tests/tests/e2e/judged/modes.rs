//! Probes that are asked at one time of the run alone, and objectives for all answers together.

use std::fs;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use serde_json::Value;

use super::{Service, cut, head, judgement, run};

/// Three services, each asked in another mode beside one that is asked all the time.
pub(super) fn each_is_asked_in_its_time() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let needs = lab.serve("udp-echo")?;
    let start = |character| Service::start(&lab, lab.agent(), needs, character);
    let (back, never) = (start("comes-back")?, start("never-comes-back")?);
    let mut text = head(&lab) + "probes:\n";
    for (name, service) in [
        ("all", &back),
        ("start", &never),
        ("edge", &back),
        ("fault", &back),
        ("end", &never),
    ] {
        text += &service.probe(name);
    }
    text += "steady-state:\n  - all\n  - { probe: start, mode: start-of-test }\n  - { probe: edge, mode: edge }\n  \
             - { probe: fault, mode: on-fault }\n  - { probe: end, mode: end-of-test }\n\
             objectives: { rto: 5s, success: 99%, latency: { p50: 90ms } }\nbaseline: 6s\nrecovery: 8s\n";
    text += &cut(needs.port());
    let injector = Injector::new()?;
    let finished = run(&injector, "modes", &text, &[])?;
    ensure!(finished.code == Some(1), "{finished:?}");
    let judgement = judgement(&finished)?;
    let told = format!("{judgement:#}");
    ensure!(judgement["verdict"] == "deviated", "{told}");
    let why = judgement["why"].as_str().unwrap_or_default();
    for part in [
        "`fault` was bad in",
        "`end` was bad at the end",
        "answers right, where 99% have to be",
    ] {
        ensure!(why.contains(part), "{part}: {told}");
    }
    ensure!(!why.contains("`edge`") && !why.contains("p50"), "{told}");
    let probes = judgement["probes"].as_array().context("no probes")?;
    ensure!(
        probes.len() == 1 && probes[0]["fate"] == "recovered",
        "{told}"
    );
    let run = serde_json::from_str::<Value>(&finished.stdout)?["run"]
        .as_str()
        .context("no name")?
        .to_owned();
    let journal = fs::read_to_string(injector.runs().join(format!("{run}.jsonl")))?;
    let at = |name: &str| -> Vec<u64> {
        let lines = journal.lines();
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_probe = lines.flat_map(|line| {
            let samples = line["record"]["answers"][name].as_array().cloned();
            samples.unwrap_or_default()
        });
        of_probe
            .filter_map(|sample| sample["at_ns"].as_u64())
            .collect()
    };
    let time = |name: &str| judgement["times"][name].as_u64().unwrap_or_default();
    let (faults, lifted) = (time("faults_ns"), time("lifted_ns"));
    ensure!(faults > 0 && lifted > faults, "{told}");
    let all = at("all");
    ensure!(all.len() > 100, "{} answers: {journal}", all.len());
    // A question may be on its way when the phase changes.
    let late = 150_000_000;
    for (name, is_in_time) in [
        ("start", &(|at| at <= faults + late) as &dyn Fn(u64) -> bool),
        ("edge", &|at| at <= faults + late || at >= lifted),
        ("fault", &|at| (faults..=lifted + late).contains(&at)),
        ("end", &|at| at >= lifted),
    ] {
        let asked = at(name);
        ensure!(asked.len() >= 10, "{name}: {asked:?}");
        let wrong: Vec<_> = asked.iter().filter(|at| !is_in_time(**at)).collect();
        ensure!(wrong.is_empty(), "{name}, {faults} to {lifted}: {wrong:?}");
    }
    Ok(())
}
