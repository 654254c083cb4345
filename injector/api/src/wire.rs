//! Requests for runs as they travel: version `injector/v1`.
//!
//! An experiment travels as its [`Document`], the same that a file has: the types of the planner, and what the journal
//! keeps, may change without a client noticing.

use serde::{Deserialize, Serialize};

use super::StartRequest;
use injector_plan::policy::Override;
use injector_spec::{
    error::Refusal,
    experiment::{
        Document, Selector, Values,
        file::{DocumentError, Reading, Surroundings},
    },
    printable,
};

/// What the experiment is called in complaints: the field that has it.
const NAME: &str = "experiment";

/// The body of a request for a run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartBody {
    /// What is to be run.
    experiment: Document,
    /// The profile of the experiment that is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    /// Limits of the host that are lifted for it; root's alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<Override>,
}

impl StartBody {
    /// The body that asks for the same. A path that is not UTF-8 is refused: JSON has no such text, and one that is
    /// nearly the same is another target.
    pub(super) fn of(asked: &StartRequest) -> Result<Self, Refusal> {
        let odd = asked.experiment.targets.iter().find_map(|target| {
            let path = match &target.selector {
                Selector::Cgroup(path) => path,
                Selector::Pids { .. }
                | Selector::Unit(_)
                | Selector::Container(_)
                | Selector::Process { .. } => return None,
            };
            path.to_str().is_none().then_some(path)
        });
        if let Some(path) = odd {
            return Err(Refusal::usage(format!(
                "the experiment cannot be sent: the path {} is not UTF-8; use one that is",
                printable::path(path)
            )));
        }
        let variables = asked.experiment.variables.as_ref();
        Ok(Self {
            experiment: asked.experiment.document(&[]),
            profile: variables.and_then(|variables| variables.profile.clone()),
            overrides: asked.overrides.clone(),
        })
    }

    /// The request, with the values that were said beside the body; a profile there counts before that of the body.
    pub(super) fn read(self, values: &Values) -> Result<StartRequest, DocumentError> {
        let (sets, parameters) = values.sorted();
        let profile = values.profile.as_deref().or(self.profile.as_deref());
        let reading = Reading {
            name: NAME,
            selector: None,
            sets: &sets,
            profile,
            // Where nothing is said, a document that this program has written has the one that was chosen.
            stage: values.stage_choice(),
            parameters: &parameters,
            // A document's own environment is that of its caller, which is not here.
            surroundings: Surroundings::default(),
        };
        Ok(StartRequest {
            experiment: reading.document(&self.experiment)?,
            overrides: self.overrides,
        })
    }
}
