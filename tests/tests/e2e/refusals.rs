//! Bad input gets a sentence and the right exit code, and nothing is attached.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Finished, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;

use crate::needs::INJECTOR;
use crate::suite::Case;

const USAGE: &[i32] = &[2];
const UNSAFE: &[i32] = &[3];
const EITHER: &[i32] = &[2, 3];

const TARGET: &[&str] = &["--pid", "VICTIM", "--duration", "2s"];
const DELAY: &[&str] = &["net", "delay", "--latency", "10ms", "--duration", "2s"];

/// Name, arguments (`VICTIM` stands for a good PID), exit codes, a word that the sentence needs.
type Row = (
    &'static str,
    Vec<&'static str>,
    &'static [i32],
    &'static str,
);

fn rows() -> Vec<Row> {
    let on_target = |fault: &[&'static str]| [fault, TARGET].concat();
    let delay = |target: &[&'static str]| [DELAY, target].concat();
    vec![
        (
            "percent_over_100",
            on_target(&["net", "loss", "--percent", "101%"]),
            USAGE,
            "100",
        ),
        (
            "percent_negative",
            on_target(&["net", "loss", "--percent=-1%"]),
            USAGE,
            "percent",
        ),
        (
            "percent_is_no_number",
            on_target(&["net", "loss", "--percent", "some"]),
            USAGE,
            "percent",
        ),
        (
            "latency_missing",
            on_target(&["net", "delay"]),
            USAGE,
            "latency",
        ),
        (
            "latency_is_no_time",
            on_target(&["net", "delay", "--latency", "5 apples"]),
            USAGE,
            "latency",
        ),
        (
            "errno_unknown",
            on_target(&["net", "connect", "--errno", "EWHATEVER"]),
            USAGE,
            "EWHATEVER",
        ),
        (
            "rate_is_no_rate",
            on_target(&["net", "bandwidth", "--rate", "fast"]),
            USAGE,
            "rate",
        ),
        (
            "peer_is_no_address",
            on_target(&["net", "partition", "--peer", "10.0.0.0/99"]),
            USAGE,
            "peer",
        ),
        (
            "dns_type_unknown",
            on_target(&["dns", "error", "--type", "no", "--hostname", "*"]),
            USAGE,
            "type",
        ),
        (
            "fault_unknown",
            on_target(&["net", "vanish"]),
            USAGE,
            "vanish",
        ),
        (
            "no_target",
            vec!["net", "blackhole", "--duration", "2s"],
            USAGE,
            "target",
        ),
        (
            "no_duration",
            vec!["net", "blackhole", "--pid", "VICTIM"],
            USAGE,
            "duration",
        ),
        ("pid_1", delay(&["--pid", "1"]), UNSAFE, "1"),
        ("pid_gone", delay(&["--pid", "GONE"]), EITHER, "GONE"),
        (
            "pid_of_a_kernel_thread",
            delay(&["--pid", "2"]),
            UNSAFE,
            "2",
        ),
        ("the_caller", delay(&["--pid", "SELF"]), UNSAFE, "SELF"),
        ("root_cgroup", delay(&["--cgroup", "/"]), UNSAFE, "root"),
        (
            "cgroup_absent",
            delay(&["--cgroup", "/no/such/cgroup"]),
            EITHER,
            "/no/such/cgroup",
        ),
        (
            "unit_absent",
            delay(&["--unit", "no-such.service"]),
            EITHER,
            "no-such.service",
        ),
        (
            "container_absent",
            delay(&["--container", "feedfacefeed"]),
            EITHER,
            "feedfacefeed",
        ),
        (
            "process_absent",
            delay(&["--process", "no such command line"]),
            EITHER,
            "no such",
        ),
        (
            "process_regex_broken",
            delay(&["--process", "("]),
            USAGE,
            "process",
        ),
        (
            "file_absent",
            vec!["run", "no-such.yaml"],
            USAGE,
            "no-such.yaml",
        ),
        (
            "stop_nothing",
            vec!["stop", "no-such-run"],
            USAGE,
            "no-such-run",
        ),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = rows()
        .into_iter()
        .map(|(name, arguments, codes, word)| {
            Case::new(format!("refusal::{name}"), INJECTOR, move || {
                refused(&arguments, codes, word)
            })
        })
        .collect();
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("refusal::{name}"), INJECTOR, run);
    cases.extend([
        case("cgroup_of_the_caller", own_cgroup),
        case("cgroup_v1", cgroup_v1),
        case("full_journal_disk", full_disk),
        case("yaml_unknown_field_has_line_and_column", || {
            bad_file("name: x\ntargets: { a: { pid: [1] } }\nsteps: []\nstops: []\n", "4")
        }),
        case("yaml_unknown_fault_parameter", || {
            let file = "name: x\ntargets:\n  a: { cgroup: a }\nsteps:\n  - name: s\n    duration: 1s\n    faults:\n      - net.delay: { latency: 1ms, lateness: 2ms }\n";
            bad_file(file, "lateness")
        }),
        case("yaml_two_selectors_contradict", || {
            let file = "name: x\ntargets:\n  a: { cgroup: a, pid: [4] }\nsteps:\n  - { name: s, duration: 1s }\n";
            bad_file(file, "a")
        }),
        case("half_armed_is_undone", half_armed),
    ]);
    cases
}

/// The sentence, the code, and nothing attached even for a moment afterwards.
fn refused(arguments: &[&str], codes: &[i32], word: &str) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let (pid, own, gone) = (
        victim.pid().to_string(),
        std::process::id().to_string(),
        pid_gone()?.to_string(),
    );
    let real = |word: &str| -> String {
        match word {
            "VICTIM" => pid.clone(),
            "SELF" => own.clone(),
            "GONE" => gone.clone(),
            other => other.to_owned(),
        }
    };
    let arguments: Vec<String> = arguments.iter().map(|word| real(word)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let before = Snapshot::take()?;
    let finished = Injector::new()?.once(&arguments)?;
    is_refusal(&finished, codes, &real(word))?;
    before.assert_same()
}

fn is_refusal(finished: &Finished, codes: &[i32], word: &str) -> Result<()> {
    let code = finished.code.context("it was killed by a signal")?;
    ensure!(
        codes.contains(&code),
        "exit code {code} is none of {codes:?}: {finished:?}"
    );
    let said = &finished.stderr;
    ensure!(said.contains(word), "{word:?} is not in: {said}");
    ensure!(
        said.len() > 30 && said.contains(' '),
        "not a sentence: {said}"
    );
    for leak in ["panicked", "RUST_BACKTRACE", "Os {", "stack backtrace"] {
        ensure!(!said.contains(leak), "not for people: {said}");
    }
    ensure!(
        !finished.stdout.contains("armed "),
        "it armed: {}",
        finished.stdout
    );
    Ok(())
}

/// The id of a process that has just ended.
fn pid_gone() -> Result<u32> {
    let mut child = Command::new("true").stdout(Stdio::null()).spawn()?;
    child.wait()?;
    Ok(child.id())
}

fn own_cgroup() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let arguments = [DELAY, &["--cgroup", &cgroup]].concat();
    is_refusal(
        &injector.start(lab.agent(), &arguments)?.wait()?,
        UNSAFE,
        "cgroup",
    )
}

fn cgroup_v1() -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let v1 = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let Some(v1) = v1
        .filter(|fields| fields.get(2) == Some(&"cgroup"))
        .find_map(|f| f.get(1).copied())
    else {
        // A host without any v1 hierarchy has no such path to give.
        return Ok(());
    };
    let finished = Injector::new()?.once(&[DELAY, &["--cgroup", v1]].concat())?;
    is_refusal(&finished, EITHER, "v1")
}

