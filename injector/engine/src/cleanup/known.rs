//! What this state directory knows of runs, and the network namespaces in which something of them may be left.

use std::collections::BTreeMap;

use injector_host::kernel::{Error, netns::Namespace};
use injector_record::journal::{self, HostChange, RunState};

/// Runs with their states, and where to look.
pub(super) struct Known {
    states: BTreeMap<String, RunState>,
    /// Ours, and those that unfinished runs have changed.
    pub(super) namespaces: Vec<Namespace>,
}

impl Known {
    /// What is known now.
    pub(super) fn gather() -> Result<Self, Error> {
        let directory = journal::directory();
        let runs = journal::unfinished(&directory).unwrap_or_default().runs;
        let is_over = RunState::Aborted { why: None };
        // Every run that has a journal; the unfinished ones with their state.
        let files = journal::files(&directory).unwrap_or_default();
        let mut states: BTreeMap<String, RunState> = files
            .iter()
            .map(|(_, run)| (run.as_str().to_owned(), is_over.clone()))
            .collect();
        states.extend(
            runs.iter()
                .map(|listed| (listed.run.as_str().to_owned(), listed.state.clone())),
        );
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

    /// The state of a run that has a journal here.
    pub(super) fn state(&self, run: &str) -> Option<&RunState> {
        self.states.get(run)
    }
}
