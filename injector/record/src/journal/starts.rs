//! When the schedule has started runs, as their journals say: what a restart of the daemon does not forget.

use std::{
    io::{self, Read},
    path::Path,
};

use super::{
    Record, Replay,
    names::{file, names},
};
use crate::regular::{self, Access};

/// Where the record of the schedule is: right behind the first one, which has the experiment.
const HEAD: u64 = 16 << 20;

/// The times of the runs that the schedule has started since a second of 1970, in milliseconds, the oldest first. A
/// journal that cannot be read counts as one of them: too few starts are better than too many.
pub fn scheduled_since(directory: &Path, second: u64) -> io::Result<Vec<u64>> {
    let recent = names(directory)?
        .into_iter()
        .filter(|name| name.second() >= second);
    let starts = recent.filter_map(|name| {
        let at = name.second().saturating_mul(1000);
        match head(&file(directory, &name.run())) {
            Ok(replay) => is_scheduled(&replay).then_some(at),
            // Swept since its name was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(at),
        }
    });
    Ok(starts.collect())
}

fn head(path: &Path) -> io::Result<Replay> {
    let mut bytes = Vec::new();
    regular::open(path, Access::Read)?
        .take(HEAD)
        .read_to_end(&mut bytes)?;
    Ok(Replay::of(&bytes))
}

fn is_scheduled(replay: &Replay) -> bool {
    let mut records = replay.records.iter();
    records.any(|stamped| matches!(stamped.record, Record::Scheduled { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        journal::{Journal, RunId},
        scheduled::Scheduled,
    };

    #[test]
    fn those_of_the_schedule_are_counted_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().to_owned();
        for (name, is_scheduled) in [
            ("r000000010001", true),
            ("r000000020001", true),
            ("r000000030001", false),
            ("r000000040001", true),
        ] {
            let run: RunId = name.parse().unwrap();
            let mut journal = Journal::create_in(&state, &run).unwrap();
            journal.append(&Record::Armed).unwrap();
            if is_scheduled {
                let drawn = Scheduled {
                    seed: 7,
                    file: "a.yaml".into(),
                    of_files: 2,
                    victim: "unit a".into(),
                    of_victims: 1,
                };
                journal.append(&Record::Scheduled { drawn }).unwrap();
            }
        }
        assert_eq!(scheduled_since(&state, 2).unwrap(), [2000, 4000]);
        assert!(scheduled_since(&state, 5).unwrap().is_empty());
        let none = folder.path().join("none");
        assert!(scheduled_since(&none, 0).unwrap().is_empty());
    }
}
