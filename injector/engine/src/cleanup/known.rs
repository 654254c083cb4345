//! What this state directory knows of runs, and the network namespaces in which something of them may be left.

use std::{collections::BTreeMap, io, path::PathBuf};

use injector_host::kernel::netns::Namespace;
use injector_record::journal::{self, HostChange, Listing, Look, RunId, RunState};
use injector_spec::{error::Refusal, printable};

/// Runs with their states, and where to look.
pub(super) struct Known {
    states: BTreeMap<String, RunState>,
    /// Ours, and those that unfinished runs have changed.
    pub(super) namespaces: Vec<Namespace>,
}

impl Known {
    /// What is known now. The names are read before the journals: a run that starts in between is told as one that goes on,
    /// or not at all, and never as one that is over.
    ///
    /// # Errors
    /// The journals cannot be listed: nothing says then that a run is over.
    pub(super) fn gather() -> Result<Self, Refusal> {
        let directory = journal::directory();
        let failed = |error: io::Error| {
            Refusal::failed(format!(
                "the journals in {} cannot be read: {error}; injector removes nothing before it knows which runs go on.",
                printable::path(&directory)
            ))
        };
        let files = journal::files(&directory).map_err(failed)?;
        let unfinished = journal::unfinished(&directory, Look::Whole).map_err(failed)?;
        let states = states(files, &unfinished);
        let runs = unfinished.runs;
        let ours = Namespace::current()?;
        let mut inodes: Vec<u64> = runs
            .iter()
            .flat_map(|listed| &listed.to_restore)
            .filter_map(HostChange::namespace)
            .filter(|inode| *inode != ours.inode())
            .collect();
        inodes.sort_unstable();
        inodes.dedup();
        let others = inodes.into_iter().filter_map(Namespace::find);
        let namespaces = std::iter::once(ours).chain(others).collect();
        Ok(Self { states, namespaces })
    }

    /// The state of a run that has a journal here which can be read.
    pub(super) fn state(&self, run: &str) -> Option<&RunState> {
        self.states.get(run)
    }
}

/// Every run that has a journal is over, but for the unfinished ones, which have their own state, and those whose journal
/// cannot be read: they have none, and may go on.
fn states(files: Vec<(PathBuf, RunId)>, unfinished: &Listing) -> BTreeMap<String, RunState> {
    let is_read = |path: &PathBuf| unfinished.unreadable.iter().all(|one| one.file != *path);
    let mut states: BTreeMap<String, RunState> = files
        .into_iter()
        .filter(|(path, _)| is_read(path))
        .map(|(_, run)| (run.as_str().to_owned(), RunState::Aborted { why: None }))
        .collect();
    let of_unfinished = unfinished.runs.iter();
    states.extend(of_unfinished.map(|one| (one.run.as_str().to_owned(), one.state.clone())));
    states
}

#[cfg(test)]
mod tests {
    use injector_record::journal::Journal;

    use super::*;

    #[test]
    fn only_what_is_read_to_be_over_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path();
        let [over, unreadable, goes_on, late] =
            [1, 2, 3, 4].map(|n| -> RunId { format!("r00000001000{n}").parse().unwrap() });
        drop(Journal::create_in(directory, &over).unwrap());
        std::fs::create_dir(journal::file(directory, &unreadable)).unwrap();
        let _held = Journal::create_in(directory, &goes_on).unwrap();
        let files = journal::files(directory).unwrap();
        // It starts between the two looks.
        let _held_too = Journal::create_in(directory, &late).unwrap();
        let states = states(files, &journal::unfinished(directory, Look::Whole).unwrap());
        let of = |run: &RunId| states.get(run.as_str());
        assert_eq!(of(&over), Some(&RunState::Aborted { why: None }));
        assert_eq!(of(&unreadable), None);
        assert_eq!(of(&goes_on), Some(&RunState::Running));
        assert_eq!(of(&late), Some(&RunState::Running));
    }
}
