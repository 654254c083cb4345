//! Parameters that move while a fault is on: what the target feels follows the line that was asked for, in one run that
//! is armed once, and a bystander feels nothing.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use injector_tests::injector::{FaultReport, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::{millis, p50};
use injector_tests::observation::Op;
use injector_tests::place::Place;
use injector_tests::victim::Victim;

use crate::effects::first_fault;
use crate::needs::{self, INJECTOR, Need};
use crate::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("ramp::{name}"), INJECTOR, run);
    vec![
        case("latency_follows_its_line", || in_one_of_three(latency)),
        case("loss_follows_its_line", loss),
        case("bandwidth_follows_its_curve", || in_one_of_three(bandwidth)),
        Case::new(
            "ramp::sleeps_follow_their_line_and_keep_their_budget".to_owned(),
            SLEEPS,
            sleeps,
        ),
    ]
}

/// A host that is busy at that moment lets packets go late, so what follows its line in one of three turns follows it. A
/// value that is wrong is wrong in each.
fn in_one_of_three(run: fn() -> Result<()>) -> Result<()> {
    for turn in [1, 2] {
        match run() {
            Ok(()) => return Ok(()),
            Err(error) => println!("turn {turn}: {error:#}"),
        }
    }
    run()
}

/// For threads that sleep.
const SLEEPS: &[Need] = &[
    needs::root,
    needs::cgroup_v2,
    needs::injector,
    needs::no_park,
];

/// How long a ramp takes.
const OVER: Duration = Duration::from_secs(4);

/// What ramps, who feels it, and who must not.
struct Scene<'a> {
    fault: &'a str,
    /// How the target speaks to an echo, and how a bystander does.
    speaks: &'a [&'a str],
    bystander: Option<&'a [&'a str]>,
}

/// What came of it.
struct Seen {
    /// When the ramp began, on the boot clock.
    began_ns: u64,
    operations: Vec<Op>,
    counted: FaultReport,
}

impl Scene<'_> {
    /// Runs a ramp once, in its own step behind a quiet one: the step before it ends when this one begins.
    fn play(&self) -> Result<Seen> {
        let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
        let to = lab.serve("udp-echo")?.to_string();
        let speaker = |place: Place<'_>, words: &[&str]| {
            let all = [words, &["--connect", &to, "--wait", "--each"]].concat();
            Victim::start(place, &all)
        };
        let mut target = speaker(lab.agent(), self.speaks)?;
        let mut bystander = match self.bystander {
            Some(words) => Some(speaker(lab.bystander(), words)?),
            None => None,
        };
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("ramp.yaml");
        let (over, fault) = (humantime::format_duration(OVER), self.fault);
        fs::write(
            &file,
            format!(
                "targets: {{ agent: {{ cgroup: nowhere }} }}\nsteps:\n  - {{ name: before, duration: 300ms }}\n  \
                 - name: ramp\n    duration: {over}\n    faults: [ {fault} ]\n  - {{ name: after, duration: 2s }}\n"
            ),
        )?;
        let path = file.to_string_lossy();
        let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
        let injector = Injector::new()?;
        let mut running = injector.start_here(&["run", &path, "--json", "--cgroup", &cgroup])?;
        let deadline = Instant::now() + Duration::from_secs(40);
        let (mut began_ns, mut armed) = (0, 0);
        while let Some(event) = running.next_event(deadline) {
            let step = event.step.unwrap_or_default();
            match (event.event.as_str(), step.as_str()) {
                ("armed", _) => armed += 1,
                ("step_started", "ramp") => {
                    began_ns = event.boot_ns;
                    target.ask()?;
                    if let Some(bystander) = &mut bystander {
                        bystander.ask()?;
                    }
                }
                ("ended", _) => break,
                _other => {}
            }
        }
        ensure!(
            began_ns > 0 && armed == 1,
            "armed {armed} times, began at {began_ns}"
        );
        let (operations, summary) = target.operations()?;
        ensure!(operations.len() as u64 == summary.sent, "{summary:?}");
        if let Some(bystander) = &bystander {
            let (all, summary) = bystander.operations()?;
            ensure!(
                summary.ok == summary.sent,
                "the bystander lost some: {summary:?}"
            );
            let took: Vec<u64> = all.iter().map(|op| op.took_ns).collect();
            ensure!(
                p50(&took) < 2_000_000,
                "the bystander feels it: {summary:?}"
            );
        }
        let report = running.wait()?.report()?;
        Ok(Seen {
            began_ns,
            operations,
            counted: first_fault(&report)?.clone(),
        })
    }
}

impl Seen {
    /// Each operation that began while the ramp moved: how far on, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    fn moving(&self) -> impl Iterator<Item = (f64, &Op)> {
        self.operations.iter().filter_map(|op| {
            let since = op.start_ns.checked_sub(self.began_ns)? as f64;
            let share = since / 1e9 / OVER.as_secs_f64();
            (share < 1.0).then_some((share, op))
        })
    }

    /// Holds the median of each quarter of the ramp against what is expected of its operations, in milliseconds, where
    /// `allowed` of that and one more are given.
    fn follows(&self, allowed: f64, line: impl Fn(f64) -> f64) -> Result<()> {
        for quarter in [0.0, 0.25, 0.5, 0.75] {
            let within: Vec<(f64, f64)> = self
                .moving()
                .filter(|(share, _)| (quarter..quarter + 0.25).contains(share))
                .map(|(share, op)| (line(share), millis(op.took_ns)))
                .collect();
            ensure!(within.len() >= 5, "only {} in a quarter", within.len());
            let median = |values: Vec<f64>| injector_tests::measure::median(&values);
            let off = median(within.iter().map(|(asked, felt)| felt - asked).collect());
            let asked = median(within.iter().map(|(asked, _)| *asked).collect());
            ensure!(
                off.abs() <= asked * allowed + 1.0,
                "from {quarter}: {off:.2} ms off where {asked:.1} ms are asked"
            );
        }
        Ok(())
    }
}

