//! Host settings: written down, changed, and put back.

use crate::{
    error::Refusal,
    journal::{HostChange, Journal, Record},
    kernel::{self, netns::Namespace, sysctl},
};

/// The changes of a run, in the order in which they were made.
#[derive(Default)]
pub struct Changes {
    made: Vec<(u32, HostChange, Namespace)>,
    next_id: u32,
}

impl Changes {
    /// Sets a sysctl of a namespace, unless it has the value already. The old value is on disk before
    /// the new one is in force.
    pub fn set_sysctl(
        &mut self,
        namespace: &Namespace,
        key: &str,
        new: &str,
        journal: &mut Journal,
    ) -> Result<(), Refusal> {
        let old = namespace.run(|| sysctl::read(key))??;
        if old == new {
            return Ok(());
        }
        let id = self.next_id;
        self.next_id += 1;
        let change = HostChange::Sysctl {
            netns_inode: namespace.inode(),
            key: key.to_owned(),
            old,
            new: new.to_owned(),
        };
        journal.append(&Record::Change {
            id,
            change: change.clone(),
        })?;
        // On the list before it is in force: restoring what was not changed yet does no harm.
        self.made.push((id, change, namespace.try_clone()?));
        namespace.run(|| sysctl::write(key, new))??;
        journal.append(&Record::Changed { id })?;
        Ok(())
    }

    /// Puts everything back, last change first. Every failure is collected, none stops the rest.
    pub fn restore(&mut self, journal: &mut Journal) -> Vec<String> {
        let mut errors = Vec::new();
        while let Some((id, change, namespace)) = self.made.pop() {
            let record = match restore(&change, &namespace) {
                Ok(()) => Record::Restored { id },
                Err(error) => {
                    errors.push(error.to_string());
                    Record::RestoreFailed {
                        id,
                        why: error.to_string(),
                    }
                }
            };
            if let Err(error) = journal.append(&record) {
                errors.push(error.to_string());
            }
        }
        errors
    }
}

/// Puts one setting back, unless somebody else has changed it since.
pub fn restore(change: &HostChange, namespace: &Namespace) -> Result<(), kernel::Error> {
    let HostChange::Sysctl { key, old, new, .. } = change;
    namespace.run(|| {
        if sysctl::read(key)? == *new {
            sysctl::write(key, old)
        } else {
            Ok(())
        }
    })?
}
