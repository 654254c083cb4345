//! `proc starve`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::CgroupPair;
use injector_tests::controller::{Home, is_there};
use injector_tests::counter::Counter;
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;

use super::{SOON, agent, arm, kill_all, next_start};
use crate::needs::{INJECTOR, Need};
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, need: Need, run: fn() -> Result<()>| {
        Case::new(format!("proc::{name}"), INJECTOR, run).also_needs(need)
    };
    vec![
        case("starve_of_cpu_time", cpu, cpu_time).shows("proc starve"),
        case("starve_of_processes", pids, processes),
        case("starve_of_memory", memory, memory_high),
        case("starve_is_undone_after_its_worker", cpu, worker_killed),
        case("starve_is_swept_after_a_double_kill", cpu, both_killed),
        case("starve_leaves_what_others_set", cpu, set_by_others),
        case(
            "starve_on_version_1_spares_strangers",
            cpu_of_version_1,
            strangers,
        ),
        case("two_runs_cannot_starve_one_cgroup", cpu, two_runs),
    ]
}

fn lacks(controller: &str) -> Option<String> {
    (!is_there(controller)).then(|| format!("this machine has no cgroup controller {controller}"))
}

fn cpu() -> Option<String> {
    lacks("cpu")
}

fn pids() -> Option<String> {
    lacks("pids")
}

fn memory() -> Option<String> {
    lacks("memory")
}

fn cpu_of_version_1() -> Option<String> {
    let there = fs::read_to_string("/proc/self/mounts").is_ok_and(|mounts| {
        mounts.lines().any(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            fields[2] == "cgroup" && fields[3].split(',').any(|option| option == "cpu")
        })
    });
    (!there).then(|| "the controller cpu is not on cgroup version 1 here".to_owned())
}

/// A busy process in the agent's cgroup, which has a controller.
struct Kitchen {
    agent: Counter,
    home: Home,
    // Last: cgroups go when no process is in them.
    cgroups: CgroupPair,
}

impl Kitchen {
    fn with(controller: &str) -> Result<Self> {
        let cgroups = CgroupPair::create()?;
        let agent = Counter::busy(agent(&cgroups))?;
        let home = Home::give(controller, &cgroups, &[agent.pid()])?;
        Ok(Self {
            agent,
            home,
            cgroups,
        })
    }

    fn target(&self) -> [String; 2] {
        let path = self.cgroups.agent.path().to_string_lossy().into_owned();
        ["--cgroup".into(), path]
    }

    /// The quota that is in force, in either version's words.
    fn quota(&self) -> Result<String> {
        self.home.value(match self.home.version {
            1 => "cpu.cfs_quota_us",
            _ => "cpu.max",
        })
    }

    fn unlimited(&self) -> &'static str {
        match self.home.version {
            1 => "-1",
            _ => "max 100000",
        }
    }

    fn expect_unlimited(&self, when: &str) -> Result<()> {
        let quota = self.quota()?;
        ensure!(quota == self.unlimited(), "{when}: {quota}");
        Ok(())
    }
}

fn cpu_time() -> Result<()> {
    let kitchen = Kitchen::with("cpu")?;
    let injector = Injector::new()?;
    let running = arm(
        &injector,
        "starve --cpu 2% --duration 60s",
        &kitchen.target(),
    )?;
    let starved = kitchen.agent.cpu_share(Duration::from_secs(2))?;
    ensure!(starved < 0.06, "it had {starved} of a CPU");
    let report = running.report()?;
    kitchen.expect_unlimited("after the end")?;
    // What was achieved, as the kernel counts it.
    ensure!(
        report
            .remarks
            .iter()
            .any(|one| one.contains("came up against")),
        "{:?}",
        report.remarks
    );
    // Version 1 has the two numbers in two files.
    let (files, hits) = match kitchen.home.version {
        1 => ("cpu.cfs_period_us+cpu.cfs_quota_us", 2),
        _ => ("cpu.max", 1),
    };
    let fault = &report.faults[0];
    ensure!(
        (fault.mechanism.as_str(), fault.hit) == (files, hits),
        "{report:?}"
    );
    // Others use the machine as well; three times as much is the limit's doing all the same.
    eventually(
        "it to have its CPU time again",
        Duration::from_secs(20),
        || {
            let share = kitchen.agent.cpu_share(Duration::from_millis(500))?;
            Ok((share > 3.0 * starved && share > 0.06).then_some(()))
        },
    )
}

fn processes() -> Result<()> {
    let kitchen = Kitchen::with("pids")?;
    let injector = Injector::new()?;
    let running = arm(
        &injector,
        "starve --pids-max 5 --duration 60s",
        &kitchen.target(),
    )?;
    let limited = kitchen.home.value("pids.max")?;
    ensure!(limited == "5", "pids.max is {limited}");
    let report = running.report()?;
    ensure!(kitchen.home.value("pids.max")? == "max", "not put back");
    ensure!(report.faults[0].mechanism == "pids.max", "{report:?}");
    Ok(())
}

