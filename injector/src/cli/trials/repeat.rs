//! `injector run --repeat N`: the same experiment several times.

use std::{num::NonZeroUsize, str::FromStr};

use serde::Serialize;

use super::{Next, Runs, row};
use crate::cli::Arming;
use injector_engine::{
    page::{Line, Page, Role},
    preflight, tell,
    trial::Asked,
    worker::Output,
};
use injector_record::trials::{self, Trial, Trials};
use injector_spec::error::{Exit, Refusal};

/// The most runs that one command makes.
const MOST: usize = 1_000;

/// How often: 1 to [`MOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times(NonZeroUsize);

/// Why a number is none of these.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no number of runs; write one from 1 to {MOST}")]
pub struct TimesError(String);

impl FromStr for Times {
    type Err = TimesError;

    fn from_str(text: &str) -> Result<Self, TimesError> {
        text.parse()
            .ok()
            .filter(|times: &NonZeroUsize| times.get() <= MOST)
            .map(Self)
            .ok_or_else(|| TimesError(text.to_owned()))
    }
}

impl Times {
    /// As a number.
    pub const fn get(self) -> usize {
        self.0.get()
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Told<'t> {
    name: &'t str,
    #[serde(flatten)]
    together: &'t Trials,
    /// Why not all runs were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'t str>,
    trials: &'t [Trial],
}

/// Makes the runs and says what they show together.
pub fn repeat(arming: Arming, times: Times) -> Result<Exit, Refusal> {
    let Arming {
        mut experiment,
        rehearsal: _,
        overrides,
        config,
        output,
        showing: _,
    } = arming;
    // Of the same processes, as far as they are there, so that the runs can be compared.
    experiment.seed_picks(preflight::any_number());
    let asked = Asked {
        experiment,
        overrides,
    };
    let mut runs = Runs::begin(&config, times.get())?;
    let mut made = Vec::new();
    let mut ended = None;
    for number in 1..=times.get() {
        let name = format!("{number} of {}", times.get());
        let (trial, next) = runs.make(&asked, &asked.experiment.name);
        if output == Output::Text {
            runs.progress.aside(|| tell::page(row::row(&name, &trial)));
        }
        made.push(trial);
        if let Next::End(why) = next {
            ended = Some(why).filter(|_| number < times.get());
            break;
        }
    }
    drop(runs);
    let together = Trials::of(&made);
    let name = &asked.experiment.name;
    match output {
        Output::Json => tell::json(&Told {
            name,
            together: &together,
            ended: ended.as_deref(),
            trials: &made,
        }),
        Output::Text => tell::page(card(name, &together, ended.as_deref())),
    }
    Ok(match trials::exit(&made) {
        // What was asked for was not all done.
        Exit::Done if ended.is_some() => Exit::Failed,
        exit => exit,
    })
}

/// What the runs say together.
pub(super) fn card(name: &str, together: &Trials, ended: Option<&str>) -> Page {
    let mut first =
        Line::plain(format!("{name}: ")).and(Role::Strong, together.verdicts.to_string());
    if let Some(score) = &together.score {
        first = first.and(Role::Plain, format!("; score {score}"));
    }
    let indented = |text: String| Line::plain(format!("    {text}"));
    let mut page = Page::from_iter([first]);
    for probe in &together.probes {
        page.push(indented(probe.to_string()));
    }
    if let Some(proof) = &together.proof {
        page.push(indented(proof.to_string()));
    }
    if let Some(why) = ended {
        let sentence = format!("    no further run was made: {why}");
        page.push(Line::all(Role::Doubtful, sentence));
    }
    page
}
