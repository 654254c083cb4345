//! Experiment files as commands read them: once from disk or standard input, and from then on with whatever values the
//! command line gives.

use std::{
    io::{self, Read},
    path::Path,
};

use super::{flags::ArmingFlags, surroundings};
use injector_plan::Plan;
use injector_record::regular;
use injector_spec::{
    error::Refusal,
    experiment::{
        Assignment, Experiment, ParameterPath, Selector, Values,
        file::{self, FoundParameter, Reading},
    },
    printable,
};

/// More bytes than any experiment has.
const LARGEST: u64 = 8 << 20;

/// A file that was read, and not yet understood.
#[derive(Clone, Debug)]
pub(super) struct ExperimentFile {
    name: String,
    bytes: Vec<u8>,
}

impl ExperimentFile {
    /// Reads a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, Refusal> {
        let (read, path) = if path == Path::new("-") {
            (from_stdin(), Path::new(file::STDIN))
        } else {
            (regular::read(path, LARGEST), path)
        };
        let shown = printable::path(path);
        let bytes = read.map_err(|error| {
            Refusal::usage(format!(
                "the experiment {shown} cannot be read: {error}; name a file that can be, or `-` for standard input"
            ))
        })?;
        Ok(Self {
            name: path.display().to_string(),
            bytes,
        })
    }

    /// The experiment with what the command line adds to it, checked as far as that goes without this host. The
    /// selector replaces that of its only target.
    pub(super) fn armed(
        &self,
        selector: Option<Selector>,
        values: &Values,
        arming: &ArmingFlags,
    ) -> Result<Experiment, Refusal> {
        let (sets, parameters) = values.sorted();
        let reading = Reading {
            selector,
            parameters: &parameters,
            ..self.reading(&sets, values)
        };
        let mut experiment = reading.bytes(&self.bytes)?;
        experiment.halt.extend(arming.halt());
        experiment.fail_on.extend(arming.fail_on());
        if let Some(what) = arming.on_target_exit() {
            experiment.on_target_exit = what;
        }
        check(&experiment)?;
        Ok(experiment)
    }

    /// The experiment as it stands, checked as far as that goes without this host.
    pub(super) fn plain(&self, values: &Values) -> Result<Experiment, Refusal> {
        let (sets, parameters) = values.sorted();
        let reading = Reading {
            parameters: &parameters,
            ..self.reading(&sets, values)
        };
        let experiment = reading.bytes(&self.bytes)?;
        check(&experiment)?;
        Ok(experiment)
    }

    /// The parameter of a fault at this path.
    pub(super) fn find(
        &self,
        path: &ParameterPath,
        values: &Values,
    ) -> Result<FoundParameter, Refusal> {
        let (sets, _) = values.sorted();
        Ok(self.reading(&sets, values).find(&self.bytes, path)?)
    }

    fn reading<'r>(&'r self, sets: &'r [Assignment], values: &'r Values) -> Reading<'r> {
        Reading {
            name: &self.name,
            sets,
            profile: values.profile.as_deref(),
            stage: values.stage_choice(),
            surroundings: surroundings::HERE,
            ..Reading::default()
        }
    }
}

/// Refuses what could be carried out on no host at no time, so that a dry run never calls it "refused now".
pub(super) fn check(experiment: &Experiment) -> Result<(), Refusal> {
    experiment
        .check()
        .map_err(|error| Refusal::usage(error.to_string()))?;
    Ok(Plan::check(experiment)?)
}

/// All of standard input, which may be a pipe, and of which one byte too many is enough.
pub(super) fn from_stdin() -> Result<Vec<u8>, regular::OpenError> {
    let mut bytes = Vec::new();
    io::stdin().take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(regular::OpenError::TooLarge(LARGEST));
    }
    Ok(bytes)
}