/// Version 1 has no such limit, and says so; version 2 has.
fn memory_high() -> Result<()> {
    let kitchen = Kitchen::with("memory")?;
    let injector = Injector::new()?;
    let target = kitchen.target();
    if kitchen.home.version == 2 {
        let running = arm(
            &injector,
            "starve --memory-high 64m --duration 60s",
            &target,
        )?;
        let limited = kitchen.home.value("memory.high")?;
        ensure!(limited == "67108864", "memory.high is {limited}");
        running.report()?;
        ensure!(kitchen.home.value("memory.high")? == "max", "not put back");
        return Ok(());
    }
    let words = ["proc", "starve", "--memory-high", "64m", "--duration", "1s"];
    let words = [&words[..], &[&target[0], &target[1]]].concat();
    let refused = injector.once(&words)?;
    ensure!(refused.code == Some(2), "{refused:?}");
    ensure!(refused.stderr.contains("no counterpart"), "{refused:?}");
    Ok(())
}

fn worker_killed() -> Result<()> {
    let kitchen = Kitchen::with("cpu")?;
    let injector = Injector::new()?;
    let running = arm(
        &injector,
        "starve --cpu 10% --duration 60s",
        &kitchen.target(),
    )?;
    ensure!(kitchen.quota()? != kitchen.unlimited(), "not starved");
    running.signal_worker(rustix::process::Signal::KILL)?;
    let finished = running.wait_within(SOON)?;
    ensure!(finished.code == Some(1), "{finished:?}");
    kitchen.expect_unlimited("after the worker")
}

fn both_killed() -> Result<()> {
    let kitchen = Kitchen::with("cpu")?;
    let injector = Injector::new()?;
    let running = arm(
        &injector,
        "starve --cpu 10% --duration 60s",
        &kitchen.target(),
    )?;
    kill_all(running)?;
    ensure!(kitchen.quota()? != kitchen.unlimited(), "who undid it?");
    next_start(&injector, &kitchen.target())?;
    kitchen.expect_unlimited("after the next start")
}

fn set_by_others() -> Result<()> {
    let kitchen = Kitchen::with("cpu")?;
    let injector = Injector::new()?;
    let running = arm(
        &injector,
        "starve --cpu 10% --duration 60s",
        &kitchen.target(),
    )?;
    let (file, value) = match kitchen.home.version {
        1 => ("cpu.cfs_quota_us", "77000"),
        _ => ("cpu.max", "77000 100000"),
    };
    fs::write(kitchen.home.directory.join(file), value).context("cannot set a quota")?;
    // Two looks of the injector's.
    std::thread::sleep(Duration::from_millis(200));
    let report = running.report()?;
    let left = kitchen.quota()?;
    ensure!(left == value, "it was made {left}");
    let told = report.remarks.join("\n");
    ensure!(
        told.contains("by another's hand") && told.contains("77000"),
        "{:?}",
        report.remarks
    );
    Ok(())
}

/// A stranger in the cgroup of version 1 is refused at the start, and ends the limit later.
fn strangers() -> Result<()> {
    let kitchen = Kitchen::with("cpu")?;
    let stranger = Counter::start(injector_tests::place::Place {
        cgroup: Some(&kitchen.cgroups.bystander),
        netns: None,
    })?;
    let injector = Injector::new()?;
    let target = kitchen.target();
    let running = arm(&injector, "starve --cpu 10% --duration 60s", &target)?;
    ensure!(kitchen.quota()? == "10000", "not starved");
    kitchen.home.move_in(stranger.pid())?;
    eventually("the limit to be lifted", SOON, || {
        Ok((kitchen.quota()? == "-1").then_some(()))
    })?;
    running.report()?;
    let words = ["proc", "starve", "--cpu", "10%", "--duration", "1s"];
    let refused = injector.once(&[&words[..], &[&target[0], &target[1]]].concat())?;
    ensure!(refused.code == Some(2), "{refused:?}");
    ensure!(refused.stderr.contains("bystanders"), "{refused:?}");
    drop(stranger);
    Ok(())
}

fn two_runs() -> Result<()> {
    let kitchen = Kitchen::with("cpu")?;
    let injector = Injector::new()?;
    let target = kitchen.target();
    let first = arm(&injector, "starve --cpu 10% --duration 60s", &target)?;
    let words = ["proc", "starve", "--cpu", "20%", "--duration", "1s"];
    let second = injector.once(&[&words[..], &[&target[0], &target[1]]].concat())?;
    ensure!(second.code == Some(2), "{second:?}");
    ensure!(
        second
            .stderr
            .contains("limits the cgroup of the same target"),
        "{second:?}"
    );
    first.report()?;
    kitchen.expect_unlimited("after the end")
}
