//! What the supervisor holds for the worker, and what it does with it when the worker is gone.

use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use crate::{
    executor::changes,
    journal::{HostChange, Journal, Record},
    kernel::netns::Namespace,
};

/// Copies of the worker's descriptors.
#[derive(Default)]
pub(super) struct Kept {
    journals: BTreeMap<PathBuf, OwnedFd>,
    /// TAPs, by the journal of their run.
    taps: Vec<(PathBuf, OwnedFd)>,
    namespaces: BTreeMap<u64, OwnedFd>,
}

impl Kept {
    /// Keeps a journal.
    pub(super) fn journal(&mut self, path: PathBuf, descriptors: Vec<OwnedFd>) {
        if let Some(fd) = descriptors.into_iter().next() {
            self.journals.insert(path, fd);
        }
    }

    /// Keeps a TAP and its namespace.
    pub(super) fn tap(&mut self, path: PathBuf, netns_inode: u64, descriptors: Vec<OwnedFd>) {
        let mut descriptors = descriptors.into_iter();
        if let (Some(namespace), Some(tap)) = (descriptors.next(), descriptors.next()) {
            self.namespaces.insert(netns_inode, namespace);
            self.taps.push((path, tap));
        }
    }

    /// Keeps a namespace whose settings change.
    pub(super) fn namespace(&mut self, netns_inode: u64, descriptors: Vec<OwnedFd>) {
        if let Some(fd) = descriptors.into_iter().next() {
            self.namespaces.insert(netns_inode, fd);
        }
    }

    /// Lets go of everything that belongs to a run.
    pub(super) fn release(&mut self, path: &Path) {
        self.taps.retain(|(of, _)| of != path);
        self.journals.remove(path);
        if self.journals.is_empty() {
            self.namespaces.clear();
        }
    }

    /// Whether every run was released.
    pub(super) fn is_empty(&self) -> bool {
        self.journals.is_empty()
    }

    /// Cleans up after a worker that is gone: links went with it, so the TAPs go now, then host settings
    /// are restored. Returns what to tell.
    pub(super) fn clean_up(mut self, why: &str) -> Vec<String> {
        self.taps.clear();
        let mut told = Vec::new();
        for (path, fd) in std::mem::take(&mut self.journals) {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let restored = self.restore(fd, &path, why);
            told.push(format!(
                "{why}; run {name} is aborted, its faults ended with the worker; {restored}."
            ));
        }
        told
    }

    fn restore(&self, fd: OwnedFd, path: &Path, why: &str) -> String {
        // By the descriptor, not by its name: somebody may have deleted that.
        let (mut journal, replayed) = match Journal::adopt(fd, path.to_owned()) {
            Ok(adopted) => adopted,
            Err(error) => return format!("its journal cannot be continued: {error}"),
        };
        let told = restore_all(&mut journal, replayed.to_restore(), |inode| {
            let kept = self
                .namespaces
                .get(&inode)
                .and_then(|fd| fd.try_clone().ok());
            kept.and_then(|fd| Namespace::from_fd(fd).ok())
                .or_else(|| Namespace::find(inode))
        });
        match journal.append(&Record::Aborted {
            why: why.to_owned(),
        }) {
            Ok(()) => told,
            Err(error) => format!("{told}; {error}"),
        }
    }
}

/// Restores changes, last first, and says in words how that went. `find` finds a namespace by inode.
pub(crate) fn restore_all(
    journal: &mut Journal,
    open: Vec<(u32, HostChange)>,
    find: impl Fn(u64) -> Option<Namespace>,
) -> String {
    let (mut restored, mut failed) = (0, Vec::new());
    for (id, change) in open {
        let namespace = change.namespace().and_then(&find);
        let undone = changes::undo(id, &change, namespace.as_ref(), journal);
        restored += u32::from(undone.fate == Some(changes::Fate::Restored));
        failed.extend(undone.errors);
    }
    match (restored, failed.is_empty()) {
        (0, true) => "no host setting had to be restored".into(),
        (n, true) => format!("{n} host settings were restored"),
        (n, false) => format!(
            "{n} host settings were restored, not so: {}",
            failed.join("; ")
        ),
    }
}
