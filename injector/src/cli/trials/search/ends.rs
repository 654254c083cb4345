//! The two ends of a search, held against the file before anything is run.

use crate::cli::experiment_file::ExperimentFile;
use injector_record::search::Scale;
use injector_spec::{
    error::Refusal,
    experiment::{Amount, Experiment, Parameter, Values, Varied},
    printable,
};

/// What is between the two ends, and what it is a value of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// From the mildest to the harshest.
    pub(super) scale: Scale,
    /// The parameter with its fault, as in `net.delay latency`.
    pub(super) what: String,
    /// The experiment's name.
    pub(super) name: String,
}

impl Ends {
    /// Refuses ends that no value of the parameter can have. `read` reads the file with these values.
    pub(super) fn check(
        file: &ExperimentFile,
        read: &dyn Fn(&Values) -> Result<Experiment, Refusal>,
        (varied, values): (&Varied, &Values),
        [from, to]: [Amount; 2],
    ) -> Result<Self, Refusal> {
        let scale = Scale::new(from, to).map_err(|error| Refusal::usage(error.to_string()))?;
        let (known, what) = match varied {
            Varied::Parameter(path) => {
                // What is wrong with the file is told first, by its line.
                let experiment = read(values)?;
                judged(&experiment)?;
                let found = file.find(path, values)?;
                let what = format!("{} {}", found.fault, path.parameter);
                (Some(found.value), what)
            }
            Varied::Variable(name) => (None, format!("variable {name}")),
        };
        if let Some(known) = known.filter(|known| !known.is_like(from)) {
            return Err(Refusal::usage(format!(
                "`{varied}` is {}, and `--from {from}` is {}; write --from and --to in its unit",
                known.kind(),
                from.kind()
            )));
        }
        let low = read(&values.with(varied.at(from)))?;
        let high = read(&values.with(varied.at(to)))?;
        judged(&low)?;
        let what = match varied {
            Varied::Parameter(_) => what,
            Varied::Variable(name) => moved([&low, &high], [from, to])
                .ok_or_else(|| Refusal::usage(moves_nothing(name)))?,
        };
        Ok(Self {
            scale,
            what,
            name: low.name,
        })
    }
}

/// Refuses an experiment whose runs have no verdict.
fn judged(experiment: &Experiment) -> Result<(), Refusal> {
    if experiment.steady_state.is_some() {
        return Ok(());
    }
    Err(Refusal::usage(format!(
        "the experiment `{}` has no steady state, so no value could break it; give it `probes` and `steady-state`",
        printable::line(&experiment.name)
    )))
}

/// The parameter that has the two values in the two experiments, with its fault.
fn moved(experiments: [&Experiment; 2], ends: [Amount; 2]) -> Option<String> {
    let [low, high] = experiments.map(|experiment| experiment.faults().map(|(_, fault)| fault));
    low.zip(high).find_map(|(low, high)| {
        let has_both = |parameter: &Parameter| {
            let values = [low.amount(*parameter), high.amount(*parameter)];
            values == ends.map(Ok)
        };
        let parameter = Parameter::ALL.into_iter().find(has_both)?;
        Some(format!("{} {parameter}", low.kind.name()))
    })
}

fn moves_nothing(name: &str) -> String {
    format!(
        "the variable `{name}` is the whole value of no time, share or rate of a fault, so a search cannot vary it; \
         write `${{{name}}}` as one, as in `latency: '${{{name}}}'`, or name the parameter by its path, as in \
         `steps[0].latency`"
    )
}
