//! Faults on plug-ins: those of the target feel them, those of an agent beside it do not, and the report says what the
//! target did about it.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::CgroupPair;
use injector_tests::eventually::eventually;
use injector_tests::injector::{FaultReport, Finished, Injector, Running};
use injector_tests::mortal::Mortal;
use injector_tests::place::Place;
use injector_tests::plugin_agent::PluginAgent;
use rustix::process::Signal;

use crate::needs::INJECTOR;
use crate::suite::Case;

/// How long a process may take to feel what was done to it, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// How the injector ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Duration,
    WorkerKilled,
    AllKilled,
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("plugin::{name}"), INJECTOR, run).beside_others()
    };
    vec![
        case("a_careful_agent_notices_a_death", careful).shows("plugin kill"),
        case("a_death_that_nothing_is_done_about", unnoticed),
        case("a_short_run_proves_nothing_of_a_death", too_short),
        case("a_hang_ends_with_its_duration", || hang(End::Duration)).shows("plugin hang"),
        case("a_hang_ends_with_its_worker", || hang(End::WorkerKilled)),
        case("a_hang_is_swept_when_all_are_killed", || {
            hang(End::AllKilled)
        }),
        case("a_held_pipe_has_no_end", || pipe_held_death(End::Duration))
            .shows("plugin pipe-held-death"),
        case("a_held_pipe_goes_with_its_worker", || {
            pipe_held_death(End::WorkerKilled)
        }),
        case("a_loop_of_crashes_ends", crash_loop).shows("plugin crash-loop"),
        case("a_loop_of_crashes_keeps_its_budget", few_crashes),
        case("one_that_another_has_stopped_is_left_alone", stopped),
        case(
            "a_part_that_another_has_stopped_is_left_alone",
            stopped_part,
        ),
        case("a_start_is_slow", slow_start).shows("plugin slow-start"),
        case("half_a_line_is_heard_once", torn_line).shows("plugin torn-line"),
        case("what_outlives_its_agent_is_an_orphan", || {
            orphans(&["--stays"], 1)
        }),
        case("what_ends_with_its_agent_is_none", || orphans(&[], 0)),
        case("a_name_that_no_plug_in_has", other_name),
        case("what_a_launcher_forks_is_hit_with_it", launcher),
        case("a_plug_in_that_is_a_target_is_no_orphan", whole_cgroup),
    ]
}

/// An agent, and one beside it with the same plug-in.
struct Stage {
    agent: PluginAgent,
    bystander: PluginAgent,
    // Last: cgroups go when no process is in them.
    cgroups: CgroupPair,
}

impl Stage {
    fn new(habit: &str, more: &[&str]) -> Result<Self> {
        let cgroups = CgroupPair::create()?;
        let start = |cgroup| {
            let place = Place {
                cgroup: Some(cgroup),
                netns: None,
            };
            PluginAgent::start(place, habit, more)
        };
        Ok(Self {
            agent: start(&cgroups.agent)?,
            bystander: start(&cgroups.bystander)?,
            cgroups,
        })
    }

