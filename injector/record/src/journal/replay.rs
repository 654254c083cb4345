//! Reading a journal back, whatever a crash has left of it.

use std::{collections::BTreeMap, io, path::Path};

use serde::Serialize;

pub use super::line::Stamped;
use super::{HostChange, Record, line};
use crate::regular;
use injector_spec::experiment::Experiment;

/// More bytes than the journal of any run has: a day of pulses, twenty a second.
pub(super) const LARGEST: u64 = 512 << 20;

/// What a journal says, and what of it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The records that could be trusted, in the order of the file.
    pub records: Vec<Stamped>,
    /// The lines that could not.
    pub damaged: Vec<Damaged>,
}

/// A line that could not be trusted, or lines that are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a journal. Only a file that cannot be read at all is an error.
pub fn replay(path: &Path) -> io::Result<Replay> {
    Ok(Replay::of(&regular::read(path, LARGEST)?))
}

impl Replay {
    /// What was asked; `None` where the record that says so is damaged.
    pub fn experiment(&self) -> Option<&Experiment> {
        let mut records = self.records.iter();
        records.find_map(|stamped| match &stamped.record {
            Record::Started { experiment, .. } => Some(&**experiment),
            _ => None,
        })
    }

    /// Reads the bytes of a journal; never fails.
    pub fn of(bytes: &[u8]) -> Self {
        let mut replay = Self::default();
        let mut expected = 0;
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let damaged = |why| Damaged {
                line: number + 1,
                why,
            };
            match line::decode(line) {
                Ok(stamped) => {
                    // Only a jump ahead is a loss: supervisor and worker may both write number n.
                    if stamped.seq > expected {
                        let lost = stamped.seq - expected;
                        replay.damaged.push(damaged(match lost {
                            1 => "the record before it is missing".to_owned(),
                            _ => format!("{lost} records before it are missing"),
                        }));
                    }
                    expected = stamped.seq.max(expected).saturating_add(1);
                    replay.records.push(stamped);
                }
                Err(why) => replay.damaged.push(damaged(why)),
            }
        }
        replay
    }

    /// Number of the next record.
    pub fn next_seq(&self) -> u64 {
        self.records
            .iter()
            .map(|stamped| stamped.seq.saturating_add(1))
            .max()
            .unwrap_or(0)
    }

    /// The changes that are not known to be restored, in the order in which to restore them: the last
    /// first. A change that was announced may have been made, whether or not the next record says so.
    pub fn to_restore(&self) -> Vec<(u32, HostChange)> {
        let mut open = BTreeMap::new();
        for stamped in &self.records {
            match &stamped.record {
                Record::Change { id, change } => {
                    open.insert(*id, change.clone());
                }
                Record::Changed { id } => {
                    if let Some(change) = open.get_mut(id) {
                        change.stands();
                    }
                }
                Record::Restored { id } => {
                    open.remove(id);
                }
                _ => {}
            }
        }
        open.into_iter().rev().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use injector_plan::at_devices::Clsact;
    use proptest::prelude::*;

    fn change(id: u32) -> Record {
        let key = "net.ipv4.conf.lo.accept_local".to_owned();
        let change = HostChange::Sysctl {
            netns_inode: 9,
            key,
            old: "0".into(),
            new: "1".into(),
        };
        Record::Change { id, change }
    }

    fn lines(records: impl IntoIterator<Item = Record>) -> Vec<Vec<u8>> {
        records
            .into_iter()
            .zip(0..)
            .map(|(record, seq)| Stamped {
                seq,
                boot_ns: seq,
                unix_ms: seq,
                record,
            })
            .map(|stamped| line::encode(&stamped).unwrap())
            .collect()
    }

    fn sample(count: u32) -> Vec<Vec<u8>> {
        lines((0..count).map(change))
    }

    #[test]
    fn what_was_announced_is_restored_last_first() {
        let records = [
            change(0),
            Record::Changed { id: 0 },
            change(1),
            change(2),
            Record::Restored { id: 1 },
        ];
        let replay = Replay::of(&lines(records).concat());
        let ids: Vec<_> = replay.to_restore().into_iter().map(|(id, _)| id).collect();
        assert_eq!(
            (ids, replay.damaged.len(), replay.next_seq()),
            (vec![2, 0], 0, 5)
        );
    }

    #[test]
    fn filters_that_were_attached_are_told_from_those_that_were_announced() {
        let announced = HostChange::DeviceFilters {
            netns_inode: 9,
            boot: "b".into(),
            since_boot_ns: 5,
            ifindex: 2,
            device: "eth0".into(),
            clsact: Clsact::Made,
            filters: vec![],
        };
        let change = |id| Record::Change {
            id,
            change: announced.clone(),
        };
        let records = [change(0), Record::Changed { id: 0 }, change(1)];
        let replay = Replay::of(&lines(records).concat());
        let since: Vec<_> = replay
            .to_restore()
            .into_iter()
            .map(|(id, change)| match change {
                HostChange::DeviceFilters { since_boot_ns, .. } => (id, since_boot_ns),
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(since, [(1, 5), (0, 0)]);
    }

    proptest! {
        /// A crash in the middle of a write costs the last record and no other.
        #[test]
        fn a_torn_file_loses_its_last_line(count in 1u32..8, cut in 1usize..200) {
            let whole = sample(count);
            let last = whole.last().unwrap().len();
            let bytes = whole.concat();
            let cut = cut.min(last - 1);
            let replay = Replay::of(&bytes[..bytes.len() - cut]);
            // A cut of one takes the line feed alone, and the record is still whole.
            let lost = usize::from(cut > 1);
            prop_assert_eq!(replay.records.len(), whole.len() - lost);
            prop_assert_eq!(replay.damaged.len(), lost);
        }

        /// One changed byte costs at most the two lines that a changed line feed joins.
        #[test]
        fn a_corrupt_byte_is_noticed(count in 1u32..8, at: prop::sample::Index, by in 1u8..) {
            let whole = sample(count);
            let mut bytes = whole.concat();
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            let replay = Replay::of(&bytes);
            let is_last_feed = at + 1 == bytes.len();
            prop_assert!(!replay.damaged.is_empty() || is_last_feed);
            prop_assert!(replay.records.len() + 2 >= whole.len());
            let untouched = Replay::of(&whole.concat()).records;
            prop_assert!(replay.records.iter().all(|record| untouched.contains(record)));
        }

        /// Lines that vanish from the middle are missed.
        #[test]
        fn a_gap_is_noticed(count in 3u32..8, gone in 0usize..2) {
            let mut whole = sample(count);
            whole.remove(gone);
            let replay = Replay::of(&whole.concat());
            prop_assert_eq!(replay.records.len(), whole.len());
            prop_assert_eq!(replay.damaged.len(), 1);
        }

        #[test]
        fn reading_is_total(bytes: Vec<u8>) {
            let _ = Replay::of(&bytes);
        }
    }
}
