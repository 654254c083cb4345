//! What the supervisor holds for the worker, and what becomes of it when the worker is gone.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use crate::{
    changes::{self, Patience, undo},
    recorder::Recorder,
};
use injector_host::kernel::netns::Namespace;
use injector_record::journal::{HostChange, Journal, Record};

/// Copies of the worker's descriptors.
#[derive(Default)]
pub(super) struct Kept {
    journals: BTreeMap<PathBuf, OwnedFd>,
    /// TAPs, each with its namespace, by the journal of their run.
    taps: Vec<(PathBuf, OwnedFd)>,
    /// Namespaces whose settings change, by the journal of the run that changes them.
    namespaces: Vec<(PathBuf, OwnedFd)>,
}

impl Kept {
    /// Keeps a journal.
    pub(super) fn journal(&mut self, path: PathBuf, descriptors: Vec<OwnedFd>) {
        if let Some(fd) = descriptors.into_iter().next() {
            self.journals.insert(path, fd);
        }
    }

    /// Keeps a TAP and its namespace.
    pub(super) fn tap(&mut self, path: PathBuf, descriptors: Vec<OwnedFd>) {
        let mut descriptors = descriptors.into_iter();
        if let (Some(namespace), Some(tap)) = (descriptors.next(), descriptors.next()) {
            self.namespaces.push((path.clone(), namespace));
            self.taps.push((path, tap));
        }
    }

    /// Keeps a namespace whose settings change.
    pub(super) fn namespace(&mut self, path: PathBuf, descriptors: Vec<OwnedFd>) {
        let namespace = descriptors.into_iter().next();
        self.namespaces.extend(namespace.map(|fd| (path, fd)));
    }

    /// Lets go of everything that belongs to a run.
    pub(super) fn release(&mut self, path: &Path) {
        self.taps.retain(|(of, _)| of != path);
        self.namespaces.retain(|(of, _)| of != path);
        self.journals.remove(path);
    }

    /// Whether every run was released.
    pub(super) fn is_empty(&self) -> bool {
        self.journals.is_empty()
    }

    /// Cleans up after a worker that is gone: its links went with it, and the guardian has undone what it changed. The
    /// TAPs go now, and the recorder closes the journals. Returns what to tell.
    pub(super) fn clean_up(self, why: &str, recorder: &Recorder) -> Vec<String> {
        drop(self.taps);
        let mut told = Vec::new();
        for (path, journal) in self.journals {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let namespaces: Vec<_> = self
                .namespaces
                .iter()
                .filter(|(of, _)| *of == path)
                .map(|(_, fd)| fd.as_fd())
                .collect();
            let concluded = recorder.conclude(&path, journal.as_fd(), &namespaces, why);
            let settings = match concluded {
                Ok(lines) => lines.join("; "),
                Err(refusal) => format!("its journal could not be closed: {refusal}"),
            };
            told.push(format!(
                "{why}; run {name} is aborted, its faults ended with the worker; {settings}."
            ));
        }
        told
    }
}

/// Closes the journal of a run whose worker is gone, by its descriptor and not by its name, which may be deleted. What
/// the guardian has not undone is undone. Returns what to tell.
pub(crate) fn conclude(
    journal: OwnedFd,
    namespaces: Vec<OwnedFd>,
    path: &Path,
    why: &str,
) -> String {
    let (mut journal, replayed) = match Journal::adopt(journal, path.to_owned()) {
        Ok(adopted) => adopted,
        Err(error) => return format!("its journal cannot be continued: {error}"),
    };
    let kept: Vec<Namespace> = namespaces
        .into_iter()
        .filter_map(|fd| Namespace::from_fd(fd).ok())
        .collect();
    let told = restore_all(&mut journal, replayed.to_restore(), |inode| {
        let kept = kept.iter().find(|namespace| namespace.inode() == inode);
        kept.and_then(|namespace| namespace.try_clone().ok())
            .or_else(|| Namespace::find(inode))
    });
    match journal.append(&Record::Aborted {
        why: why.to_owned(),
    }) {
        Ok(()) => told,
        Err(error) => format!("{told}; {error}"),
    }
}

/// Restores changes, last first, and says in words how that went. `find` finds a namespace by inode.
pub(crate) fn restore_all(
    journal: &mut Journal,
    open: Vec<(u32, HostChange)>,
    find: impl Fn(u64) -> Option<Namespace>,
) -> String {
    let run = journal.run().to_owned();
    let (mut restored, mut failed) = (0, Vec::new());
    let patience = Patience::default();
    for (id, change) in open {
        let namespace = change.namespace().and_then(&find);
        let record = match undo(&change, namespace.as_ref(), &run, &patience) {
            Ok(fate) => {
                restored += u32::from(fate == changes::Fate::Restored);
                Record::Restored { id }
            }
            Err(error) => {
                let why = error.to_string();
                failed.push(why.clone());
                Record::RestoreFailed { id, why }
            }
        };
        failed.extend(journal.append(&record).err().map(|error| error.to_string()));
    }
    match (restored, failed.is_empty()) {
        (0, true) => "no host setting had to be restored".into(),
        (1, true) => "1 host setting was restored".into(),
        (n, true) => format!("{n} host settings were restored"),
        (n, false) => format!(
            "{n} host settings were restored, not so: {}",
            failed.join("; ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> OwnedFd {
        tempfile::tempfile().unwrap().into()
    }

    #[test]
    fn what_is_kept_is_given_back_with_its_run_and_no_sooner() {
        let mut kept = Kept::default();
        let [one, other] = ["one", "other"].map(PathBuf::from);
        for path in [&one, &other] {
            kept.journal(path.clone(), vec![descriptor()]);
            kept.tap(path.clone(), vec![descriptor(), descriptor()]);
            kept.namespace(path.clone(), vec![descriptor()]);
        }
        kept.release(&one);
        assert!(!kept.is_empty());
        assert_eq!((kept.taps.len(), kept.namespaces.len()), (1, 2));
        kept.release(&other);
        assert!(kept.is_empty());
        assert_eq!((kept.taps.len(), kept.namespaces.len()), (0, 0));
    }
}