/// The journal on a file system with no room left: refused before anything is attached.
fn full_disk() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let folder = tempfile::tempdir()?;
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(folder.path())
        .status()?;
    ensure!(mount.success(), "cannot mount a small file system");
    let outcome = (|| {
        // Ends with ENOSPC, which is the point.
        let _full = fs::write(folder.path().join("ballast"), vec![0; 1 << 20]);
        let injector = Injector::new()?;
        let pid = victim.pid().to_string();
        let mut command = injector.command(&[DELAY, &["--pid", &pid]].concat());
        let output = command.env("INJECTOR_STATE_DIR", folder.path()).output()?;
        let finished = Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        };
        is_refusal(&finished, USAGE, "journal")
    })();
    Command::new("umount").arg(folder.path()).status()?;
    outcome
}

fn bad_file(text: &str, word: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bad.yaml");
    fs::write(&file, text)?;
    let path = file.to_string_lossy().into_owned();
    let injector = Injector::new()?;
    for arguments in [&["run", &path][..], &["run", &path, "--dry-run"]] {
        let finished = injector.once(arguments)?;
        is_refusal(&finished, USAGE, word)?;
        ensure!(
            finished.stderr.contains("bad.yaml"),
            "which file? {}",
            finished.stderr
        );
    }
    Ok(())
}

/// A second step that cannot be armed takes the first one's faults away with it.
fn half_armed() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let mut doomed = Some(Victim::start(lab.bystander(), &["sleep"])?);
    let pid_of_doomed = doomed.as_ref().map_or(0, Victim::pid);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("half.yaml");
    let text = format!(
        "name: half\ntargets:\n  a: {{ pid: [{}] }}\n  b: {{ pid: [{pid_of_doomed}] }}\nsteps:\n  \
         - name: s\n    duration: 2s\n    faults:\n      - net.delay: {{ target: a, latency: 1ms }}\n      \
         - net.delay: {{ target: b, latency: 1ms }}\n",
        victim.pid()
    );
    fs::write(&file, text)?;
    drop(doomed.take());
    let before = Snapshot::take()?;
    let finished = Injector::new()?.once(&["run", &file.to_string_lossy()])?;
    is_refusal(&finished, EITHER, &pid_of_doomed.to_string())?;
    eventually("nothing to be attached", Duration::from_secs(4), || {
        Ok(before.residue(&Snapshot::take()?).is_empty().then_some(()))
    })
}
