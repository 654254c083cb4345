//! Runs that end in every way, at every moment: all faults at once, again and again.

use std::collections::BTreeMap;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use injector_common::decide::random64;
use injector_tests::boot_clock::now_ns;
use injector_tests::injector::{Companion, Injector, Running, page_holder, send};
use injector_tests::measure::{millis, p50, p99};
use injector_tests::mortal::Mortal;
use injector_tests::qdiscs::{self, Clsact};
use injector_tests::snapshot::Snapshot;
use rustix::process::Signal;

use crate::memory;
use crate::oracle::{self, Outcome};
use crate::pace::Pace;
use crate::scene::Scene;
use crate::stillness;

/// Room for all faults at once.
const CONFIG: &str = "[limits]\nmax_experiments = 200\n";
/// The latest moment of an end after the victim was asked, in milliseconds.
const LATEST_MS: u64 = 200;
/// So many runs in which no target felt a fault: the campaign would not notice if it never ended.
const PROVES_NOTHING: u64 = 30;
/// How long worker and supervisor are frozen: longer than the lease.
const FREEZE: Duration = Duration::from_millis(2500);
/// How long an end may take.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// kill -9 of the worker.
    WorkerKilled,
    /// kill -9 of its supervisor.
    SupervisorKilled,
    /// kill -9 of both.
    BothKilled,
    /// kill -9 of the guardian.
    GuardianKilled,
    /// kill -9 of the recorder.
    RecorderKilled,
    /// kill -9 of the process whose pages threads sleep on.
    PageHolderKilled,
    /// SIGQUIT of the command.
    Quit,
    /// The kernel kills the worker for want of memory.
    WorkerStarved,
    /// It kills its supervisor.
    SupervisorStarved,
    /// It kills both.
    BothStarved,
    /// SIGSTOP of the worker.
    WorkerStopped,
    /// Worker and supervisor in a frozen cgroup for longer than the lease, and thawed again.
    Frozen,
    /// One thread of the worker stands still, and then Ctrl-C comes.
    Hung(&'static str),
    /// Ctrl-C.
    Stop,
}

impl Ending {
    /// The deaths that every run can have.
    pub(crate) const KILLS: [Self; 5] = [
        Self::WorkerKilled,
        Self::SupervisorKilled,
        Self::BothKilled,
        Self::GuardianKilled,
        Self::RecorderKilled,
    ];

    /// All deaths.
    pub(crate) const ALL_KILLS: [Self; 6] = [
        Self::WorkerKilled,
        Self::SupervisorKilled,
        Self::BothKilled,
        Self::GuardianKilled,
        Self::RecorderKilled,
        Self::PageHolderKilled,
    ];

    /// The same deaths, by the kernel's own hand.
    pub(crate) const OUT_OF_MEMORY: [Self; 3] = [
        Self::WorkerStarved,
        Self::SupervisorStarved,
        Self::BothStarved,
    ];

    /// Each thread that the end of a run depends on.
    pub(crate) const HANGS: [Self; 6] = [
        Self::Hung("watchdog"),
        // The first thread, by the name of what the worker was started as: /proc/self/exe.
        Self::Hung("exe"),
        Self::Hung("tokio-rt-worker"),
        Self::Hung("run"),
        Self::Hung("kill-switch"),
        Self::Hung("heartbeat"),
    ];

    /// Nanoseconds after the end from which no operation may be hurt.
    fn grace_ns(self) -> u64 {
        match self {
            // The command has returned by then.
            Self::Stop | Self::Quit => 0,
            // The run ends in good order.
            Self::GuardianKilled | Self::RecorderKilled | Self::PageHolderKilled => 1_000_000_000,
            Self::WorkerStopped | Self::Frozen | Self::Hung("watchdog") => 2_100_000_000,
            // The supervisor gives a worker so long to end, and then kills it.
            Self::Hung(_) => 8_500_000_000,
            _ => 100_000_000,
        }
    }

    /// Whether a run of this scene can end so.
    fn can_be_of(self, scene: &Scene) -> bool {
        self != Self::PageHolderKilled || scene.puts_to_sleep()
    }

    /// Whether a change of the host outlives this end, until both are thawed.
    const fn leaves_state(self) -> bool {
        matches!(self, Self::Frozen)
    }

    const fn pace(self) -> Pace {
        match self {
            Self::WorkerStopped | Self::Frozen => Pace::LONG,
            Self::Hung(_) => Pace::LONGEST,
            _ => Pace::QUICK,
        }
    }

