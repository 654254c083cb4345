//! Journals of judged runs, as a run leaves them, made from one that is written by the program's own code.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};
use injector_record::event::Limits;
use injector_record::journal::{Journal, Record, RunId, unix_ms};
use injector_record::measure::{Fate, Judged, Judgement, Tally, Verdict};
use injector_record::platform::Platform;
use injector_record::report::{FaultReport, Outcome, RunReport};
use injector_spec::experiment::{Experiment, ProbeRole, file};

/// Experiments that the runs are of, in turn.
const EXPERIMENTS: u32 = 500;
/// What stands in the template for the name of an experiment.
const NAME: &str = "experiment-000000";

/// What was stored.
pub(crate) struct Stored {
    pub(crate) bytes_each: usize,
    /// Experiments that have deviated.
    pub(crate) lessons: usize,
    /// Those that have not held since.
    pub(crate) open: usize,
}

const FILE: &str = "name: experiment-000000\nhypothesis: It holds.\ntargets: { agent: { unit: agent.service } }\n\
    probes: { web: 'tcp 127.0.0.1:80 every 100ms within 100ms' }\nsteady-state: [web]\nobjectives: { rto: 5s }\n\
    steps:\n  - { name: baseline, duration: 10s }\n  - { name: slow, duration: 10s, faults: [ net.delay: { latency: \
    100ms } ] }\n  - { name: recovery, duration: 15s }\n";

/// Stores so many runs, the last of which started a second ago.
pub(crate) fn store(directory: &Path, runs: u32) -> Result<Stored> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .context("cannot make the folder of the journals")?;
    let template = [Verdict::Held, late()].map(|verdict| template(&verdict));
    let [held, deviated] = template;
    let (held, deviated) = (held?, deviated?);
    let last = unix_ms() / 1_000 - 1;
    // Whether each experiment has deviated, and whether it has held since.
    let mut known = vec![(false, false); usize::try_from(EXPERIMENTS)?];
    for number in 0..runs {
        let second = last - u64::from(runs - number);
        let run = format!("r{second:08x}{:04x}", number & 0xffff);
        let experiment = number % EXPERIMENTS;
        // Some never deviate, some always do, and the others now and then.
        let is_bad = match experiment % 3 {
            0 => false,
            1 => true,
            _ => (number / EXPERIMENTS + experiment).is_multiple_of(4),
        };
        let name = format!("experiment-{experiment:06}");
        let text = if is_bad { &deviated } else { &held };
        fs::write(
            directory.join(format!("{run}.jsonl")),
            renamed(text, &run, &name),
        )
        .context("cannot write a journal")?;
        let known = &mut known[usize::try_from(experiment)?];
        *known = (known.0 || is_bad, known.0 && !is_bad);
    }
    let lessons = known.iter().filter(|(deviated, _)| *deviated).count();
    let done = known
        .iter()
        .filter(|(deviated, held)| *deviated && *held)
        .count();
    Ok(Stored {
        bytes_each: held.len(),
        lessons,
        open: lessons - done,
    })
}

fn late() -> Verdict {
    Verdict::Deviated("`web` was bad for 7s, longer than the objective of 5s".to_owned())
}

fn id() -> Result<RunId> {
    "r000000000000".parse().context("the template's name")
}

/// The text of a journal.
fn template(verdict: &Verdict) -> Result<String> {
    let experiment: Experiment =
        file::parse(FILE, "bench.yaml", None).context("the template's experiment")?;
    let folder = tempfile::tempdir()?;
    let mut journal = Journal::create_in(folder.path(), &id()?)?;
    let report = report(&experiment, verdict)?;
    let step = || "slow".to_owned();
    for record in [
        Record::Started {
            run: id()?,
            name: NAME.to_owned(),
            by_uid: 0,
            by_pid: 1,
            login_uid: None,
            config: None,
            supervisor: None,
            platform: Some(Platform::here()),
            experiment: Box::new(experiment.clone()),
        },
        Record::Planned {
            text: "net.delay on agent".to_owned(),
            faults: experiment.describe(),
            limits: Limits::default(),
            picked: Vec::new(),
        },
        Record::Armed,
        Record::StepStarted { step: step() },
        Record::StepEnded { step: step() },
        Record::Ended { report },
    ] {
        journal.append(&record)?;
    }
    Ok(fs::read_to_string(journal.path())?)
}

fn report(experiment: &Experiment, verdict: &Verdict) -> Result<RunReport> {
    let tally = Tally {
        answers: 100,
        bad: 0,
        p50_us: 300,
        p99_us: 900,
    };
    let judged = Judged {
        name: "web".to_owned(),
        role: ProbeRole::SteadyState,
        asks: "tcp 127.0.0.1:80 every 100ms within 100ms".to_owned(),
        fate: match verdict {
            Verdict::Held => Fate::Absorbed,
            _ => Fate::Never { at_least_ms: 7_000 },
        },
        baseline: tally,
        under_fault: tally,
        recovery: tally,
        operations: None,
    };
    let placed = experiment
        .describe()
        .into_iter()
        .next()
        .context("no fault")?;
    Ok(RunReport {
        armed_for_ms: 35_000,
        faults: vec![FaultReport {
            step: placed.step,
            fault: placed.fault,
            target: placed.target,
            mechanism: "delay-line".to_owned(),
            seen: 40,
            matched: 40,
            hit: 40,
            missed: 0,
            connections: Vec::new(),
            reaction: None,
            plugins: None,
            note: None,
            described: placed.described,
        }],
        judgement: Some(Box::new(Judgement {
            rto_ms: 5_000,
            planned: 1,
            met: 1,
            probes: vec![judged],
            ..Judgement::of(verdict.clone())
        })),
        ..RunReport::of(id()?, NAME, Outcome::Completed)
    })
}

/// The template under another name, each line with the checksum that it has then.
fn renamed(template: &str, run: &str, name: &str) -> String {
    let text = template.replace("r000000000000", run).replace(NAME, name);
    let lines = text.lines().map(|line| {
        let body = line.split(",\"crc\":").next().unwrap_or_default();
        format!(
            "{body},\"crc\":\"{:08x}\"}}\n",
            crc32fast::hash(body.as_bytes())
        )
    });
    lines.collect()
}
