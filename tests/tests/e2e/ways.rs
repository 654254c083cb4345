//! No way around a fault on a system call, and the ways around that are known.

use std::fs;

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::CgroupPair;
use injector_tests::injector::Injector;
use injector_tests::observation::Summary;
use injector_tests::place::Place;
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::needs::INJECTOR;
use crate::suite::Case;

/// These never come by a system call's own function: the kernel enters it for native calls of programs.
const BESIDE_THE_FUNCTION: [&str; 3] = ["io_uring", "io_uring worker", "32-bit"];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("sys::openat_in_every_way", INJECTOR, || {
            every_way("open", "openat", "ENOSPC")
        }),
        Case::new("sys::fsync_in_every_way", INJECTOR, || {
            every_way("fsync", "fsync", "EIO")
        }),
    ]
}

fn every_way(call: &str, syscall: &str, errno: &str) -> Result<()> {
    let cgroups = CgroupPair::create()?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let path = folder.path().join("file");
    fs::write(&path, "0123456789abcdef")?;
    let path = path.to_string_lossy();
    let words = ["ways", "--path", &path, "--call", call];
    let start = |cgroup| {
        let place = Place {
            cgroup: Some(cgroup),
            netns: None,
        };
        Victim::start(place, &words)
    };
    let (mut agent, mut bystander) = (start(&cgroups.agent)?, start(&cgroups.bystander)?);
    all_well(&agent.chorus()?, "the target before")?;
    let injector = Injector::new()?;
    let cgroup = cgroups.agent.path().to_string_lossy();
    let words = format!("sys error --syscall {syscall} --errno {errno} --duration 60s --json");
    let mut arguments: Vec<&str> = words.split_whitespace().collect();
    arguments.extend(["--cgroup", &cgroup]);
    let running = injector.arm(&arguments)?;
    let during = agent.chorus()?;
    let beside = bystander.chorus()?;
    running.signal(Signal::INT)?;
    let report = running.wait()?.report()?;
    let mechanism = &report.faults[0].mechanism;
    let at_hooks = ["lsm", "fmod-ret-security"].contains(&mechanism.as_str());
    for voice in &during {
        let way = voice.who.as_str();
        let escapes = !at_hooks && BESIDE_THE_FUNCTION.contains(&way);
        // A new program fails before it can say how: its loader opens files too.
        let fails = voice.error(errno) == 1 || way == "exec" && voice.ok == 0;
        ensure!(fails != escapes, "by {mechanism}: {voice:?}");
    }
    ensure!(report.faults[0].hit >= 6, "{report:?}");
    all_well(&beside, "the bystander")?;
    all_well(&agent.chorus()?, "the target after")
}

fn all_well(voices: &[Summary], who: &str) -> Result<()> {
    ensure!(!voices.is_empty(), "{who} said nothing");
    for voice in voices {
        ensure!(voice.ok == 1, "{who}: {voice:?}");
    }
    Ok(())
}
