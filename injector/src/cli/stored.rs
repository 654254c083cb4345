//! Runs that are told from their journals: which one is meant, and where what is said of it goes.

use std::path::Path;

use injector_engine::tell::{self, Stream};
use injector_record::{
    account::Account,
    journal::{self, ListedRun, Replay, RunId, Unreadable},
    replace::{self, ReplaceError},
};
use injector_spec::{
    error::{Exit, Refusal},
    printable,
};

/// The run that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest one.
    Last,
    /// This one.
    Run(RunId),
}

impl Which {
    /// What a person calls it.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "last" => Ok(Self::Last),
            text => super::action::run_id(text).map(Self::Run),
        }
    }

    /// All that its journal says.
    pub(super) fn account(&self) -> Result<Account, Refusal> {
        let (listed, replay) = self.read()?;
        Ok(Account::of(listed, &replay))
    }

    /// The run, and the records of its journal.
    pub(super) fn read(&self) -> Result<(ListedRun, Replay), Refusal> {
        let run = match self {
            Self::Run(run) => run.clone(),
            Self::Last => newest()?,
        };
        let directory = journal::directory();
        let path = journal::file(&directory, &run);
        match journal::read(&path, run.clone()) {
            Ok(read) => Ok(read),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Refusal::usage(
                format!("there is no run {run}; `injector list` shows those that are known"),
            )),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }
}

/// The run that started last.
fn newest() -> Result<RunId, Refusal> {
    let directory = journal::directory();
    let listing = journal::newest(&directory, 1)
        .map_err(|error| unreadable(&directory, &error))?
        .listing;
    tell_unreadable(&listing.unreadable);
    let last = listing.runs.into_iter().next_back();
    last.map(|listed| listed.run).ok_or_else(|| {
        let shown = printable::path(&directory);
        Refusal::usage(format!(
            "there is no run yet whose journal in {shown} can be read; name the folder of the journals by \
             INJECTOR_STATE_DIR, or start a run"
        ))
    })
}

/// Puts a text about a run (`what`: `report of r65f0c2a19b3e`) where a person wants it.
pub(super) fn put(what: &str, text: &str, to: Option<&Path>) -> Result<Exit, Refusal> {
    let Some(path) = to else {
        tell::pass_on(Stream::Result, text.as_bytes());
        return Ok(Exit::Done);
    };
    replace::replace(path, text.as_bytes()).map_err(|error| unwritable(what, path, &error))?;
    let shown = printable::path(path);
    tell::aside(format!("injector: the {what} is in {shown}"));
    Ok(Exit::Done)
}

/// Tells what has the name of a journal and cannot be read.
pub(super) fn tell_unreadable(unreadable: &[Unreadable]) {
    for one in unreadable {
        tell::aside(format!("injector: {one}; look what it is, and delete it"));
    }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    let shown = printable::path(path);
    Refusal::failed(format!(
        "the journals in {shown} cannot be read: {error}; use sudo, or check the path"
    ))
}

fn unwritable(what: &str, path: &Path, error: &ReplaceError) -> Refusal {
    let shown = printable::path(path);
    let sentence =
        |remedy: &str| format!("the {what} cannot be written to {shown}: {error}; {remedy}");
    match error {
        ReplaceError::Special(_) => Refusal::usage(sentence(
            "name a file, or leave --output out and redirect standard output",
        )),
        ReplaceError::Link => Refusal::usage(sentence("name the file that it leads to")),
        ReplaceError::NoName => Refusal::usage(sentence("name one")),
        ReplaceError::Io(_) => Refusal::failed(sentence(
            "free some space there, or name another place for it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, os::unix::net::UnixListener};

    use super::*;

    #[test]
    fn why_a_text_is_not_written_says_what_helps() {
        let folder = tempfile::tempdir().unwrap();
        let said =
            |path: &Path| unwritable("report", path, &replace::replace(path, b"x").unwrap_err());
        let socket = folder.path().join("socket");
        let _listens = UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        symlink(folder.path().join("nowhere"), &link).unwrap();
        for (path, exit, part) in [
            (folder.path().to_owned(), Exit::Usage, "it is a directory"),
            (socket, Exit::Usage, "it is a socket"),
            (link, Exit::Usage, "it is a symbolic link"),
            ("/dev/full".into(), Exit::Usage, "it is a device"),
            (
                folder.path().join("no/x"),
                Exit::Failed,
                "name another place",
            ),
        ] {
            let refusal = said(&path);
            assert_eq!(refusal.exit, exit);
            assert!(refusal.message.contains(part), "{refusal}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
