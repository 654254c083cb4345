//! `injector suite FOLDER`: every experiment of a folder, one after the other.

mod card;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use serde::Serialize;

use super::{Next, Runs, Times, row};
use crate::cli::{
    Rehearsal, arm,
    experiment_file::ExperimentFile,
    flags::{ArmingFlags, StageFlags},
    stored,
};
use injector_engine::{preflight, tell, trial::Asked, worker::Output};
use injector_plan::policy::Override;
use injector_record::{
    platform::Platform,
    regular,
    suite::{
        Conditions, FORMAT, Suite, Tried,
        compare::{self, Comparison},
        junit, markdown,
    },
};
use injector_spec::{
    config::Source,
    error::{Exit, Refusal},
    experiment::{Experiment, Setting, Values},
    grammar::TargetFlags,
    printable,
    quantity::duration::millis,
};

/// The most experiments of a folder.
const MOST: usize = 1_000;

/// More bytes than any kept suite has.
const LARGEST: u64 = 256 << 20;

/// `injector suite`.
#[derive(Args, Debug)]
pub(crate) struct SuiteFlags {
    /// The folder; its files `*.yaml` and `*.yml` are run in the order of their names
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Replaces the selector of each experiment's only target
    #[command(flatten)]
    target: TargetFlags,
    /// Make so many runs of each experiment
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Run")]
    repeat: Times,
    /// Give a variable of each experiment another value, as in `latency=1s`; repeatable
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Variables")]
    set: Vec<Setting>,
    /// Take the values of this profile of each experiment
    #[arg(long, value_name = "NAME", help_heading = "Variables")]
    profile: Option<String>,
    #[command(flatten)]
    stage: StageFlags,
    /// Compare with a result that `--output` has written; exit 1 where something got worse
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    compare: Option<PathBuf>,
    /// What the target is, as its version; scores are compared only where it agrees
    #[arg(long, value_name = "TEXT", help_heading = "Result")]
    build: Option<String>,
    /// Keep the result as JSON, for `--compare`; a file that is there is replaced
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    output: Option<PathBuf>,
    /// Write JUnit's XML, for CI systems
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    junit: Option<PathBuf>,
    /// Write Markdown, for a pull request
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    markdown: Option<PathBuf>,
    #[command(flatten)]
    arming: ArmingFlags,
}

/// A suite that is asked for.
#[derive(Debug)]
pub struct Wanted {
    folder: PathBuf,
    experiments: Vec<(String, Experiment)>,
    conditions: Conditions,
    repeat: Times,
    before: Option<Suite>,
    files: Files,
    rehearsal: Rehearsal,
    overrides: Vec<Override>,
    config: Source,
    output: Output,
}

/// Where the result goes beside standard output.
#[derive(Clone, Debug)]
struct Files {
    json: Option<PathBuf>,
    junit: Option<PathBuf>,
    markdown: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Told<'s> {
    #[serde(flatten)]
    suite: &'s Suite,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<injector_record::trials::Score>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<&'s Comparison>,
}

/// What `--dry-run --json` prints.
#[derive(Serialize)]
struct Rehearsed<'s> {
    experiments: Vec<RehearsedOne<'s>>,
}

#[derive(Serialize)]
struct RehearsedOne<'s> {
    file: &'s str,
    refusal: Option<Refusal>,
}

impl Wanted {
    /// Reads all that is asked for: a mistake in the last file is told before the first run.
    pub(crate) fn read(flags: SuiteFlags, config: Source) -> Result<Self, Refusal> {
        let SuiteFlags {
            folder,
            target,
            repeat,
            set,
            profile,
            stage: StageFlags { stage, approved_by },
            compare,
            build,
            output,
            junit,
            markdown,
            arming,
        } = flags;
        let values = Values {
            profile,
            stage,
            approved_by,
            settings: set,
        };
        let selector = target.selector();
        let mut experiments = Vec::new();
        for path in files(&folder)? {
            let file = ExperimentFile::open(&path)?;
            let experiment = file.armed(selector.clone(), &values, &arming)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            experiments.push((name.into_owned(), experiment));
        }
        Ok(Self {
            folder,
            experiments,
            conditions: Conditions {
                platform: Platform::here(),
                build,
            },
            repeat,
            before: compare.as_deref().map(earlier).transpose()?,
            files: Files {
                json: output,
                junit,
                markdown,
            },
            rehearsal: arming.rehearsal(),
            overrides: arming.overrides(),
            config,
            output: arming.output(),
        })
    }
}

/// Runs it and says what came of it.
pub fn suite(mut wanted: Wanted) -> Result<Exit, Refusal> {
    if wanted.rehearsal != Rehearsal::No {
        return Ok(rehearse(&wanted));
    }
    let (before, files, output) = (wanted.before.take(), wanted.files.clone(), wanted.output);
    let suite = run(wanted)?;
    let comparison = before.map(|before| compare::compare(&before, &suite));
    match output {
        Output::Json => tell::json(&Told {
            suite: &suite,
            score: suite.score(),
            comparison: comparison.as_ref(),
        }),
        Output::Text => tell::page(card::card(&suite, comparison.as_ref())),
    }
    files.write(&suite, comparison.as_ref())?;
    let has_regressions = comparison.is_some_and(|it| !it.regressions.is_empty());
    Ok(match suite.exit() {
        Exit::Done if has_regressions => Exit::Failed,
        exit => exit,
    })
}