    fn arm(&self, injector: &Injector, words: &str) -> Result<Running> {
        let words = format!("{words} --json --pid {}", self.agent.pid());
        injector.arm(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// The agent beside it has lost nothing: no answer, and no plug-in.
    fn expect_bystander_unharmed(&self) -> Result<()> {
        self.bystander.expect_answers("the bystander")?;
        let stands = self.bystander.standing()?;
        let harm = (stands.broken, stands.late, stands.ends, stands.started);
        ensure!(harm == (0, 0, 0, 1), "the bystander felt it: {stands:?}");
        Ok(())
    }
}

/// The first fault of a run that has ended with this code, with nothing left to undo.
fn fault(finished: &Finished, code: i32) -> Result<FaultReport> {
    ensure!(finished.code == Some(code), "{finished:?}");
    let report = finished.report()?;
    ensure!(report.undo_errors.is_empty(), "{report:?}");
    report.faults.first().cloned().context("no fault")
}

/// What is said of plug-ins under this name.
fn said(fault: &FaultReport, name: &str) -> Result<u64> {
    let said = fault.plugins[name].as_u64();
    said.with_context(|| format!("nothing is said of {name}: {fault:?}"))
}

fn careful() -> Result<()> {
    let stage = Stage::new("careful", &[])?;
    let first = stage.agent.standing()?.plugin;
    let injector = Injector::new()?;
    let running = stage.arm(
        &injector,
        "plugin kill --duration 2s --fail-on death-unnoticed",
    )?;
    stage
        .agent
        .until("another plug-in", |now| now.started == 2)?;
    stage.agent.expect_answers("the agent, from another,")?;
    let fault = fault(&running.wait()?, 0)?;
    ensure!((fault.matched, fault.hit) == (1, 1), "{fault:?}");
    for done in ["deaths", "reaped", "closed", "restarted"] {
        ensure!(said(&fault, done)? == 1, "{done}: {fault:?}");
    }
    ensure!(said(&fault, "unnoticed")? == 0, "{fault:?}");
    let now = stage.agent.standing()?;
    ensure!(
        now.started == 2 && now.plugin != first,
        "it was killed again: {now:?}"
    );
    stage.expect_bystander_unharmed()
}

fn unnoticed() -> Result<()> {
    let stage = Stage::new("naive", &[])?;
    let injector = Injector::new()?;
    let words = "plugin kill --duration 11s --fail-on death-unnoticed";
    let finished = stage.arm(&injector, words)?.wait()?;
    let fault = fault(&finished, 1)?;
    ensure!(said(&fault, "unnoticed")? == 1, "{fault:?}");
    ensure!(said(&fault, "longest_unnoticed_ms")? >= 10_000, "{fault:?}");
    let shown = injector.once(&["report", "last"])?;
    ensure!(
        shown.stdout.contains("death-unnoticed: 1 plug-in died"),
        "{shown:?}"
    );
    stage.expect_bystander_unharmed()
}

fn too_short() -> Result<()> {
    let stage = Stage::new("naive", &[])?;
    let injector = Injector::new()?;
    let words = "plugin kill --duration 1s --fail-on death-unnoticed";
    let fault = fault(&stage.arm(&injector, words)?.wait()?, 4)?;
    ensure!(
        (said(&fault, "unnoticed")?, said(&fault, "unjudged")?) == (0, 1),
        "{fault:?}"
    );
    Ok(())
}

fn hang(end: End) -> Result<()> {
    let stage = Stage::new("naive", &[])?;
    let injector = Injector::new()?;
    let words = match end {
        End::Duration => "plugin hang --duration 2s",
        End::WorkerKilled | End::AllKilled => "plugin hang --duration 60s",
    };
    let running = stage.arm(&injector, words)?;
    let plugin = stage.agent.standing()?.plugin;
    ensure!(state(plugin)? == 'T', "the plug-in goes on");
    ensure!(state(stage.agent.pid())? != 'T', "the agent stands still");
    // An answer that was on its way is told by now.
    sleep(Duration::from_millis(100));
    let before = stage.agent.standing()?;
    sleep(Duration::from_millis(300));
    let after = stage.agent.standing()?;
    ensure!(before == after, "answers came: {before:?}, {after:?}");
    stage.expect_bystander_unharmed()?;
    match end {
        End::Duration => {
            let fault = fault(&running.wait()?, 0)?;
            ensure!((fault.matched, fault.hit) == (1, 1), "{fault:?}");
        }
        End::WorkerKilled => {
            running.signal_worker(Signal::KILL)?;
            ensure!(
                running.wait_within(SOON)?.code == Some(1),
                "it is no failure"
            );
        }
        End::AllKilled => {
            running.kill_all()?;
            running.wait_within(SOON)?;
            ensure!(state(plugin)? == 'T', "the plug-in goes on by itself");
            let next = stage.arm(&injector, "plugin hang --percent 0% --duration 100ms")?;
            ensure!(fault(&next.wait()?, 0)?.hit == 0, "it was hit again");
        }
    }
    stage.agent.expect_answers("the agent, after the end,")
}

fn pipe_held_death(end: End) -> Result<()> {
    let stage = Stage::new("naive", &[])?;
    let injector = Injector::new()?;
    let words = match end {
        End::Duration => "plugin pipe-held-death --duration 2s",
        End::WorkerKilled | End::AllKilled => "plugin pipe-held-death --duration 60s",
    };
    let running = stage.arm(&injector, words)?;
    let plugin = stage.agent.standing()?.plugin;
    eventually("the plug-in to die", SOON, || {
        Ok((state(plugin)? == 'Z').then_some(()))
    })?;
    sleep(Duration::from_millis(500));
    let held = stage.agent.standing()?;
    ensure!(held.ends == 0, "it has read the end: {held:?}");
    stage.expect_bystander_unharmed()?;
    if end == End::Duration {
        let fault = fault(&running.wait()?, 0)?;
        ensure!((fault.matched, fault.hit) == (1, 1), "{fault:?}");
        ensure!(said(&fault, "deaths")? == 1, "{fault:?}");
    } else {
        running.signal_worker(Signal::KILL)?;
        running.wait_within(SOON)?;
    }
    stage
        .agent
        .until("the agent to read the end", |now| now.ends > 0)?;
    Ok(())
}

fn crash_loop() -> Result<()> {
    let stage = Stage::new("careful", &[])?;
    let injector = Injector::new()?;
    let running = stage.arm(&injector, "plugin crash-loop --lives 100ms --duration 3s")?;
    stage
        .agent
        .until("a fourth plug-in", |now| now.started >= 4)?;
    let fault = fault(&running.wait()?, 0)?;
    ensure!(fault.hit >= 3, "{fault:?}");
    ensure!(said(&fault, "deaths")? == fault.hit, "{fault:?}");
    stage.agent.expect_answers("the agent, after the end,")?;
    let lives = stage.agent.standing()?.plugin;
    sleep(Duration::from_millis(500));
    let now = stage.agent.standing()?;
    ensure!(now.plugin == lives, "it was killed after the end: {now:?}");
    stage.expect_bystander_unharmed()
}

fn few_crashes() -> Result<()> {
    let stage = Stage::new("careful", &[])?;
    let injector = Injector::new()?;
    let words = "plugin crash-loop --lives 100ms --max-hits 2 --duration 3s";
    let fault = fault(&stage.arm(&injector, words)?.wait()?, 0)?;
    ensure!((fault.hit, said(&fault, "deaths")?) == (2, 2), "{fault:?}");
    stage.agent.expect_answers("the agent, from a third,")?;
    let now = stage.agent.standing()?;
    ensure!(now.started == 3, "{now:?}");
    stage.expect_bystander_unharmed()
}

/// Another hand has stopped the plug-in before.
fn stopped() -> Result<()> {
    let stage = Stage::new("naive", &[])?;
    let pid = stage.agent.standing()?.plugin;
    hang_of_what_stands(&stage, pid, &stage.agent.plugin()?, 0)
}

/// Another hand has stopped the process that answers, which the plug-in's shell has forked, and not the shell.
fn stopped_part() -> Result<()> {
    let stage = Stage::new("naive", &["--launcher"])?;
    let shell = stage.agent.standing()?.plugin;
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"))?;
    let pid = children.trim().parse().context("not one child")?;
    hang_of_what_stands(&stage, pid, &Mortal::of(pid)?, 1)
}

/// A hang meets what goes on, in so many plug-ins, and lets this process not go on, which it has not stopped.
fn hang_of_what_stands(stage: &Stage, pid: u32, stands: &Mortal, hits: u64) -> Result<()> {
    stands.send(Signal::STOP)?;
    eventually("a part of the plug-in to stop", SOON, || {
        Ok((state(pid)? == 'T').then_some(()))
    })?;
    let injector = Injector::new()?;
    let running = stage.arm(&injector, "plugin hang --duration 500ms")?;
    let fault = fault(&running.wait()?, 0)?;
    ensure!((fault.seen, fault.hit) == (1, hits), "{fault:?}");
    ensure!(state(pid)? == 'T', "it was let go on");
    stands.send(Signal::CONT)?;
    stage
        .agent
        .expect_answers("the agent, after the other hand has let go,")?;
    stage.expect_bystander_unharmed()
}

fn slow_start() -> Result<()> {
    let stage = Stage::new("careful", &[])?;
    let injector = Injector::new()?;
    let running = stage.arm(&injector, "plugin slow-start --latency 1s --duration 4s")?;
    // One that was there is left alone.
    stage
        .agent
        .expect_answers("the agent, from a plug-in that was there,")?;
    stage.agent.plugin()?.kill()?;
    let started = stage
        .agent
        .until("a late answer", |now| now.slowest_ms >= 700)?;
    ensure!(started.started == 2, "{started:?}");
    stage
        .agent
        .expect_answers("the agent, from a plug-in that has started,")?;
    let fault = fault(&running.wait()?, 0)?;
    ensure!(fault.hit == 1, "{fault:?}");
    stage.expect_bystander_unharmed()
}

fn torn_line() -> Result<()> {
    let stage = Stage::new("careful", &[])?;
    let injector = Injector::new()?;
    let running = stage.arm(&injector, "plugin torn-line --duration 1s")?;
    stage
        .agent
        .until("a broken answer", |now| now.broken == 1)?;
    stage.agent.expect_answers("the agent, behind it,")?;
    let fault = fault(&running.wait()?, 0)?;
    ensure!((fault.matched, fault.hit) == (1, 1), "{fault:?}");
    let now = stage.agent.standing()?;
    ensure!((now.broken, now.started) == (1, 1), "{now:?}");
    stage.expect_bystander_unharmed()
}

/// The agent is killed, and its plug-in outlives it or does not.
fn orphans(character: &[&str], orphans: u64) -> Result<()> {
    let stage = Stage::new("careful", character)?;
    let pid = stage.agent.standing()?.plugin;
    let plugin = stage.agent.plugin()?;
    let injector = Injector::new()?;
    let words = "proc kill --duration 3s --fail-on orphans";
    let finished = stage.arm(&injector, words)?.wait();
    let lives = !plugin.has_died()?;
    plugin.kill()?;
    let code = i32::from(orphans > 0);
    let fault = fault(&finished?, code)?;
    ensure!(lives == (orphans > 0), "whether it lives: {lives}");
    ensure!(
        (said(&fault, "orphans")?, said(&fault, "ended_with")?) == (orphans, 1 - orphans),
        "{fault:?}"
    );
    let named = fault.plugins["orphans_named"][0]["pid"].as_u64();
    ensure!(
        named == (orphans > 0).then_some(u64::from(pid)),
        "{fault:?}"
    );
    // What stays without its agent goes with the stage's cgroups.
    stage.expect_bystander_unharmed()
}

fn other_name() -> Result<()> {
    let stage = Stage::new("careful", &[])?;
    let injector = Injector::new()?;
    let other = stage.arm(&injector, "plugin kill --plugin no-such* --duration 500ms")?;
    let other = fault(&other.wait()?, 0)?;
    ensure!((other.seen, other.hit) == (0, 0), "{other:?}");
    let note = other.note.as_deref().unwrap_or_default();
    ensure!(note.contains("no such plug-in"), "{other:?}");
    ensure!(stage.agent.standing()?.started == 1, "it was met");
    let own = stage.arm(&injector, "plugin kill --plugin *victim* --duration 500ms")?;
    ensure!(fault(&own.wait()?, 0)?.hit == 1, "it was not met");
    stage.expect_bystander_unharmed()
}

/// The plug-in is a shell, and the process that answers is its fork, which has executed no program.
fn launcher() -> Result<()> {
    let stage = Stage::new("naive", &["--launcher"])?;
    let injector = Injector::new()?;
    let running = stage.arm(&injector, "plugin hang --duration 1s")?;
    // An answer that was on its way is told by now.
    sleep(Duration::from_millis(100));
    let before = stage.agent.standing()?;
    sleep(Duration::from_millis(300));
    let after = stage.agent.standing()?;
    ensure!(before == after, "answers came: {before:?}, {after:?}");
    let hang = fault(&running.wait()?, 0)?;
    ensure!((hang.matched, hang.hit) == (1, 1), "{hang:?}");
    stage.agent.expect_answers("the agent, after the end,")?;
    let running = stage.arm(&injector, "plugin kill --duration 1s")?;
    stage
        .agent
        .until("the agent to read the end", |now| now.ends > 0)?;
    let kill = fault(&running.wait()?, 0)?;
    ensure!((kill.hit, said(&kill, "deaths")?) == (1, 1), "{kill:?}");
    stage.expect_bystander_unharmed()
}

/// Agent and plug-in are killed alike, and nothing is seen of what one does without the other. The agent is older and gets its signal
/// first: a plug-in that ended with its input could be gone before its own signal comes, and would not have been hit.
fn whole_cgroup() -> Result<()> {
    let stage = Stage::new("careful", &["--stays"])?;
    let cgroup = stage.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let words = [
        "proc",
        "kill",
        "--duration",
        "1s",
        "--fail-on",
        "orphans",
        "--json",
    ];
    let running = injector.arm(&[&words[..], &["--cgroup", &cgroup]].concat())?;
    let fault = fault(&running.wait()?, 4)?;
    ensure!(fault.hit == 2, "{fault:?}");
    ensure!(
        (said(&fault, "ended_with")?, said(&fault, "orphans")?) == (0, 0),
        "{fault:?}"
    );
    stage.expect_bystander_unharmed()
}

/// The letter of `/proc/PID/stat`.
fn state(pid: u32) -> Result<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_name, rest) = stat.rsplit_once(')').context("not a stat")?;
    rest.trim().chars().next().context("no state")
}
