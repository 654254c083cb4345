//! Faults on files and pipes: by where a file lies and not by how it is called, and on nothing beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use injector_tests::cgroup::CgroupPair;
use injector_tests::injector::{Injector, Report};
use injector_tests::observation::Summary;
use injector_tests::place::Place;
use injector_tests::victim::Victim;
use rustix::mount::{MountFlags, UnmountFlags, mount_bind, unmount};
use rustix::process::Signal;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::needs::INJECTOR;
use crate::suite::Case;

/// Operations in a round.
const COUNT: u64 = 10;

/// A delay, in nanoseconds, that no undisturbed call takes.
const DELAY: u64 = 30_000_000;

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| Case::new(name, INJECTOR, run);
    vec![
        case("io::error_below_a_folder", || {
            below_a_folder("error --errno EIO --methods read", "read", &fails_with_eio)
        })
        .shows("io error"),
        case("io::error_of_write", || {
            below_a_folder(
                "error --errno ENOSPC --methods write",
                "write",
                &|during, _| {
                    ensure!(during.error("ENOSPC") == COUNT, "{during:?}");
                    Ok(())
                },
            )
        }),
        case("io::error_of_fsync", || {
            below_a_folder(
                "error --errno EIO --methods fsync",
                "fsync",
                &fails_with_eio,
            )
        }),
        case("io::latency_of_open", || {
            below_a_folder("latency --latency 30ms --methods open", "open", &is_slow)
        })
        .shows("io latency --methods open"),
        case("io::latency_of_read", || {
            below_a_folder("latency --latency 30ms --methods read", "read", &is_slow)
        })
        .shows("io latency --methods read"),
        case("io::corrupt", || {
            below_a_folder("corrupt --max-length 4", "read", &|during, beside| {
                ensure!(during.damaged == COUNT, "{during:?}");
                ensure!(beside.damaged == 0, "{beside:?}");
                Ok(())
            })
        })
        .shows("io corrupt"),
        case("io::short_reads", || {
            below_a_folder("short --at-most 5", "read-vector", &|during, _| {
                ensure!(during.error("5 bytes") == COUNT, "{during:?}");
                Ok(())
            })
        })
        .shows("io short"),
        case("io::short_writes", || {
            let words = "short --at-most 3 --methods writev";
            below_a_folder(words, "write-vector", &|during, _| {
                ensure!(during.error("3 bytes") == COUNT, "{during:?}");
                Ok(())
            })
        }),
        case("io::a_file_by_every_name", every_name),
        case("io::a_file_that_is_saved_anew", saved_anew),
        case("io::a_file_to_come", to_come),
        case("io::names_in_a_folder", names),
        case("io::refusals_name_what_is_wrong", refusals),
        case("pipe::error_of_pipes", || {
            speaking("pipes", "error", &breaks)
        })
        .shows("pipe error"),
        case("pipe::error_of_unix_sockets", || {
            speaking("socket", "error", &breaks)
        }),
        case("pipe::delay_of_pipes", || {
            speaking("pipes", "delay --latency 30ms --methods write", &is_slow)
        })
        .shows("pipe delay"),
        case("pipe::delay_of_unix_sockets", || {
            speaking("socket", "delay --latency 30ms --methods write", &is_slow)
        }),
        // Where functions of calls cannot sleep, hooks of sockets still can.
        case("pipe::delay_of_unix_sockets_alone", || {
            let words = "delay --latency 30ms --methods write --fd-kind unix";
            speaking("socket", words, &is_slow)
        })
        .shows("pipe delay --fd-kind unix"),
        case("pipe::stall_of_unix_sockets_alone", || {
            speaking("socket", "stall --at-most 30ms --fd-kind unix", &is_slow)
        })
        .shows("pipe stall --fd-kind unix"),
        case("pipe::stall_of_pipes", || {
            speaking("pipes", "stall --at-most 30ms", &is_slow)
        })
        .shows("pipe stall"),
        case("pipe::every_call_on_one_cpu", every_call_on_one_cpu),
        case("pipe::corrupt_of_pipes", || {
            speaking("pipes", "corrupt", &damages)
        })
        .shows("pipe corrupt"),
        case("pipe::corrupt_of_unix_sockets", || {
            speaking("socket", "corrupt", &damages)
        }),
    ]
}

