//! What the guardian holds, and how it puts it back.

use std::os::fd::OwnedFd;

use super::message::{Hold, Key};
use crate::changes::{Patience, undo};
use injector_host::kernel::netns::Namespace;

/// The changes of all runs of a worker that are not undone, in the order in which they were handed over.
#[derive(Default)]
pub(super) struct Holds(Vec<(Hold, Option<Namespace>)>);

impl Holds {
    /// Takes a change, or what is known of one that is held by now, and its new deadline.
    pub(super) fn take(&mut self, hold: Hold, came: Vec<OwnedFd>) {
        if let Some((held, _)) = self.0.iter_mut().find(|(held, _)| held.key == hold.key) {
            held.until_boot_ns = hold.until_boot_ns;
            held.change = hold.change;
            return;
        }
        let namespace = came
            .into_iter()
            .next()
            .and_then(|fd| Namespace::from_fd(fd).ok());
        self.0.push((hold, namespace));
    }

    /// Lets go of a change that was undone.
    pub(super) fn release(&mut self, key: &Key) {
        self.0.retain(|(held, _)| held.key != *key);
    }

    /// When the next change must be undone, on the boot clock.
    pub(super) fn first_deadline(&self) -> Option<u64> {
        self.0.iter().map(|(held, _)| held.until_boot_ns).min()
    }

    /// Undoes what must be undone by now, the last change first.
    pub(super) fn undo_due(&mut self, now: u64) {
        let (due, rest) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(held, _)| held.until_boot_ns <= now);
        self.0 = rest;
        put_back(due);
    }

    /// Undoes everything, the last change first.
    pub(super) fn undo_all(&mut self) {
        put_back(std::mem::take(&mut self.0));
    }
}

fn put_back(changes: Vec<(Hold, Option<Namespace>)>) {
    let patience = Patience::default();
    for (hold, namespace) in changes.into_iter().rev() {
        // There is nowhere to tell of a failure: the worker or the cleanup tries again, and tells.
        let _ = undo(&hold.change, namespace.as_ref(), &hold.key.run, &patience);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use injector_record::journal::HostChange;

    fn hold(id: u32, path: &Path, until_boot_ns: u64) -> Hold {
        Hold {
            key: Key {
                run: "r000000010001".into(),
                id,
            },
            change: HostChange::CgroupFile {
                path: path.to_owned(),
                old: "0".into(),
                new: "1".into(),
            },
            until_boot_ns,
        }
    }

    #[test]
    fn what_is_due_is_undone_and_what_was_released_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| directory.path().join(name));
        let values = || paths.clone().map(|path| fs::read_to_string(path).unwrap());
        let mut holds = Holds::default();
        for ((id, path), until) in (0..).zip(&paths).zip([10, 20, 30]) {
            fs::write(path, "1").unwrap();
            holds.take(hold(id, path, until), Vec::new());
        }
        assert_eq!(holds.first_deadline(), Some(10));
        holds.undo_due(9);
        assert_eq!(values(), ["1", "1", "1"]);
        holds.undo_due(10);
        assert_eq!(values(), ["0", "1", "1"]);
        // A longer life of a change, of which something else is known as well.
        holds.take(hold(1, &paths[1], 40), Vec::new());
        holds.undo_due(25);
        assert_eq!(values(), ["0", "1", "1"]);
        holds.release(&hold(1, &paths[1], 0).key);
        holds.undo_all();
        assert_eq!(values(), ["0", "1", "0"]);
        assert_eq!(holds.first_deadline(), None);
    }

    #[test]
    fn a_change_that_is_handed_over_again_is_undone_as_it_is_known_by_then() {
        let directory = tempfile::tempdir().unwrap();
        let [before, now] = ["a", "b"].map(|name| directory.path().join(name));
        for path in [&before, &now] {
            fs::write(path, "1").unwrap();
        }
        let mut holds = Holds::default();
        holds.take(hold(0, &before, 10), Vec::new());
        holds.take(hold(0, &now, 10), Vec::new());
        holds.undo_all();
        let values = [before, now].map(|path| fs::read_to_string(path).unwrap());
        assert_eq!(values, ["1", "0"]);
    }
}