fn run(wanted: Wanted) -> Result<Suite, Refusal> {
    let Wanted {
        folder,
        experiments,
        conditions,
        repeat,
        overrides,
        config,
        output,
        before: _,
        files: _,
        rehearsal: _,
    } = wanted;
    let count = experiments.len().saturating_mul(repeat.get());
    let mut runs = Runs::begin(&config, count)?;
    let mut tried: Vec<Tried> = Vec::new();
    let mut ended = None;
    let all = experiments.len();
    for (place, (file, mut experiment)) in experiments.into_iter().enumerate() {
        // The runs of an experiment pick the same processes, as far as they are there.
        experiment.seed_picks(preflight::any_number());
        let asked = Asked {
            experiment,
            overrides: overrides.clone(),
        };
        let began = Instant::now();
        let mut trials = Vec::new();
        for number in 1..=repeat.get() {
            if ended.is_some() {
                break;
            }
            let (trial, next) = runs.make(&asked, &file);
            if output == Output::Text {
                let name = match repeat.get() {
                    1 => file.clone(),
                    times => format!("{file} {number} of {times}"),
                };
                runs.progress.aside(|| tell::page(row::row(&name, &trial)));
            }
            trials.push(trial);
            let is_last = place + 1 == all && number == repeat.get();
            if let (Next::End(why), false) = (next, is_last) {
                ended = Some(format!("after `{file}`: {why}"));
            }
        }
        tried.push(Tried {
            file,
            fingerprint: asked.experiment.fingerprint(),
            name: asked.experiment.name,
            trials,
            took_ms: millis(began.elapsed()),
        });
    }
    Ok(Suite {
        format: FORMAT.to_owned(),
        folder: folder.display().to_string(),
        conditions,
        experiments: tried,
        ended,
    })
}

/// Asks for each whether a run could start now.
fn rehearse(wanted: &Wanted) -> Exit {
    let terms = arm::terms(wanted.overrides.clone(), wanted.config.clone());
    let one = |(file, experiment): &'_ (String, Experiment)| {
        let refusal = match preflight::dry_run(experiment, &terms) {
            Ok(dry_run) => dry_run.refusal,
            Err(refusal) => Some(refusal),
        };
        (file.clone(), refusal)
    };
    let rehearsed: Vec<_> = wanted.experiments.iter().map(one).collect();
    let is_refused = rehearsed.iter().any(|(_, refusal)| refusal.is_some());
    match wanted.output {
        Output::Json => tell::json(&Rehearsed {
            experiments: rehearsed
                .iter()
                .map(|(file, refusal)| RehearsedOne {
                    file,
                    refusal: refusal.clone(),
                })
                .collect(),
        }),
        Output::Text => {
            for (file, refusal) in &rehearsed {
                match refusal {
                    Some(refusal) => {
                        tell::result(format!("{file}: a run would be refused now: {refusal}"));
                    }
                    None => tell::result(format!("{file}: a run could start now")),
                }
            }
        }
    }
    match wanted.rehearsal {
        Rehearsal::StrictDryRun if is_refused => Exit::Unsafe,
        Rehearsal::No | Rehearsal::DryRun | Rehearsal::StrictDryRun => Exit::Done,
    }
}

impl Files {
    fn write(&self, suite: &Suite, comparison: Option<&Comparison>) -> Result<(), Refusal> {
        let json = serde_json::to_string(suite).map_err(|error| {
            Refusal::failed(format!("the result cannot be put into words: {error}"))
        })?;
        let texts = [
            (&self.json, json + "\n"),
            (&self.junit, junit::junit(suite)),
            (&self.markdown, markdown::markdown(suite, comparison)),
        ];
        for (path, text) in texts {
            if path.is_some() {
                stored::put("result of the suite", &text, path.as_deref())?;
            }
        }
        Ok(())
    }
}

/// The experiments of a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let shown = printable::path(folder);
    let unreadable = |error: std::io::Error| {
        Refusal::usage(format!(
            "the folder {shown} cannot be read: {error}; name one with experiments"
        ))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let extension = path.extension().unwrap_or_default();
        if extension == "yaml" || extension == "yml" {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Refusal::usage(format!(
            "the folder {shown} has no experiment: no file of it ends in .yaml or .yml; put one there"
        )));
    }
    if files.len() > MOST {
        return Err(Refusal::usage(format!(
            "the folder {shown} has {} experiments; divide it, for a suite has {MOST} at most",
            files.len()
        )));
    }
    files.sort();
    Ok(files)
}

/// A suite that was kept.
fn earlier(path: &Path) -> Result<Suite, Refusal> {
    let shown = printable::path(path);
    let refusal = |why: &dyn std::fmt::Display| {
        Refusal::usage(format!("{shown} cannot be compared with: {why}"))
    };
    let bytes = regular::read(path, LARGEST)
        .map_err(|error| refusal(&format!("{error}; name a file that `--output` has written")))?;
    Suite::parse(&bytes).map_err(|error| refusal(&error))
}