    /// Ends a run; returns when it was over (the worker dead or stopped, the command back), and how long
    /// that took.
    fn bring(self, running: Running) -> Result<(u64, u64)> {
        let (supervisor, worker) = (running.pid(), running.worker()?);
        let mortal = Mortal::of(match self {
            Self::GuardianKilled => running.companion(Companion::Guardian)?,
            Self::RecorderKilled => running.companion(Companion::Recorder)?,
            Self::PageHolderKilled => page_holder(worker).context("no page holder")?,
            _ => worker,
        })?;
        let began = now_ns();
        match self {
            Self::Frozen => {
                let frozen = stillness::Frozen::hold(&[supervisor, worker])?;
                let moment = now_ns();
                sleep(FREEZE);
                drop(frozen);
                running.wait_within(SOON)?;
                return Ok((moment, moment - began));
            }
            Self::Hung(name) => {
                let hung = stillness::Hung::hold(worker, name)?;
                let moment = now_ns();
                running.signal(Signal::INT)?;
                running.wait_within(SOON)?;
                drop(hung);
                return Ok((moment, moment - began));
            }
            Self::Stop | Self::Quit => {
                running.signal(if self == Self::Stop {
                    Signal::INT
                } else {
                    Signal::QUIT
                })?;
                let finished = running.wait_within(SOON)?;
                let now = now_ns();
                if finished.code != Some(0) {
                    return Err(anyhow!("it did not end well: {finished:?}"));
                }
                return Ok((now, now - began));
            }
            Self::GuardianKilled => send(running.companion(Companion::Guardian)?, Signal::KILL)?,
            Self::RecorderKilled => send(running.companion(Companion::Recorder)?, Signal::KILL)?,
            Self::PageHolderKilled => {
                send(page_holder(worker).context("no page holder")?, Signal::KILL)?;
            }
            _ => self.strike(supervisor, worker)?,
        }
        if self != Self::WorkerStopped {
            mortal.await_death(SOON)?;
        }
        let moment = now_ns();
        running.wait_within(SOON)?;
        Ok((moment, moment - began))
    }
}

impl Ending {
    /// Does to these processes what this end consists of.
    fn strike(self, supervisor: u32, worker: u32) -> Result<()> {
        match self {
            Self::WorkerKilled => send(worker, Signal::KILL),
            Self::SupervisorKilled => send(supervisor, Signal::KILL),
            Self::BothKilled => {
                send(supervisor, Signal::KILL)?;
                // Its death may have come first.
                let _gone = send(worker, Signal::KILL);
                Ok(())
            }
            Self::WorkerStarved => memory::run_out(&[worker]),
            Self::SupervisorStarved => memory::run_out(&[supervisor]),
            Self::BothStarved => memory::run_out(&[supervisor, worker]),
            Self::WorkerStopped => send(worker, Signal::STOP),
            Self::Stop => send(supervisor, Signal::TERM),
            Self::Quit
            | Self::GuardianKilled
            | Self::RecorderKilled
            | Self::PageHolderKilled
            | Self::Frozen
            | Self::Hung(_) => Err(anyhow!("{self:?} takes more than a blow")),
        }
    }

    /// Ends a daemon, and waits until nothing of it runs.
    pub(crate) fn bring_down(self, daemon: Running) -> Result<()> {
        let (supervisor, worker) = (daemon.pid(), daemon.worker()?);
        let mortal = Mortal::of(worker)?;
        self.strike(supervisor, worker)?;
        mortal.await_death(SOON)?;
        daemon.wait_within(SOON)?;
        Ok(())
    }
}

/// How runs are played.
pub(crate) struct How<'a> {
    /// So many at the same time.
    pub(crate) at_once: usize,
    /// Only faults that have this in their words.
    pub(crate) only: &'a str,
}

