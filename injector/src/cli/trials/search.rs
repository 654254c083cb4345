//! `injector search FILE`: the smallest value of one parameter that breaks the hypothesis.
//!
//! What to try next, and what all tries say, is [`injector_record::search`]'s; here it is asked for, run and told.

mod card;
mod ends;
mod replay;
#[cfg(test)]
mod tests;
mod told;

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use super::{ASKED_TO_END, Runs, Times, row};
use crate::cli::{self, Rehearsal, arm, experiment_file::ExperimentFile, flags::ArmingFlags};
use ends::Ends;
use injector_api::{Client, socket_path};
use injector_engine::{
    preflight, tell,
    trial::{Asked, Wish},
    worker::Output,
};
use injector_plan::policy::Override;
use injector_record::{
    search::{Answer, Next, Over, Rules, Search, Within},
    trials::Trial,
};
use injector_spec::{
    config::Source,
    error::{Exit, Refusal},
    experiment::{Amount, Experiment, Selector, Setting, Values, Varied},
    grammar::TargetFlags,
};
use told::{Made, Told};

/// `injector search`.
#[derive(Args, Debug)]
pub(crate) struct SearchFlags {
    /// The experiment, which has a steady state; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What is varied: `steps[0].latency` (steps of the file, from 0), `steps[0].net.delay.latency`,
    /// `steps[1].faults[0].latency`, or a variable as in `$latency`
    #[arg(long, value_name = "PATH", help_heading = "Search")]
    parameter: Varied,
    /// The smallest value
    #[arg(long, value_name = "VALUE", help_heading = "Search")]
    from: Amount,
    /// The greatest value
    #[arg(long, value_name = "VALUE", help_heading = "Search")]
    to: Amount,
    /// How near the answer has to be: the factor between what holds and what breaks; of shares, and from zero on, the
    /// part of the whole distance
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "5%",
        help_heading = "Search"
    )]
    within: Within,
    /// Runs at each value; it breaks where more than half of them do
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Search")]
    repeat: Times,
    /// Runs altogether at most
    #[arg(long, value_name = "N", default_value = "40", help_heading = "Search")]
    max_runs: Times,
    /// Replaces the selector of the experiment's only target
    #[command(flatten)]
    target: TargetFlags,
    /// Give a variable another value, as in `port=80`, or a parameter by its path; repeatable
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Variables")]
    set: Vec<Setting>,
    /// Take the values of this profile of the file
    #[arg(long, value_name = "NAME", help_heading = "Variables")]
    profile: Option<String>,
    #[command(flatten)]
    arming: ArmingFlags,
}

/// A search that is asked for, its two ends checked as far as that goes without this host.
#[derive(Debug)]
pub struct Wanted {
    file: ExperimentFile,
    selector: Option<Selector>,
    values: Values,
    varied: Varied,
    ends: Ends,
    rules: Rules,
    /// What random picks without a seed are drawn from, so that all values are tried on the same processes.
    pick_seed: u64,
    /// The command line, of which the command that repeats a value is made.
    words: Vec<OsString>,
    arming: ArmingFlags,
    overrides: Vec<Override>,
    config: Source,
    output: Output,
}

impl Wanted {
    /// Reads all that is asked for, and refuses what could be no search on any host.
    pub(crate) fn read(
        flags: SearchFlags,
        config: Source,
        words: &[OsString],
    ) -> Result<Self, Refusal> {
        let SearchFlags {
            file,
            parameter,
            from,
            to,
            within,
            repeat,
            max_runs,
            target,
            set,
            profile,
            arming,
        } = flags;
        let values = Values {
            profile,
            settings: set,
            ..Values::default()
        };
        let rules = Rules {
            within,
            repeat: repeat.get(),
            most_runs: max_runs.get(),
        };
        let file = ExperimentFile::open(&file)?;
        let selector = target.selector();
        let read = |values: &Values| file.armed(selector.clone(), values, &arming);
        let ends = Ends::check(&file, &read, (&parameter, &values), [from, to])?;
        if rules.most_runs < 2 * rules.repeat {
            return Err(Refusal::usage(format!(
                "--max-runs {} is too few for --repeat {}: the two ends alone take {} runs; allow more, or repeat less",
                rules.most_runs,
                rules.repeat,
                2 * rules.repeat
            )));
        }
        Ok(Self {
            selector,
            values,
            varied: parameter,
            ends,
            rules,
            pick_seed: preflight::any_number(),
            words: words.to_vec(),
            overrides: arming.overrides(),
            config,
            output: arming.output(),
            arming,
            file,
        })
    }

    /// The experiment with this value.
    fn at(&self, value: Amount) -> Result<Experiment, Refusal> {
        let values = self.values.with(self.varied.at(value));
        let selector = self.selector.clone();
        let mut experiment = self.file.armed(selector, &values, &self.arming)?;
        experiment.seed_picks(self.pick_seed);
        Ok(experiment)
    }

