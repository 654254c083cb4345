//! What a host allows is kept, the kill switch ends everything, and all of it is on record.

mod leftovers;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::{Finished, Injector};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::snapshot::Snapshot;
use injector_tests::victim::Victim;
use rustix::process::Signal;
use serde_json::Value;

use crate::lifecycle::id_of_only_run;
use crate::needs::INJECTOR;
use crate::probe::Probe;
use crate::suite::Case;

const CUT: [&str; 2] = ["net", "blackhole"];
const DELAY: [&str; 4] = ["net", "delay", "--latency", "100ms"];

/// Its name, a configuration that `net blackhole` on two processes exceeds, what more is asked, a word of
/// the refusal, and the override.
type Limit = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static [&'static str],
);

const LIMITS: &[Limit] = &[
    (
        "processes",
        "[limits]\nmax_processes = 1",
        &[],
        "max_processes",
        &["--allow-many-processes"],
    ),
    (
        "share",
        "[limits]\nmax_share = \"50%\"",
        &[],
        "max_share",
        &["--allow-large-share"],
    ),
    (
        "hits",
        "[limits]\nmax_hits = 10",
        &["--max-hits", "11"],
        "max_hits",
        &["--allow-many-hits"],
    ),
    (
        "duration",
        "[limits]\nmax_duration = \"1s\"",
        &[],
        "max_duration",
        &["--allow-long"],
    ),
    (
        "faults",
        "[faults]\nallow = [\"net.delay\", \"dns.*\"]",
        &[],
        "net.blackhole",
        &["--allow-fault", "net.blackhole"],
    ),
    (
        "hours",
        "[hours]\nfrom = \"00:00\"\nuntil = \"00:01\"\ndays = [\"DAY\"]",
        &[],
        "local time",
        &["--allow-outside-hours"],
    ),
    (
        "protected",
        "[protected]\nprocesses = [\"victim\"]",
        &[],
        "victim",
        &["--allow-protected", "victim"],
    ),
];

pub(crate) fn cases() -> Vec<Case> {
    let case =
        |name: &str, run: fn() -> Result<()>| Case::new(format!("policy::{name}"), INJECTOR, run);
    let limits = LIMITS.iter().map(|(name, config, more, word, lift)| {
        Case::new(format!("policy::limit_of_{name}"), INJECTOR, move || {
            refuses(config, more, word, lift)
        })
    });
    let mut cases = vec![
        case("limit_of_experiments", many_experiments),
        case("limit_of_experiments_in_a_rush", rush),
        case("limit_of_the_hit_rate", hit_rate),
        case("limit_of_the_hit_rate_of_signals", signal_rate),
        case("a_broken_configuration_arms_nothing", broken_configuration),
        case("the_daemon_has_two_gates", two_gates),
        case("an_override_is_on_record", override_on_record),
        case("halt_ends_a_run_in_the_foreground", halt_foreground),
        case("halt_ends_a_run_of_the_daemon", halt_daemon),
        case("a_file_made_by_hand_halts", halt_by_hand),
        case("an_audit_reads_a_damaged_journal", damaged_journal),
        case("sweep_restores_after_a_double_kill", leftovers::double_kill),
        case("sweep_takes_only_what_is_dead", leftovers::sweep_files),
        case(
            "sweep_restores_what_a_former_version_left",
            leftovers::of_a_former_version,
        ),
        case("a_dry_run_touches_nothing", dry_run),
    ];
    cases.extend(limits);
    cases
}

fn is_refused(finished: &Finished, word: &str) -> Result<()> {
    ensure!(
        finished.code == Some(3),
        "not refused as unsafe: {finished:?}"
    );
    ensure!(finished.stderr.contains(word), "no `{word}`: {finished:?}");
    Ok(())
}

/// Three letters of a day that is neither today nor yesterday, in any time zone.
fn a_day_far_off() -> Result<&'static str> {
    let days = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    // 1970 began on a Thursday.
    let today = usize::try_from(since.as_secs() / 86_400)? % 7;
    Ok(days[(today + 3) % 7])
}

