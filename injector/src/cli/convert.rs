//! `injector convert`: an experiment in the form of another program.

use clap::{Args, ValueEnum};

use super::experiment_file::ExperimentFile;
use injector_engine::{
    tell::{self, Stream},
    worker::Output,
};
use injector_spec::{
    error::{Exit, Refusal},
    experiment::{Document, Setting, Values},
    printable,
};

use super::flags::OutputFlags;

/// `injector convert`.
#[derive(Args, Debug)]
pub(crate) struct ConvertFlags {
    /// The experiment, of injector or of Chaos Toolkit; `-` is standard input
    #[arg(value_name = "FILE")]
    file: std::path::PathBuf,
    /// The form that is printed
    #[arg(long, value_name = "FORM")]
    to: Form,
    /// Give a variable of the file another value, as in `latency=1s`; repeatable
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Variables")]
    set: Vec<Setting>,
    /// Take the values of this profile of the file
    #[arg(long, value_name = "NAME", help_heading = "Variables")]
    profile: Option<String>,
    #[command(flatten)]
    output: OutputFlags,
}

/// A form of experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// That of injector, `injector/v1`
    Injector,
    /// That of Chaos Toolkit
    ChaosToolkit,
}

/// What is to be printed.
#[derive(Debug)]
pub struct Converting {
    document: Document,
    output: Output,
}

impl TryFrom<ConvertFlags> for Converting {
    type Error = Refusal;

    fn try_from(flags: ConvertFlags) -> Result<Self, Refusal> {
        let values = Values {
            profile: flags.profile,
            settings: flags.set,
            ..Values::default()
        };
        let experiment = ExperimentFile::open(&flags.file)?.plain(&values)?;
        Ok(match flags.to {
            Form::Injector => Self {
                document: experiment.document(&[]),
                output: flags.output.output(),
            },
            Form::ChaosToolkit => Self {
                document: experiment.chaos_toolkit().map_err(|error| {
                    Refusal::usage(format!("{}: {error}", printable::path(&flags.file)))
                })?,
                // A text that looks like a number has to stay one in whatever reads it there.
                output: Output::Json,
            },
        })
    }
}

/// Prints a document: YAML, or JSON. It is a file for a program: no line of it is wrapped, and none is coloured.
pub fn convert(converting: &Converting) -> Exit {
    let text = match converting.output {
        Output::Text => printable::lines(&converting.document.yaml()).into_owned(),
        Output::Json => {
            // What was made of texts and numbers always serialises.
            let text = serde_json::to_string_pretty(&converting.document).unwrap_or_default();
            format!("{}\n", printable::json(&text))
        }
    };
    tell::pass_on(Stream::Result, text.as_bytes());
    Exit::Done
}
