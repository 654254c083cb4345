//! What of a file is given another value from outside: a parameter of a fault by its path, or a variable.
//!
//! ```text
//! steps[0].latency             of the only fault of the step that has it
//! steps[0].net.delay.latency   of the step's fault by this name
//! steps[1].faults[0].latency   of the fault in this place
//! $latency                     a variable of the file
//! ```
//! Steps and faults are those of the file, counted from 0: the quiet times that `baseline` and `recovery` add are none
//! of them. In a file without `steps`, step 0 is the file itself.

use std::{fmt, str::FromStr};

use super::{Amount, Assignment, HeadError, file::StageChoice};
use crate::printable;

/// Where a parameter of a fault stands in a file. Displays and parses as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterPath {
    /// The step, from 0.
    pub step: usize,
    /// Which of its faults.
    pub fault: WhichFault,
    /// The parameter, as files call it.
    pub parameter: String,
}

/// A fault of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichFault {
    /// The only one that has the parameter.
    Only,
    /// The only one with this name, as in `net.delay`.
    Named(String),
    /// The one in this place, from 0.
    At(usize),
}

/// What is given other values, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Varied {
    /// A parameter of a fault.
    Parameter(ParameterPath),
    /// A variable of the file.
    Variable(String),
}

/// A value from outside the file, as `--set` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Of a variable.
    Variable(Assignment),
    /// Of a parameter of a fault.
    Parameter(ParameterPath, String),
}

/// All that is said of a file's values beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// The profile that is taken.
    pub profile: Option<String>,
    /// The stage as which a file is read that has stages.
    pub stage: Option<String>,
    /// Who answers for a run of that stage.
    pub approved_by: Option<String>,
    /// Settings in their order; of two for the same thing the last one counts.
    pub settings: Vec<Setting>,
}

impl Values {
    /// The same with one more setting, which counts before all others.
    #[must_use]
    pub fn with(&self, setting: Setting) -> Self {
        let mut values = self.clone();
        values.settings.push(setting);
        values
    }

    /// The stage that is asked for.
    pub fn stage_choice(&self) -> Option<StageChoice<'_>> {
        self.stage.as_deref().map(|name| StageChoice {
            name,
            approved_by: self.approved_by.as_deref(),
        })
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.profile.is_none() && self.stage.is_none() && self.settings.is_empty()
    }

    /// The settings of variables, and those of parameters.
    pub fn sorted(&self) -> (Vec<Assignment>, Vec<(ParameterPath, String)>) {
        let (mut sets, mut parameters) = (Vec::new(), Vec::new());
        for setting in &self.settings {
            match setting.clone() {
                Setting::Variable(assignment) => sets.push(assignment),
                Setting::Parameter(path, value) => parameters.push((path, value)),
            }
        }
        (sets, parameters)
    }
}

/// Why a text names nothing that can have another value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it all")]
pub enum VariedError {
    #[error(
        "`{0}` is no path of a parameter; write the step, counted from 0, and the parameter, as in \
         `steps[0].latency` or `steps[0].net.delay.latency`, or a variable as in `$latency`"
    )]
    Path(String),
    #[error(transparent)]
    Variable(#[from] HeadError),
}

/// What begins every path.
const STEPS: &str = "steps[";

/// What begins the place of a fault.
const FAULTS: &str = "faults[";

impl FromStr for ParameterPath {
    type Err = VariedError;

    fn from_str(text: &str) -> Result<Self, VariedError> {
        Self::read(text).ok_or_else(|| VariedError::Path(shown(text)))
    }
}

impl ParameterPath {
    fn read(text: &str) -> Option<Self> {
        let (step, rest) = place(text.strip_prefix(STEPS)?)?;
        let (fault, parameter) = if let Some(rest) = rest.strip_prefix(FAULTS) {
            let (place, parameter) = place(rest)?;
            (WhichFault::At(place), parameter)
        } else if let Some((name, parameter)) = rest.rsplit_once('.') {
            let is_named = name.split('.').all(is_word);
            is_named.then(|| (WhichFault::Named(name.to_owned()), parameter))?
        } else {
            (WhichFault::Only, rest)
        };
        is_word(parameter).then(|| Self {
            step,
            fault,
            parameter: parameter.to_owned(),
        })
    }
}

