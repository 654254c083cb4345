//! Bad input gets a sentence and the right exit code, and nothing is attached.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Finished, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::lack::Lack;
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;

use crate::needs::INJECTOR;
use crate::suite::Case;

const USAGE: &[i32] = &[2];
const UNSAFE: &[i32] = &[3];
const EITHER: &[i32] = &[2, 3];

const DELAY: &[&str] = &["net", "delay", "--latency", "10ms", "--duration", "2s"];

/// Name, arguments, exit codes, a word that the sentence needs.
///
/// `VICTIM`, `SELF` and `GONE` stand for PIDs: of a good target, of this test, of no process any more.
type Row = (&'static str, &'static str, &'static [i32], &'static str);

/// Bad faults, for a good target and a good duration.
const BAD_FAULTS: &[Row] = &[
    ("percent_over_100", "net loss --percent 101%", USAGE, "100"),
    (
        "percent_negative",
        "net loss --percent=-1%",
        USAGE,
        "percent",
    ),
    (
        "percent_is_no_number",
        "net loss --percent some",
        USAGE,
        "percent",
    ),
    ("latency_missing", "net delay", USAGE, "latency"),
    (
        "latency_is_no_time",
        "net delay --latency 5apples",
        USAGE,
        "latency",
    ),
    (
        "errno_unknown",
        "net connect --errno EWHATEVER",
        USAGE,
        "EWHATEVER",
    ),
    (
        "rate_is_no_rate",
        "net bandwidth --rate fast",
        USAGE,
        "rate",
    ),
    (
        "peer_is_no_address",
        "net partition --peer 10.0.0.0/99",
        USAGE,
        "peer",
    ),
    (
        "dns_type_unknown",
        "dns error --type no --hostname *",
        USAGE,
        "type",
    ),
    ("fault_unknown", "net vanish", USAGE, "vanish"),
    (
        "signal_that_stops",
        "proc kill --signal STOP",
        USAGE,
        "proc pause",
    ),
    ("signal_unknown", "proc kill --signal TREM", USAGE, "TERM"),
    ("starve_of_nothing", "proc starve", USAGE, "at least one"),
    (
        "starve_of_processes",
        "proc starve --cpu 10%",
        USAGE,
        "siblings",
    ),
    (
        "respawn_of_a_pid",
        "proc kill --respawn kill-again",
        USAGE,
        "kill-again",
    ),
    (
        "deny_exec_of_a_pid",
        "proc kill --respawn deny-exec",
        USAGE,
        "whole cgroup",
    ),
    (
        "kill_again_at_a_call",
        "proc kill --at-call write --respawn kill-again",
        USAGE,
        "comes back by itself",
    ),
    (
        "kill_at_no_such_call",
        "proc kill --at-call wrote",
        USAGE,
        "write",
    ),
    (
        "pause_too_short",
        "proc pause --active 1ms --dormant 1s",
        USAGE,
        "short",
    ),
    ("share_is_none", "proc starve --cpu 0%", USAGE, "0.1%"),
    (
        "plugin_lives_too_short",
        "plugin crash-loop --lives 1ms",
        USAGE,
        "short",
    ),
    (
        "plugin_act_behind_the_end",
        "plugin kill --after 1h",
        USAGE,
        "shorter",
    ),
    (
        "plugin_name_is_no_glob",
        "plugin kill --plugin [",
        USAGE,
        "plugin",
    ),
];

/// A good fault on no process, on all processes, or on a process that must not be touched.
const BAD_TARGETS: &[Row] = &[
    ("no_target", "", USAGE, "target"),
    ("pid_1", "--pid 1", UNSAFE, "1"),
    ("pid_gone", "--pid GONE", EITHER, "GONE"),
    ("pid_of_a_kernel_thread", "--pid 2", UNSAFE, "2"),
    ("the_caller", "--pid SELF", UNSAFE, "SELF"),
    ("root_cgroup", "--cgroup /", UNSAFE, "root"),
    (
        "cgroup_absent",
        "--cgroup /no/such/cgroup",
        EITHER,
        "/no/such/cgroup",
    ),
    (
        "unit_absent",
        "--unit no-such.service",
        EITHER,
        "no-such.service",
    ),
    (
        "container_absent",
        "--container feedfacefeed",
        EITHER,
        "feedfacefeed",
    ),
    (
        "process_absent",
        "--process no-such-command-line",
        EITHER,
        "no-such",
    ),
    ("process_regex_broken", "--process (", USAGE, "process"),
];