/// The limit refuses, nothing is attached, a dry run says so; with its override the run takes place.
fn refuses(config: &str, more: &[&str], word: &str, lift: &[&str]) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victims = [
        Victim::start(lab.agent(), &["sleep"])?,
        Victim::start(lab.agent(), &["sleep"])?,
    ];
    let pids = victims.each_ref().map(|victim| victim.pid().to_string());
    let injector = Injector::configured(&config.replace("DAY", a_day_far_off()?))?;
    let target = ["--pid", &pids[0], "--pid", &pids[1], "--duration", "1100ms"];
    let asked = [&CUT[..], &target, more].concat();
    let before = Snapshot::take()?;
    is_refused(&injector.once(&asked)?, word)?;
    let residue = before.residue(&Snapshot::take()?);
    ensure!(residue.is_empty(), "attached nevertheless: {residue:?}");
    ensure!(
        !injector.state().join("runs").exists(),
        "a run was begun nevertheless"
    );
    let rehearsed = injector.once(&[&asked[..], &["--dry-run"]].concat())?;
    ensure!(
        rehearsed.code == Some(0) && rehearsed.stdout.contains(word),
        "{rehearsed:?}"
    );
    let strict = injector.once(&[&asked[..], &["--dry-run", "--strict"]].concat())?;
    ensure!(strict.code == Some(3), "{strict:?}");
    let lifted = injector.once(&[&asked[..], lift].concat())?;
    ensure!(
        lifted.code == Some(0),
        "{} did not lift it: {lifted:?}",
        lift[0]
    );
    Ok(())
}

fn many_experiments() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.bystander(), &["sleep"])?;
    let pid = victim.pid().to_string();
    let other = ["--pid", &pid, "--duration", "1s"];
    let injector = Injector::configured("[limits]\nmax_experiments = 1")?;
    let armed = lab.arm(&injector, &CUT)?;
    let second = [&CUT[..], &other].concat();
    is_refused(&injector.once(&second)?, "max_experiments")?;
    armed.report()?;
    Ok(())
}

/// However many start in the same moment, one of them finds room for one.
fn rush() -> Result<()> {
    const STARTS: usize = 6;
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.bystander(), &["sleep"])?;
    let pid = victim.pid().to_string();
    let injector = Injector::configured("[limits]\nmax_experiments = 1")?;
    let words = [&CUT[..], &["--pid", &pid, "--duration", "60s"]].concat();
    let mut starts = (0..STARTS)
        .map(|_| injector.start_here(&words))
        .collect::<Result<Vec<_>>>()?;
    eventually("all but one to be refused", Duration::from_secs(30), || {
        let mut running = 0;
        for start in &mut starts {
            running += usize::from(start.is_running()?);
        }
        Ok((running == 1).then_some(()))
    })?;
    let mut stopped = 0;
    for mut start in starts {
        if start.is_running()? {
            start.signal(Signal::INT)?;
            ensure!(
                start.wait()?.code == Some(0),
                "the one that was let in failed"
            );
            stopped += 1;
        } else {
            is_refused(&start.wait()?, "max_experiments")?;
        }
    }
    ensure!(stopped == 1, "{stopped} of {STARTS} were let in");
    Ok(())
}

/// Watched, not exact: the run is halted soon after it hits too fast.
fn hit_rate() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpFlow.serve(&mut lab)?;
    let mut agent = Probe::UdpFlow.observe(lab.agent(), server)?;
    // The flow sends 400 datagrams as fast as it can.
    let injector = Injector::configured("[limits]\nmax_hit_rate = 100")?;
    let armed = lab.arm(&injector, &CUT)?;
    agent.look()?;
    let finished = armed.wait_within(Duration::from_secs(10))?;
    let report = finished.report()?;
    ensure!(report.outcome == "halted", "{report:?}");
    ensure!(finished.stdout.contains("max_hit_rate"), "{finished:?}");
    ensure!(finished.code == Some(1), "{finished:?}");
    agent.expect_calm("the target, after the halt,")
}

/// What the injector does itself counts as well as what programs do.
fn signal_rate() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let _agents: Vec<Victim> = (0..8)
        .map(|_| Victim::start(lab.agent(), &["beat", "--wait"]))
        .collect::<Result<_>>()?;
    let injector = Injector::configured("[limits]\nmax_hit_rate = 20")?;
    let words = ["proc", "kill", "--signal", "SIGUSR1", "--interval", "50ms"];
    let armed = lab.arm(&injector, &words)?;
    let finished = armed.wait_within(Duration::from_secs(10))?;
    let report = finished.report()?;
    ensure!(report.outcome == "halted", "{report:?}");
    ensure!(finished.stdout.contains("max_hit_rate"), "{finished:?}");
    Ok(())
}

fn broken_configuration() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let pid = victim.pid().to_string();
    let injector = Injector::configured("[limits]\nmax_hitz = 1\n")?;
    let asked = [&CUT[..], &["--pid", &pid, "--duration", "1s"]].concat();
    let finished = injector.once(&asked)?;
    ensure!(finished.code == Some(2), "{finished:?}");
    ensure!(
        finished.stderr.contains("injector.toml:2:1"),
        "{finished:?}"
    );
    ensure!(finished.stderr.contains("max_hitz"), "{finished:?}");
    Ok(())
}

