//! `injector schema`: what an experiment file may have, for editors.

use injector_engine::tell::{self, Stream};
use injector_spec::{error::Exit, experiment::file, printable};

/// Prints the JSON Schema of experiment files. A schema is a file for another program: no line of it is wrapped, and
/// none is coloured.
pub fn schema() -> Exit {
    // What was made of texts and numbers always serialises.
    let text = serde_json::to_string_pretty(&file::schema()).unwrap_or_default();
    let text = printable::json(&text);
    tell::pass_on(Stream::Result, format!("{text}\n").as_bytes());
    Exit::Done
}