/// `0].rest` in two.
fn place(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.split_once("].")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some((number.parse().ok()?, rest)))?
}

fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_part)
}

impl fmt::Display for ParameterPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            fault,
            parameter,
        } = self;
        write!(out, "{STEPS}{step}].")?;
        match fault {
            WhichFault::Only => {}
            WhichFault::Named(name) => write!(out, "{name}.")?,
            WhichFault::At(place) => write!(out, "{FAULTS}{place}].")?,
        }
        out.write_str(parameter)
    }
}

impl FromStr for Varied {
    type Err = VariedError;

    fn from_str(text: &str) -> Result<Self, VariedError> {
        let braced = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        let name = braced
            .or_else(|| text.strip_prefix('$'))
            .or_else(|| text.strip_prefix("variables."));
        match name {
            Some(name) => {
                super::head::check_variable(name, "")?;
                Ok(Self::Variable(name.to_owned()))
            }
            None => text.parse().map(Self::Parameter),
        }
    }
}

impl fmt::Display for Varied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(path) => path.fmt(out),
            Self::Variable(name) => write!(out, "${name}"),
        }
    }
}

impl Varied {
    /// The setting that gives it this value.
    pub fn at(&self, value: Amount) -> Setting {
        match self {
            Self::Parameter(path) => Setting::Parameter(path.clone(), value.to_string()),
            Self::Variable(name) => Setting::Variable(Assignment {
                name: name.clone(),
                value: value.to_string(),
            }),
        }
    }
}

impl FromStr for Setting {
    type Err = VariedError;

    /// No name of a variable has a bracket, so a path is none.
    fn from_str(text: &str) -> Result<Self, VariedError> {
        match text.split_once('=') {
            Some((path, value)) if path.starts_with(STEPS) => {
                Ok(Self::Parameter(path.parse()?, value.to_owned()))
            }
            _ => Ok(Self::Variable(text.parse()?)),
        }
    }
}

/// `name=value`.
impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(Assignment { name, value }) => write!(out, "{name}={value}"),
            Self::Parameter(path, value) => write!(out, "{path}={value}"),
        }
    }
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(super::LONGEST_NAME).collect();
    printable::line(&short).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_written_as_they_are_read() {
        for text in [
            "steps[0].latency",
            "steps[12].net.delay.at-most",
            "steps[1].faults[0].percent",
        ] {
            assert_eq!(text.parse::<ParameterPath>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "latency",
            "steps.latency",
            "steps[].latency",
            "steps[+1].latency",
            "steps[0]latency",
            "steps[0].",
            "steps[0].faults[x].latency",
            "steps[0].net..latency",
            "steps[99999999999999999999].latency",
        ] {
            let said = text.parse::<Varied>().unwrap_err().to_string();
            assert!(said.contains("is no path of a parameter"), "{text}: {said}");
        }
    }

    #[test]
    fn a_variable_has_three_spellings_and_a_path_none_of_them() {
        for text in ["$slow", "${slow}", "variables.slow"] {
            assert_eq!(text.parse(), Ok(Varied::Variable("slow".into())), "{text}");
        }
        assert!("$1".parse::<Varied>().is_err());
        let variable = Assignment {
            name: "a".into(),
            value: "b=c".into(),
        };
        assert_eq!("a=b=c".parse(), Ok(Setting::Variable(variable)));
        let setting: Setting = "steps[0].latency=1s".parse().unwrap();
        assert!(matches!(&setting, Setting::Parameter(_, value) if value == "1s"));
        assert_eq!(setting.to_string(), "steps[0].latency=1s");
        assert!("steps[0]=1s".parse::<Setting>().is_err());
    }

    proptest! {
        #[test]
        fn parsing_is_total(text in "\\PC*|steps\\[[0-9]{0,3}\\]\\.[a-z.\\[\\]0-9]{0,20}") {
            if let Ok(path) = text.parse::<ParameterPath>() {
                prop_assert_eq!(path.to_string().parse::<ParameterPath>(), Ok(path));
            }
        }
    }
}
