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
    /// Namespaces, by the journal of their run and by inode. A copy for each run: one that two runs shared
    /// would outlive the first to end, and with it everything in the namespace of a container that is gone.
    namespaces: BTreeMap<(PathBuf, u64), OwnedFd>,
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
            self.namespaces
                .insert((path.clone(), netns_inode), namespace);
            self.taps.push((path, tap));
        }
    }

    /// Keeps a namespace whose settings a run changes.
    pub(super) fn namespace(&mut self, path: PathBuf, netns_inode: u64, descriptors: Vec<OwnedFd>) {
        if let Some(fd) = descriptors.into_iter().next() {
            self.namespaces.insert((path, netns_inode), fd);
        }
    }

    /// Lets go of everything that belongs to a run.
    pub(super) fn release(&mut self, path: &Path) {
        self.taps.retain(|(of, _)| of != path);
        self.namespaces.retain(|(of, _), _| of != path);
        self.journals.remove(path);
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
                .get(&(path.to_owned(), inode))
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

#[cfg(test)]
mod tests {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        pipe::{PipeFlags, pipe_with},
    };

    use super::*;

    /// One end to give away, and one that tells whether the other is still held. Numbers of descriptors would
    /// not do: other tests take those that are free.
    fn held() -> (OwnedFd, OwnedFd) {
        pipe_with(PipeFlags::CLOEXEC).unwrap()
    }

    /// Whether the other end has been closed, or is within a second.
    fn is_let_go(reader: &OwnedFd, wait: i64) -> bool {
        let mut polled = [PollFd::new(reader, PollFlags::empty())];
        let timeout = Timespec {
            tv_sec: wait,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&timeout)).unwrap() == 1
    }

    /// Two runs that overlap, each in a namespace of its own, and a third namespace that both are in.
    #[test]
    fn a_run_that_ends_gives_its_namespaces_back_while_others_go_on() {
        let (one, two) = (PathBuf::from("one.jsonl"), PathBuf::from("two.jsonl"));
        let (readers, writers): (Vec<OwnedFd>, Vec<OwnedFd>) =
            std::iter::repeat_with(held).take(8).unzip();
        let mut writers = writers.into_iter();
        let mut next = |count: usize| writers.by_ref().take(count).collect::<Vec<_>>();
        let mut kept = Kept::default();
        kept.journal(one.clone(), next(1));
        kept.tap(one.clone(), 10, next(2));
        kept.namespace(one.clone(), 11, next(1));
        kept.journal(two.clone(), next(1));
        kept.tap(two.clone(), 20, next(2));
        kept.namespace(two.clone(), 11, next(1));

        kept.release(&one);
        assert!(readers[..4].iter().all(|reader| is_let_go(reader, 1)));
        assert!(!readers[4..].iter().any(|reader| is_let_go(reader, 0)));
        assert!(!kept.is_empty());

        kept.release(&two);
        assert!(readers.iter().all(|reader| is_let_go(reader, 1)));
        assert!(kept.is_empty());
    }
}