    /// The refusal that a run with one of the two ends would meet now, with that end; the harshest is asked first. What
    /// a daemon will say to a caller who is not root, this process cannot see: there each run is judged by itself.
    fn refused_end(&self) -> Result<Option<(Amount, Refusal)>, Refusal> {
        let is_guest = !rustix::process::getuid().is_root();
        if is_guest && self.arming.rehearsal() == Rehearsal::No {
            let daemon = cli::runtime()?.block_on(Client::connect(&socket_path()))?;
            if daemon.is_some() {
                return Ok(None);
            }
        }
        let terms = arm::terms(self.overrides.clone(), self.config.clone());
        let scale = self.ends.scale;
        for value in [scale.harshest(), scale.mildest()] {
            let refusal = match preflight::dry_run(&self.at(value)?, &terms) {
                Ok(dry_run) => dry_run.refusal,
                Err(refusal) => Some(refusal),
            };
            if let Some(refusal) = refusal {
                return Ok(Some((value, refusal)));
            }
        }
        Ok(None)
    }
}

/// Makes the search and says what came of it.
pub fn search(wanted: &Wanted) -> Result<Exit, Refusal> {
    let refused = wanted.refused_end()?;
    let rehearsal = wanted.arming.rehearsal();
    if rehearsal != Rehearsal::No {
        return Ok(rehearse(wanted, refused, rehearsal));
    }
    if let Some((value, refusal)) = refused {
        return Err(Refusal {
            message: format!("with {} = {value}: {}", wanted.varied, refusal.message),
            ..refusal
        });
    }
    let made = run(wanted)?;
    let told = Told::of(wanted, &made);
    match (wanted.output, told.refusal()) {
        (Output::Json, refusal) => {
            tell::json(&told);
            if let Some(refusal) = refusal {
                tell::aside(refusal.message);
            }
        }
        (Output::Text, Some(refusal)) => return Err(refusal),
        (Output::Text, None) => tell::page(card::card(&told)),
    }
    Ok(made.exit())
}

fn run(wanted: &Wanted) -> Result<Made, Refusal> {
    let rules = wanted.rules;
    let mut search = Search::new(wanted.ends.scale, rules);
    let expected = search.most_values().saturating_mul(rules.repeat);
    if expected > rules.most_runs {
        tell::aside(format!(
            "injector: to find the value may take {expected} runs, and --max-runs is {}; it ends there",
            rules.most_runs
        ));
    }
    let mut runs = Runs::begin(&wanted.config, expected.min(rules.most_runs))?;
    let mut trials: Vec<(Amount, Trial)> = Vec::new();
    let ended = loop {
        let value = match search.next() {
            Next::Run(value) => value,
            Next::Over(_) => break None,
        };
        if runs.maker.wish() == Wish::End {
            break Some(ASKED_TO_END.to_owned());
        }
        let asked = Asked {
            experiment: wanted.at(value)?,
            overrides: wanted.overrides.clone(),
        };
        let name = value.to_string();
        let trial = runs.one(&asked, &name);
        if wanted.output == Output::Text {
            runs.progress.aside(|| tell::page(row::row(&name, &trial)));
        }
        let answer = Answer::of(&trial);
        trials.push((value, trial));
        match answer {
            Ok(answer) => search.told(value, answer),
            Err(why) => break Some(why),
        }
    };
    Ok(Made {
        search,
        trials,
        ended,
    })
}

/// Asks whether runs with both ends could start now.
fn rehearse(wanted: &Wanted, refused: Option<(Amount, Refusal)>, rehearsal: Rehearsal) -> Exit {
    let exit = match rehearsal {
        Rehearsal::StrictDryRun if refused.is_some() => Exit::Unsafe,
        Rehearsal::No | Rehearsal::DryRun | Rehearsal::StrictDryRun => Exit::Done,
    };
    let (value, refusal) = refused.unzip();
    let most_runs = Search::new(wanted.ends.scale, wanted.rules)
        .most_values()
        .saturating_mul(wanted.rules.repeat)
        .min(wanted.rules.most_runs);
    match wanted.output {
        Output::Json => tell::json(&told::Rehearsed {
            value,
            refusal,
            most_runs,
        }),
        Output::Text => match value.zip(refusal) {
            Some((value, refusal)) => tell::result(format!(
                "with {} = {value} a run would be refused now: {refusal}",
                wanted.varied
            )),
            None => tell::result(format!(
                "a search could start now, and takes about {most_runs} runs at most; nothing was touched"
            )),
        },
    }
    exit
}

impl Made {
    /// 0 only where it was found.
    fn exit(&self) -> Exit {
        match (&self.ended, self.search.next()) {
            (Some(_), _) => match self.trials.last() {
                Some((_, Trial::Refused(refusal))) => refusal.exit,
                Some((_, Trial::Ran(_))) | None => Exit::Failed,
            },
            (None, Next::Over(Over::Found)) => Exit::Done,
            (None, Next::Over(Over::NothingBreaks | Over::EverythingBreaks)) => Exit::Usage,
            (None, Next::Over(Over::Inconclusive | Over::OutOfRuns) | Next::Run(_)) => {
                Exit::Inconclusive
            }
        }
    }
}