fn two_gates() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let victim = Victim::start(lab.agent(), &["sleep"])?;
    let pid = victim.pid().to_string();
    let injector = Injector::configured("")?;
    is_refused(&injector.once(&["daemon"])?, "not enabled")?;
    injector.configure("[daemon]\nenabled = true")?;
    let daemon = injector.start_daemon()?;
    let asked = [&CUT[..], &["--pid", &pid, "--duration", "500ms"]].concat();
    let lifted = [&asked[..], &["--allow-protected", "x", "--allow-long"]].concat();
    is_refused(&injector.once(&asked)?, "allow")?;
    is_refused(&injector.once(&lifted)?, "allow")?;
    // The next run reads the file anew.
    injector.configure("[daemon]\nenabled = true\nallow = [\"/injector-tests-0\"]")?;
    is_refused(&injector.once(&asked)?, "allow")?;
    injector.configure("[daemon]\nenabled = true\nallow = [\"/\"]")?;
    let allowed = injector.once(&asked)?;
    ensure!(allowed.code == Some(0), "{allowed:?}");
    injector.configure("[daemon]\nallow = [\"/\"]")?;
    is_refused(&injector.once(&asked)?, "not enabled")?;
    daemon.interrupt()?;
    Ok(())
}

fn audit(injector: &Injector, more: &[&str]) -> Result<Value> {
    let said = injector.once(&[&["audit", "--json"], more].concat())?;
    ensure!(said.code == Some(0), "{said:?}");
    serde_json::from_str(&said.stdout).with_context(|| said.stdout.clone())
}

/// The types of a run's records, in order.
fn types(run: &Value) -> Vec<&str> {
    let records = run["records"].as_array().into_iter().flatten();
    records
        .filter_map(|stamped| stamped["record"]["type"].as_str())
        .collect()
}

fn override_on_record() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::configured("[limits]\nmax_duration = \"1s\"")?;
    let flags = ["--allow-long", "--allow-outside-hours"];
    let armed = lab.arm(&injector, &[&CUT[..], &flags].concat())?;
    let supervisor = armed.pid();
    let id = id_of_only_run(&injector)?;
    armed.report()?;
    let audit = audit(&injector, &[&id, "--since", "1h"])?;
    let run = &audit["runs"][0];
    ensure!(
        types(run)
            == [
                "started",
                "overridden",
                "overridden",
                "planned",
                "armed",
                "step-started",
                "step-ended",
                "ended"
            ],
        "{run}"
    );
    let lifted = &run["records"][1]["record"];
    ensure!(lifted["limit"] == "long", "{lifted}");
    ensure!(
        lifted["by_uid"] == 0 && lifted["by_pid"] == supervisor,
        "{lifted}"
    );
    ensure!(
        lifted["lifted"]
            .as_str()
            .is_some_and(|what| what.contains("max_duration")),
        "{lifted}"
    );
    let idle = &run["records"][2]["record"];
    ensure!(
        idle["limit"] == "outside-hours" && idle["lifted"].is_null(),
        "{idle}"
    );
    let text = injector.once(&["audit", &id])?;
    for word in ["--allow-long", "user 0", "-redirect", "seen 0", "radius"] {
        ensure!(text.stdout.contains(word), "no {word} in {}", text.stdout);
    }
    Ok(())
}

/// Halts, and looks at everything that follows from it.
fn halted(injector: &Injector, lab: &Lab) -> Result<()> {
    let halt = injector.once(&["halt", "--reason", "smoke in room 5"])?;
    ensure!(halt.code == Some(0), "{halt:?}");
    ensure!(halt.stdout.contains("1 run has ended"), "{halt:?}");
    let victim = Victim::start(lab.bystander(), &["sleep"])?;
    let pid = victim.pid().to_string();
    let another = [&CUT[..], &["--pid", &pid, "--duration", "300ms"]].concat();
    is_refused(&injector.once(&another)?, "smoke in room 5")?;
    let rehearsed = injector.once(&[&another[..], &["--dry-run", "--strict"]].concat())?;
    ensure!(rehearsed.code == Some(3), "{rehearsed:?}");
    let status = injector.once(&["status"])?;
    for word in ["halted by user 0", "smoke in room 5", "since 2"] {
        ensure!(status.stdout.contains(word), "{status:?}");
    }
    let swept = injector.once(&["sweep"])?;
    ensure!(
        swept.code == Some(0) && swept.stdout.contains("left alone"),
        "{swept:?}"
    );
    let resumed = injector.once(&["resume"])?;
    ensure!(resumed.code == Some(0), "{resumed:?}");
    let again = injector.once(&another)?;
    ensure!(again.code == Some(0), "not resumed: {again:?}");
    let audit = audit(injector, &[])?;
    ensure!(types(&audit["lever"]) == ["halted", "resumed"], "{audit}");
    Ok(())
}