/// Whole command lines.
const BAD_COMMANDS: &[Row] = &[
    (
        "no_duration",
        "net blackhole --pid VICTIM",
        USAGE,
        "duration",
    ),
    ("file_absent", "run no-such.yaml", USAGE, "no-such.yaml"),
    ("stop_nothing", "stop no-such-run", USAGE, "no-such-run"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, prefix, suffix) in [
        (BAD_FAULTS, "", "--pid VICTIM --duration 2s"),
        (BAD_TARGETS, "net delay --latency 10ms --duration 2s", ""),
        (BAD_COMMANDS, "", ""),
    ] {
        for (name, arguments, codes, word) in rows {
            let line = format!("{prefix} {arguments} {suffix}");
            let run = move || refused(&line, codes, word);
            cases.push(Case::new(format!("refusal::{name}"), INJECTOR, run));
        }
    }
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("refusal::{name}"), INJECTOR, run);
    cases.extend([
        case("cgroup_of_the_caller", own_cgroup),
        case("cgroup_v1", cgroup_v1),
        case("full_journal_disk", || journal_on("size=64k")),
        case("read_only_journal_disk", || journal_on("ro,mode=700")),
        case("yaml_unknown_field_has_line_and_column", || {
            bad_file("name: x\ntargets: { a: { pid: [1] } }\nsteps: []\nstops: []\n", "4")
        }),
        case("yaml_unknown_fault_parameter", || {
            let file = "name: x\ntargets:\n  a: { cgroup: a }\nsteps:\n  - name: s\n    duration: 1s\n    faults:\n      - net.delay: { latency: 1ms, lateness: 2ms }\n";
            bad_file(file, "lateness")
        }),
        case("yaml_two_selectors_contradict", || {
            let file = "name: x\ntargets:\n  a: { cgroup: a, pid: [4] }\nsteps:\n  - { name: s, duration: 1s, faults: [net.blackhole: {}] }\n";
            bad_file(file, "a")
        }),
        case("a_dead_target_among_two", half_armed),
        case("half_armed_is_undone", short_of_descriptors),
    ]);
    cases
}

/// The sentence, the code, and nothing attached even for a moment afterwards.
fn refused(line: &str, codes: &[i32], word: &str) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let (pid, own, gone) = (
        victim.pid().to_string(),
        std::process::id().to_string(),
        pid_gone()?.to_string(),
    );
    let real = |text: &str| {
        text.replace("VICTIM", &pid)
            .replace("SELF", &own)
            .replace("GONE", &gone)
    };
    let line = real(line);
    let arguments: Vec<&str> = line.split_whitespace().collect();
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

/// The journal on a file system with no room left, or that cannot be written to: refused before anything
/// is attached.
fn journal_on(options: &str) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let folder = tempfile::tempdir()?;
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(folder.path())
        .status()?;
    ensure!(mount.success(), "cannot mount a small file system");
    let outcome = (|| {
        // Ends with ENOSPC or EROFS, which is the point.
        let _full = fs::write(folder.path().join("ballast"), vec![0; 1 << 20]);
        let injector = Injector::new()?;
        let pid = victim.pid().to_string();
        // A fault that every kernel takes: the journal has to be what is missing.
        let connect = [
            "net",
            "connect",
            "--errno",
            "ECONNREFUSED",
            "--duration",
            "2s",
        ];
        let mut command = injector.command(&[&connect[..], &["--pid", &pid]].concat());
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

/// Arming breaks at every point where a descriptor is needed, one more allowed each time; whatever was
/// there by then is gone, until the first run that gets through.
fn short_of_descriptors() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let pid = victim.pid().to_string();
    let injector = Injector::new()?;
    let delay = ["net", "delay", "--latency", "1ms", "--pid", &pid];
    let before = Snapshot::take()?;
    let whole = injector.once(&[&delay[..], &["--duration", "50ms"]].concat())?;
    if let Some(lack) = Lack::find(whole.code, &whole.stderr) {
        bail!(lack);
    }
    let (mut broken, mut armed_then_broken) = (0, 0);
    for limit in 6..200 {
        let plain = injector.command(&[&delay[..], &["--duration", "50ms", "--json"]].concat());
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "ulimit -n $1 && shift && exec \"$@\"", "sh"])
            .arg(limit.to_string())
            .arg(plain.get_program())
            .args(plain.get_args())
            .envs(
                plain
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            );
        let output = limited.output()?;
        before.assert_same()?;
        if output.status.success() {
            ensure!(broken > 10, "only {broken} limits were too low");
            ensure!(
                armed_then_broken > 0,
                "nothing ever broke after the journal had begun"
            );
            return Ok(());
        }
        broken += 1;
        let journals = fs::read_dir(injector.state().join("runs")).map_or(0, |entries| {
            let paths = entries.flatten().map(|entry| entry.path());
            paths
                .filter(|path| path.extension() == Some("jsonl".as_ref()))
                .count()
        });
        armed_then_broken = armed_then_broken.max(journals);
    }
    bail!("it never got through")
}

/// A target that is dead already keeps the other one's faults away too.
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
