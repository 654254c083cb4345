//! Some of several processes at random, by a seed.

use anyhow::{Context, Result, ensure};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use serde_json::Value;

use crate::probe::{Observer, Probe, calm};

use super::{ASKED_NS, DELAY};

/// Two of four feel it, which the report names; the seed in the report's command chooses the same two, in a file, too.
pub(super) fn two_of_four() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::TcpPing.serve(&mut lab)?;
    let mut four = (0..4)
        .map(|_| Probe::TcpPing.observe(lab.agent(), server))
        .collect::<Result<Vec<_>>>()?;
    let pattern = format!("tcp-ping --connect {server}");
    let injector = Injector::new()?;
    let too_many = [
        "--process",
        &pattern,
        "--all",
        "--pick",
        "5",
        "--duration",
        "5s",
    ];
    let refused = injector.once(&[&DELAY[..], &too_many].concat())?;
    ensure!(
        refused.code == Some(2) && refused.stderr.contains("picks 5 of 4 processes"),
        "{refused:?}"
    );

    let target = ["--process", &pattern, "--all", "--pick", "50%"];
    let (run, picked, seed) = feels(&injector, &target, &mut four)?;
    ensure!(picked.len() == 2, "{picked:?}");

    let page = injector.once(&["report", &run, "--format", "html"])?;
    let wanted = format!("--pick=50% --pick-seed={seed}");
    ensure!(
        page.stdout.contains(&wanted),
        "no {wanted} in {}",
        page.stdout
    );
    let record = injector.once(&["audit", &run])?;
    let told = format!("2 of 4 picked by seed {seed}");
    ensure!(
        record.stdout.contains(&told),
        "no {told} in {}",
        record.stdout
    );

    let seed = seed.to_string();
    let again = [
        "--process",
        &pattern,
        "--all",
        "--pick",
        "2",
        "--pick-seed",
        &seed,
    ];
    let (_, same, _) = feels(&injector, &again, &mut four)?;
    ensure!(same == picked, "{same:?} are not {picked:?}");

    let file = injector.state().join("pick.yaml");
    let text = format!(
        "targets: {{ w: {{ process: '{pattern}', all: true, pick: 2, seed: {seed} }} }}\nduration: 5s\nfaults: \
         [net.blackhole]\n"
    );
    std::fs::write(&file, text)?;
    let rehearsed = injector.once(&["run", &file.to_string_lossy(), "--dry-run", "--json"])?;
    let rehearsed: Value = serde_json::from_str(&rehearsed.stdout)?;
    ensure!(
        pids(&rehearsed["radius"]["picked"][0])? == picked,
        "{rehearsed}"
    );
    Ok(())
}

/// Arms, looks at all of them, and holds what was felt against the report: run, picked processes, seed.
fn feels(
    injector: &Injector,
    target: &[&str],
    observers: &mut [Observer],
) -> Result<(String, Vec<u32>, u64)> {
    let arguments = [&DELAY[..], target, &["--duration", "60s", "--json"]].concat();
    let armed = injector.arm(&arguments)?;
    let mut late = Vec::new();
    for observer in observers.iter_mut() {
        let seen = observer.look()?;
        if seen.p50_ns >= ASKED_NS {
            late.push(observer.pid());
        } else {
            calm(&seen)?;
        }
    }
    late.sort_unstable();
    let ended = armed.interrupt()?;
    let report: Value = serde_json::from_str(&ended.stdout)?;
    let picked = &report["picked"][0];
    ensure!(pids(picked)? == late, "{late:?} feel it, and {report}");
    ensure!(picked["from"] == 4, "{report}");
    let run = report["run"].as_str().context("no name")?.to_owned();
    let seed = picked["seed"].as_u64().context("no seed")?;
    Ok((run, late, seed))
}

fn pids(picked: &Value) -> Result<Vec<u32>> {
    serde_json::from_value(picked["pids"].clone()).context("no pids")
}