type Verdict = dyn Fn(&Summary, &Summary) -> Result<()>;

fn fails_with_eio(during: &Summary, _beside: &Summary) -> Result<()> {
    ensure!(during.error("EIO") == COUNT, "{during:?}");
    Ok(())
}

fn is_slow(during: &Summary, beside: &Summary) -> Result<()> {
    all_well(during, "the target")?;
    ensure!(during.p50_ns >= DELAY, "{during:?}");
    ensure!(beside.p50_ns < DELAY, "the bystander: {beside:?}");
    Ok(())
}

fn breaks(during: &Summary, _beside: &Summary) -> Result<()> {
    ensure!(during.error("EPIPE") == COUNT, "{during:?}");
    Ok(())
}

fn damages(during: &Summary, beside: &Summary) -> Result<()> {
    ensure!(during.damaged == COUNT, "{during:?}");
    ensure!(beside.damaged == 0, "{beside:?}");
    Ok(())
}

fn all_well(summary: &Summary, who: &str) -> Result<()> {
    ensure!(summary.ok == summary.sent, "{who}: {summary:?}");
    Ok(())
}

/// Two cgroups and a folder for files.
struct Stage {
    folder: tempfile::TempDir,
    injector: Injector,
    cgroups: CgroupPair,
}

impl Stage {
    fn new() -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir().context("cannot make a folder")?,
            injector: Injector::new()?,
            cgroups: CgroupPair::create()?,
        })
    }

    /// A file in the folder, with its folders.
    fn file(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(&path, "0123456789abcdef")?;
        Ok(path)
    }

    fn start(&self, who: Who, words: &[&str]) -> Result<Victim> {
        let cgroup = match who {
            Who::Agent => &self.cgroups.agent,
            Who::Bystander => &self.cgroups.bystander,
        };
        let place = Place {
            cgroup: Some(cgroup),
            netns: None,
        };
        let count = COUNT.to_string();
        Victim::start(place, &[words, &["--count", &count, "--wait"]].concat())
    }

    fn on_file(&self, who: Who, path: &Path, call: &str) -> Result<Victim> {
        let path = path.to_string_lossy();
        self.start(who, &["file", "--path", &path, "--call", call])
    }

    /// What `act` sees while the fault is on, and the report.
    fn during<T>(&self, words: &str, act: impl FnOnce() -> Result<T>) -> Result<(T, Report)> {
        let cgroup = self.cgroups.agent.path().to_string_lossy();
        let words = format!("{words} --duration 60s --json");
        let mut arguments: Vec<&str> = words.split_whitespace().collect();
        arguments.extend(["--cgroup", &cgroup]);
        let running = self.injector.arm(&arguments)?;
        let seen = act()?;
        running.signal(Signal::INT)?;
        let finished = running.wait()?;
        ensure!(finished.code == Some(0), "{finished:?}");
        let report = finished.report()?;
        ensure!(report.undo_errors.is_empty(), "{report:?}");
        Ok((seen, report))
    }
}

#[derive(Clone, Copy)]
enum Who {
    Agent,
    Bystander,
}