fn between(from: f64, to: f64) -> impl Fn(f64) -> f64 {
    move |share| from + (to - from) * share
}

fn latency() -> Result<()> {
    let flow = [
        "udp-flow",
        "--count",
        "340",
        "--interval",
        "10ms",
        "--timeout",
        "1500ms",
    ];
    let seen = Scene {
        fault: "net.delay: { latency: { from: 10ms, to: 1s, over: 4s } }",
        speaks: &flow,
        bystander: Some(&["udp-ping", "--count", "300", "--interval", "10ms"]),
    }
    .play()?;
    ensure!(
        seen.counted.hit == 340 && seen.counted.matched == 340,
        "{:?}",
        seen.counted
    );
    seen.follows(0.02, between(10.0, 1000.0))
}

/// Of those of each quarter as many are lost as the line says, within four deviations; and the counters went on.
fn loss() -> Result<()> {
    let flow = [
        "udp-flow",
        "--count",
        "1500",
        "--interval",
        "2ms",
        "--timeout",
        "700ms",
    ];
    let seen = Scene {
        fault: "net.loss: { percent: { from: 0%, to: 100%, over: 4s } }",
        speaks: &flow,
        bystander: Some(&["udp-ping", "--count", "300", "--interval", "10ms"]),
    }
    .play()?;
    let is_lost = |op: &Op| op.error.is_some();
    for quarter in [0.0, 0.25, 0.5, 0.75] {
        let (mut lost, mut mean, mut variance) = (0.0, 0.0, 0.0);
        for (share, op) in seen.moving() {
            if (quarter..quarter + 0.25).contains(&share) {
                lost += f64::from(u8::from(is_lost(op)));
                mean += share;
                variance += share * (1.0 - share);
            }
        }
        // A hundredth of the quarter for the stairs and for what is on its way.
        let allowed = 4.0 * f64::sqrt(variance) + 4.0;
        ensure!(
            f64::abs(lost - mean) <= allowed,
            "from {quarter}: {lost} lost, {mean:.0} expected, {allowed:.0} allowed"
        );
    }
    let lost = seen.operations.iter().filter(|op| is_lost(op)).count() as u64;
    ensure!(
        seen.counted.hit == lost && seen.counted.matched == 1500,
        "{lost} are lost: {:?}",
        seen.counted
    );
    Ok(())
}

/// 1000 bytes of payload are 1042 on the wire: 8.3 ms at first, 83 ms at last, and each rate is left by the same factor.
fn bandwidth() -> Result<()> {
    let flow = [
        "udp-flow",
        "--count",
        "38",
        "--interval",
        "100ms",
        "--size",
        "1000",
        "--timeout",
        "1s",
    ];
    let seen = Scene {
        fault: "net.bandwidth: { rate: { from: 1mbit, to: 100kbit, over: 4s, shape: exponential } }",
        speaks: &flow,
        bystander: None,
    }
    .play()?;
    seen.follows(0.03, |share| 8.336 * 10f64.powf(share))
}

/// Each call sleeps as long as the line says when it begins, and what was spent of the budget stays spent.
fn sleeps() -> Result<()> {
    let ping = ["udp-ping", "--count", "125", "--interval", "1ms"];
    let seen = Scene {
        fault: "sys.delay: { syscall: sendto, max-hits: 110, delay-enter: { from: 5ms, to: 100ms, over: 4s } }",
        speaks: &ping,
        bystander: Some(&["udp-ping", "--count", "300", "--interval", "10ms"]),
    }
    .play()?;
    ensure!(seen.counted.hit == 110, "{:?}", seen.counted);
    let slept: Vec<(f64, &Op)> = seen.moving().take(110).collect();
    ensure!(slept.len() == 110, "{} calls in time", slept.len());
    let line = between(5.0, 100.0);
    for (share, op) in &slept {
        let (asked, took) = (line(*share), millis(op.took_ns));
        // A sleep ends with a timer and a wake-up.
        ensure!(
            took >= asked * 0.98 - 1.0 && took <= asked * 1.02 + 12.0,
            "{took:.1} ms where {asked:.1} ms are asked"
        );
    }
    let took = slept
        .iter()
        .map(|(share, op)| millis(op.took_ns) - line(*share));
    let off = injector_tests::measure::median(&took.collect::<Vec<f64>>());
    ensure!(off.abs() <= 2.5, "{off:.2} ms off in the median");
    let free = seen.operations.get(110).context("too few calls")?;
    ensure!(
        millis(free.took_ns) < 5.0,
        "the budget began anew: {free:?}"
    );
    Ok(())
}
