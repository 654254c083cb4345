//! Halt conditions end a run on real processes, whichever process hangs meanwhile, and a person hears of it last.

mod asked;
mod ended;
mod heard;
mod killed;
mod tls;
mod watched;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{Finished, Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::snapshot::Snapshot;
use serde_json::Value;

use crate::needs::INJECTOR;
use crate::probe::{Observer, Probe};
use crate::suite::Case;

const CUT: [&str; 2] = ["net", "blackhole"];

/// Longer than any halt takes, its escalation included.
const SOON: Duration = Duration::from_secs(15);

pub(crate) fn cases() -> Vec<Case> {
    let bad = case("bad_conditions_attach_nothing", bad_conditions);
    let held = case("what_holds_already_attaches_nothing", held_already);
    [
        asked::cases(),
        watched::cases(),
        ended::cases(),
        heard::cases(),
        killed::cases(),
        tls::cases(),
        vec![bad, held],
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn case(name: &str, run: fn() -> Result<()>) -> Case {
    Case::new(format!("halt::{name}"), INJECTOR, run)
}

/// A fault that is felt, with one condition.
struct Stage {
    lab: Lab,
    agent: Observer,
    injector: Injector,
}

impl Stage {
    fn new() -> Result<Self> {
        Self::allowed("[daemon]\nenabled = true\nallow = [\"/\"]")
    }

    fn allowed(config: &str) -> Result<Self> {
        let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
        let server = Probe::UdpPing.serve(&mut lab)?;
        let agent = Probe::UdpPing.observe(lab.agent(), server)?;
        let injector = Injector::configured(config)?;
        Ok(Self {
            lab,
            agent,
            injector,
        })
    }

    /// Cuts the agent off until the condition holds, and sees that it is.
    fn arm(&mut self, condition: &str) -> Result<Running> {
        let armed = self.lab.arm(
            &self.injector,
            &[&CUT[..], &["--halt-if", condition]].concat(),
        )?;
        ensure!(self.agent.look()?.ok == 0, "the fault is not there");
        Ok(armed)
    }

    /// Waits for the halt and looks at what it left.
    fn halted(&mut self, armed: Running, condition: &str) -> Result<Value> {
        let report = halted(&armed.wait_within(SOON)?, condition)?;
        self.agent.expect_calm("the target, after the halt,")?;
        Ok(report)
    }
}

/// The report of a run that this condition has halted, in good order and fast.
fn halted(finished: &Finished, condition: &str) -> Result<Value> {
    let start = finished.stdout.find('{').context("no report")?;
    let report: Value = serde_json::from_str(&finished.stdout[start..])?;
    ensure!(report["outcome"] == "halted", "{report}");
    ensure!(finished.code == Some(1), "{finished:?}");
    ensure!(report["undo_errors"] == serde_json::json!([]), "{report}");
    let halt = &report["halt"];
    let named = halt["condition"].as_str().unwrap_or_default();
    ensure!(named.starts_with(condition), "not `{condition}`: {report}");
    let disarmed = halt["disarmed_after_us"].as_u64().context("no time")?;
    ensure!(
        disarmed < 1_000_000,
        "disarmed after {disarmed} us: {report}"
    );
    let last_hit = halt["last_hit_after_us"].as_u64().unwrap_or_default();
    ensure!(last_hit < 1_000_000, "hit after {last_hit} us: {report}");
    println!("{named}: disarmed after {disarmed} us, last hit after {last_hit} us");
    Ok(report)
}

/// A condition, and a word of what is said about it.
const BAD: &[(&str, &str)] = &[
    (
        "host.psi.cpu.sone > 40%",
        "did you mean `host.psi.cpu.some`?",
    ),
    ("host.psi.cpu.some > 40", "share with its sign"),
    ("hits > 5", "how many a second"),
    ("target.exits < 1", "above a bound"),
    ("tcp 127.0.0.1:80 fails 4 of 3", "out of range"),
    ("target.restarts >= 1", "--cgroup"),
    ("command [\"/no/such/program\"]", "no program"),
    (
        "http https://127.0.0.1/ ca /no/ca.pem",
        "/no/ca.pem cannot be read",
    ),
];

fn bad_conditions() -> Result<()> {
    let stage = Stage::new()?;
    let pid = stage.agent.pid().to_string();
    for (condition, word) in BAD {
        let before = Snapshot::take()?;
        let target = ["--pid", &pid, "--duration", "2s", "--halt-if", condition];
        let finished = stage.injector.once(&[&CUT[..], &target].concat())?;
        ensure!(finished.code == Some(2), "{condition}: {finished:?}");
        ensure!(finished.stderr.contains(word), "{condition}: {finished:?}");
        before.assert_same()?;
    }
    ensure!(
        !stage.injector.state().join("runs").exists(),
        "a run was begun"
    );
    Ok(())
}

/// A condition that holds already where no process listens on this port, and a word of what is said about it.
fn held(closed: &str) -> Vec<(String, &'static str)> {
    let mut held = vec![
        // Where tests run, some process has run within the last minute.
        ("host.load > 0".to_owned(), "the load of the last minute"),
        (
            "clock >= 2001-01-01T00:00:00Z".to_owned(),
            "write a later one",
        ),
        ("clock >= 00:00".to_owned(), "until midnight"),
        (format!("tcp {closed} fails 2"), "2 of the first 2"),
        (format!("http http://{closed}/ fails 1"), "1 of the first 1"),
        (
            format!("prometheus http://{closed} \"up\" < 1"),
            "1 of the first 1",
        ),
        (
            "command [\"/bin/false\"] fails 3".to_owned(),
            "3 of the first 3",
        ),
        (
            "command [\"/bin/sleep\", \"86419\"] fails 1 within 300ms".to_owned(),
            "within 300ms",
        ),
    ];
    let waits = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    // Of a machine at rest it cannot be said.
    if !waits.is_empty() && !waits.contains("some avg10=0.00") {
        held.push(("host.psi.cpu.some > 0%".to_owned(), "waited for a CPU"));
    }
    held
}

/// Each kind of condition that can hold before a run refuses it by name, and no fault is ever on.
fn held_already() -> Result<()> {
    let mut stage = Stage::new()?;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.local_addr()?.to_string()
    };
    let pid = stage.agent.pid().to_string();
    for (condition, word) in held(&closed) {
        let target = ["--pid", &pid, "--duration", "2s", "--halt-if", &condition];
        let finished = stage.injector.once(&[&CUT[..], &target].concat())?;
        ensure!(finished.code == Some(3), "{condition}: {finished:?}");
        // It is told with all that was not said of it.
        let named = condition.split(" fails").next().unwrap_or_default();
        for part in ["holds already", word, named] {
            ensure!(finished.stderr.contains(part), "{part}: {finished:?}");
        }
    }
    ensure!(
        no_journal(&stage.injector.state().join("runs"))?,
        "a run was begun"
    );
    stage.agent.expect_calm("the target")
}

fn no_journal(runs: &std::path::Path) -> Result<bool> {
    let Ok(entries) = std::fs::read_dir(runs) else {
        return Ok(true);
    };
    for entry in entries {
        if entry?.path().extension().is_some_and(|end| end == "jsonl") {
            return Ok(false);
        }
    }
    Ok(true)
}