/// What lies deep in a folder meets the fault; what lies beside it does not, and neither does the bystander.
fn below_a_folder(words: &str, call: &str, verdict: &Verdict) -> Result<()> {
    let stage = Stage::new()?;
    let inside = stage.file("in/side/of it/file")?;
    let outside = stage.file("inside/file")?;
    let mut target = stage.on_file(Who::Agent, &inside, call)?;
    let mut elsewhere = stage.on_file(Who::Agent, &outside, call)?;
    let mut bystander = stage.on_file(Who::Bystander, &inside, call)?;
    all_well(&target.round()?, "the target before")?;
    let folder = stage.folder.path().join("in");
    let words = format!("io {words} --path {}", folder.display());
    let ((during, beside), report) = stage.during(&words, || {
        let during = target.round()?;
        let aside = elsewhere.round()?;
        all_well(&aside, "the target with another file")?;
        ensure!(
            aside.p50_ns < DELAY,
            "the target with another file: {aside:?}"
        );
        let beside = bystander.round()?;
        all_well(&beside, "the bystander")?;
        Ok((during, beside))
    })?;
    verdict(&during, &beside)?;
    let fault = &report.faults[0];
    ensure!(fault.hit == COUNT && fault.matched == COUNT, "{report:?}");
    ensure!(
        fault.seen >= 2 * COUNT,
        "the other file was not seen: {report:?}"
    );
    all_well(&target.round()?, "the target after")?;
    let is_whole = fs::read(&inside)?.starts_with(b"0123456789abcdef");
    // The victim writes before it syncs.
    ensure!(is_whole || call == "fsync", "the file has changed");
    Ok(())
}

/// One file: by its path, a symbolic link, a hard link, a bind mount, and all ways to make the call.
fn every_name() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.file("real/file")?;
    let at = |name: &str| stage.folder.path().join(name);
    std::os::unix::fs::symlink(&file, at("symbolic"))?;
    fs::hard_link(&file, at("hard"))?;
    fs::create_dir(at("bound"))?;
    let _bound = Bound::new(&at("real"), at("bound"))?;
    let mut victims = Vec::new();
    for name in ["real/file", "symbolic", "hard", "bound/file"] {
        victims.push((name, stage.on_file(Who::Agent, &at(name), "open")?));
    }
    let words = ["ways", "--call", "open", "--path"];
    let path = file.to_string_lossy();
    let place = Place {
        cgroup: Some(&stage.cgroups.agent),
        netns: None,
    };
    let mut ways = Victim::start(place, &[&words[..], &[&path]].concat())?;
    let words = format!("sys error --syscall openat --errno EIO --path {path}");
    let ((), report) = stage.during(&words, || {
        for (name, victim) in &mut victims {
            let during = victim.round()?;
            ensure!(
                during.error("EIO") == COUNT,
                "by the name {name}: {during:?}"
            );
        }
        for voice in ways.chorus()? {
            ensure!(voice.error("EIO") == 1, "{voice:?}");
        }
        Ok(())
    })?;
    ensure!(report.faults[0].hit == 4 * COUNT + 9, "{report:?}");
    Ok(())
}

/// A bind mount, gone with the value.
struct Bound(PathBuf);