fn halt_foreground() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &CUT)?;
    ensure!(agent.look()?.ok == 0, "the fault is not there");
    halted(&injector, &lab)?;
    agent.expect_calm("the target, after halt,")?;
    let finished = armed.wait_within(Duration::from_secs(5))?;
    ensure!(finished.code == Some(1), "{finished:?}");
    ensure!(finished.report()?.outcome == "halted", "{finished:?}");
    ensure!(finished.stdout.contains("smoke in room 5"), "{finished:?}");
    Ok(())
}

fn halt_daemon() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let injector = Injector::new()?;
    let daemon = injector.start_daemon()?;
    let armed = lab.arm(&injector, &CUT)?;
    ensure!(agent.look()?.ok == 0, "the fault is not there");
    halted(&injector, &lab)?;
    agent.expect_calm("the target, after halt,")?;
    let finished = armed.wait_within(Duration::from_secs(5))?;
    ensure!(finished.report()?.outcome == "halted", "{finished:?}");
    daemon.interrupt()?;
    Ok(())
}

/// No command of ours, no socket, no content: the file is enough.
fn halt_by_hand() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &DELAY)?;
    fs::write(injector.state().join("runs/halt"), "")?;
    let finished = armed.wait_within(Duration::from_secs(5))?;
    ensure!(finished.report()?.outcome == "halted", "{finished:?}");
    let again = [&CUT[..], &["--pid", "1", "--duration", "1s"]].concat();
    is_refused(&injector.once(&again)?, "injector resume")
}

fn damaged_journal() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let injector = Injector::new()?;
    let armed = lab.arm(&injector, &CUT)?;
    let id = id_of_only_run(&injector)?;
    armed.report()?;
    let path = injector.state().join(format!("runs/{id}.jsonl"));
    let whole = fs::read_to_string(&path)?;
    let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    lines[1] = lines[1].replace("blackhole", "blackhold");
    let last = lines.len() - 1;
    let half = lines[last].len() / 2;
    lines[last].truncate(half);
    fs::write(&path, lines.join("\n"))?;
    let found = audit(&injector, &[&id])?;
    let damaged = found["runs"][0]["damaged"]
        .as_array()
        .context("no damage")?;
    let numbers: Vec<_> = damaged
        .iter()
        .filter_map(|line| line["line"].as_u64())
        .collect();
    ensure!(
        numbers.contains(&2) && numbers.contains(&(last as u64 + 1)),
        "{damaged:?}"
    );
    let text = injector.once(&["audit"])?;
    ensure!(text.code == Some(0), "{text:?}");
    ensure!(text.stdout.contains(&format!("{id}.jsonl:2: ")), "{text:?}");
    Ok(())
}

fn dry_run() -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let _first = Victim::start(lab.agent(), &["sleep"])?;
    let cgroup = lab.cgroups.agent.path().to_string_lossy().into_owned();
    let injector = Injector::new()?;
    let before = Snapshot::take()?;
    let asked = [
        &DELAY[..],
        &["--cgroup", &cgroup, "--duration", "7s", "--dry-run"],
    ]
    .concat();
    let text = injector.once(&asked)?;
    ensure!(text.code == Some(0), "{text:?}");
    for word in [
        "1 process",
        "100% of cgroup /",
        "net.delay",
        "1000000 hits",
        "at most 7s",
    ] {
        ensure!(text.stdout.contains(word), "no `{word}` in {}", text.stdout);
    }
    let json = injector.once(&[&asked[..], &["--json"]].concat())?;
    let told: Value = serde_json::from_str(&json.stdout)?;
    ensure!(told["radius"]["processes"] == 1, "{told}");
    ensure!(told["radius"]["max_hits"] == 1_000_000, "{told}");
    ensure!(told["refusal"].is_null(), "{told}");
    // What it probed with is gone when the kernel has freed it, some 40 ms after its end.
    before.assert_same()?;
    ensure!(
        !injector.state().join("runs").exists(),
        "it began a journal"
    );
    Ok(())
}
