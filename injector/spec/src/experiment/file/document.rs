//! Documents that come as JSON: read by the reader of files, and complained about by the path of the value.

use super::{Complaint, FileError, Reading};
use crate::{
    error::Refusal,
    experiment::{Document, Experiment},
    printable,
};

/// Why a document is no experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}`: {sentence}", printable::line(place))]
pub struct DocumentError {
    /// The path of the value, beginning with the document's own name, as in `experiment.steps[0].name`.
    pub place: String,
    /// What is wrong there, and what to do.
    pub sentence: String,
}

impl From<DocumentError> for Refusal {
    fn from(error: DocumentError) -> Self {
        Self::usage(error.to_string())
    }
}

impl Reading<'_> {
    /// Reads a document, whose name in complaints is that of the reading.
    pub fn document(self, document: &Document) -> Result<Experiment, DocumentError> {
        let name = self.name;
        let lines = document.lines();
        self.experiment(&lines.text).map_err(|complaint| {
            let FileError { line, sentence, .. } = Complaint::of(complaint, name);
            let line = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
            let path = lines.paths.get(line).map_or("", String::as_str);
            let place = match path {
                "" => name.to_owned(),
                path => format!("{name}.{path}"),
            };
            DocumentError { place, sentence }
        })
    }
}