impl Bound {
    fn new(from: &Path, to: PathBuf) -> Result<Self> {
        mount_bind(from, &to).context("cannot mount")?;
        rustix::mount::mount_remount(&to, MountFlags::BIND, "").context("cannot remount")?;
        Ok(Self(to))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // A mount that stays is found by the folder's removal.
        let _gone = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// A program that saves by renaming makes a new file of the same name, and moves the old one away.
fn saved_anew() -> Result<()> {
    let stage = Stage::new()?;
    let file = stage.file("file")?;
    let mut target = stage.on_file(Who::Agent, &file, "open")?;
    let words = format!(
        "io error --errno EIO --methods open --path {}",
        file.display()
    );
    stage.during(&words, || {
        let other = stage.file("other")?;
        fs::rename(other, &file)?;
        fails_with_eio(&target.round()?, &Summary::default())
    })?;
    all_well(&target.round()?, "the target after")
}

fn to_come() -> Result<()> {
    let stage = Stage::new()?;
    let first = stage.file("first")?;
    let file = stage.folder.path().join("later");
    // A file has to be there for the victim to start, and goes again.
    fs::copy(&first, &file)?;
    let mut target = stage.on_file(Who::Agent, &file, "open")?;
    fs::remove_file(&file)?;
    let words = format!(
        "io error --errno EIO --methods open --future --path {}",
        file.display()
    );
    stage.during(&words, || {
        fs::copy(&first, &file)?;
        fails_with_eio(&target.round()?, &Summary::default())
    })?;
    Ok(())
}

fn names() -> Result<()> {
    let stage = Stage::new()?;
    let at = |name: &str| stage.file(name);
    let (one, other, deep) = (
        at("data/one.db")?,
        at("data/one.db.old")?,
        at("data/a/b/two.db")?,
    );
    let data = stage.folder.path().join("data").display().to_string();
    let open = |path: &Path| stage.on_file(Who::Agent, path, "open");
    let (mut one, mut other, mut deep) = (open(&one)?, open(&other)?, open(&deep)?);
    let words = format!("io error --errno EIO --methods open --path {data}/*.db");
    stage.during(&words, || {
        fails_with_eio(&one.round()?, &Summary::default())?;
        all_well(&other.round()?, "another name")?;
        all_well(&deep.round()?, "a folder below")
    })?;
    let words = format!("io error --errno EIO --methods open --path {data}/**/t?o.db");
    stage.during(&words, || {
        all_well(&one.round()?, "another name")?;
        fails_with_eio(&deep.round()?, &Summary::default())
    })?;
    Ok(())
}

fn refusals() -> Result<()> {
    let stage = Stage::new()?;
    let victim = stage.on_file(Who::Agent, &stage.file("file")?, "open")?;
    let pid = victim.pid().to_string();
    let nowhere = format!("{}/no\u{7}where", stage.folder.path().display());
    for (path, said) in [
        (nowhere.as_str(), "--future"),
        ("file", "start at the root"),
        ("/a/../b", "could leave"),
        ("/a/*/b", "only the last part"),
    ] {
        let words = [
            "io",
            "error",
            "--errno",
            "EIO",
            "--methods",
            "open",
            "--path",
            path,
        ];
        let target = ["--pid", &pid, "--duration", "1s"];
        let finished = stage.injector.once(&[&words[..], &target].concat())?;
        ensure!(finished.code == Some(2), "{path:?}: {finished:?}");
        // Where the kernel lacks what it needs, that is said first.
        let is_lacking = finished.stderr.contains("which this host lacks");
        ensure!(
            finished.stderr.contains(said) || is_lacking,
            "{path:?}: {finished:?}"
        );
        ensure!(!finished.stderr.contains('\u{7}'), "{finished:?}");
    }
    Ok(())
}

/// The kernel skips a program for a thread that shares the CPU with one that was preempted in it.
fn every_call_on_one_cpu() -> Result<()> {
    const MANY: u64 = 600;
    let stage = Stage::new()?;
    let place = Place {
        cgroup: Some(&stage.cgroups.agent),
        netns: None,
    };
    let words = format!("plugin-speaker --between pipes --wait --count {MANY}");
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut target = on_one_cpu(|| Victim::start(place, &words))?;
    let words = "pipe stall --at-most 1ms --thread plugin-speaker";
    let (during, report) = stage.during(words, || target.round())?;
    all_well(&during, "the target")?;
    let fault = &report.faults[0];
    ensure!(fault.hit == MANY && fault.matched == MANY, "{report:?}");
    Ok(())
}

/// Children of the calling thread stay where it was when they were made.
fn on_one_cpu<T>(start: impl FnOnce() -> Result<T>) -> Result<T> {
    let all = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu));
    let mut one = CpuSet::new();
    one.set(first.context("no CPU to run on")?);
    sched_setaffinity(None, &one)?;
    let started = start();
    sched_setaffinity(None, &all)?;
    started
}

/// An agent and its plug-in; what they say on other pipes is not the speaking thread's.
fn speaking(between: &str, words: &str, verdict: &Verdict) -> Result<()> {
    let stage = Stage::new()?;
    let start = |who| stage.start(who, &["plugin-speaker", "--between", between]);
    let (mut target, mut bystander) = (start(Who::Agent)?, start(Who::Bystander)?);
    all_well(&target.round()?, "the target before")?;
    let words = format!("pipe {words} --thread plugin-speaker");
    let ((during, beside), report) = stage.during(&words, || {
        let during = target.round()?;
        let beside = bystander.round()?;
        all_well(&beside, "the bystander")?;
        Ok((during, beside))
    })?;
    verdict(&during, &beside)?;
    ensure!(report.faults[0].hit == COUNT, "{report:?}");
    all_well(&target.round()?, "the target after")
}