/// Ends `runs` runs in these ways, in turns; the moments come from the seed.
pub(crate) fn campaign(endings: &[Ending], seed: u64, runs: u64, how: &How<'_>) -> Result<Outcome> {
    let injector = Injector::configured(CONFIG)?;
    let _clsact = hold_clsact(&injector)?;
    let pace = endings.first().map_or(Pace::QUICK, |ending| ending.pace());
    let mut scenes = Scene::all(pace, how.only)?;
    let mut outcome = Outcome::default();
    let before = Snapshot::take()?;
    let (mut took, mut batch) = (Vec::new(), 0);
    let mut felt: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    while outcome.runs < runs {
        let mut played = Vec::new();
        for together in scenes.chunks_mut(how.at_once.max(1)) {
            let first = played.len();
            let turn = |index, scene: &Scene| {
                let number = (batch * 64 + first + index) as u64;
                let possible = endings.iter().filter(|ending| ending.can_be_of(scene));
                let possible: Vec<Ending> = possible.copied().collect();
                let ending = possible[(batch + first + index) % possible.len()];
                (ending, random64(seed, number))
            };
            played.extend(play_together(together, &injector, turn));
        }
        let (mut refused, mut broken) = (Vec::new(), None);
        for (index, played) in played.into_iter().enumerate() {
            match played {
                Err(error) => broken = Some(error),
                Ok(Some((run, nanos))) => {
                    let (runs, hits) = felt.entry(scenes[index].fault.clone()).or_default();
                    *runs += run.runs;
                    *hits += run.hits;
                    outcome.add(run);
                    took.push(nanos);
                }
                Ok(None) => refused.push(index),
            }
        }
        for index in refused.into_iter().rev() {
            outcome.refused.push(scenes.remove(index).fault);
        }
        batch += 1;
        let what = format!("batch {batch} of seed {seed}");
        outcome.check(&what, oracle::journals(&injector, outcome.runs));
        outcome.check(&what, before.assert_same());
        // Not before what died without a supervisor was swept.
        if let Some(error) = broken {
            return Err(error);
        }
        if scenes.is_empty() {
            break;
        }
        if batch % 10 == 0 {
            eprintln!(
                "{} runs, {} felt, {} violations",
                outcome.runs,
                outcome.hits,
                outcome.violations.len()
            );
        }
    }
    for (fault, (runs, hits)) in felt {
        if hits == 0 && runs >= PROVES_NOTHING {
            outcome.violated(format!(
                "{fault}: not felt in {runs} runs, so nothing was tried"
            ));
        }
        outcome
            .figures
            .push(format!("felt in {hits} of {runs}: {fault}"));
    }
    outcome.figures.push(format!(
        "from the signal to the end: p50 {:.0} ms, p99 {:.0} ms",
        millis(p50(&took)),
        millis(p99(&took))
    ));
    Ok(outcome)
}

/// Where the kernel holds no program at a device by a descriptor, the qdisc of `lo` for as long as the campaign lasts: to make
/// and remove one the kernel drops packets of everyone, which is a known price and no fault of a run's (SAFETY.md).
fn hold_clsact(injector: &Injector) -> Result<Option<Clsact>> {
    let survey = injector.once(&["doctor", "--json"])?;
    let survey: Vec<serde_json::Value> = serde_json::from_str(&survey.stdout)?;
    let lacks = |name: &str| {
        let mut found = survey.iter().filter(|it| it["name"] == name);
        found.any(|it| !it["missing"].is_null())
    };
    if !lacks("tcx") || lacks("clsact") || qdiscs::devices()?.contains(&LOOPBACK) {
        return Ok(None);
    }
    Clsact::make(LOOPBACK).map(Some)
}

/// The interface index of `lo`.
const LOOPBACK: u32 = 1;

/// What came of a scene's run.
type Played = Result<Option<(Outcome, u64)>>;

/// One run of each of these scenes, at the same time.
fn play_together(
    scenes: &mut [Scene],
    injector: &Injector,
    turn: impl Fn(usize, &Scene) -> (Ending, u64),
) -> Vec<Played> {
    thread::scope(|scope| {
        let threads: Vec<_> = scenes
            .iter_mut()
            .enumerate()
            .map(|(index, scene)| {
                let (ending, random) = turn(index, scene);
                scope.spawn(move || play(scene, injector, ending, random))
            })
            .collect();
        let panicked = |_panic| Err(anyhow!("a scene panicked"));
        let threads = threads.into_iter();
        threads
            .map(|thread| thread.join().unwrap_or_else(panicked))
            .collect()
    })
}

/// One run of one scene, and how long its end took; `None` where the host cannot do it.
fn play(scene: &mut Scene, injector: &Injector, ending: Ending, random: u64) -> Played {
    let Some(running) = scene.arm(injector)? else {
        return Ok(None);
    };
    scene.agent.ask()?;
    scene.control.ask()?;
    sleep(scene.lead + Duration::from_millis(20 + random % LATEST_MS));
    let (mut moment, took) = ending.bring(running)?;
    if scene.is_state && ending.leaves_state() {
        // No process of the run was left, or awake, that could have put it back before.
        oracle::sweep(injector)?;
        moment = now_ns();
    }
    let what = format!("{}, {ending:?}", scene.fault);
    let outcome = scene.judge(&what, moment, ending.grace_ns())?;
    Ok(Some((outcome, took)))
}
