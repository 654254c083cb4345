//! When the schedule has started runs, as their journals say: what a restart of the daemon does not forget.

use std::{
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use super::{
    Record, line,
    names::{file, names},
};
use crate::regular::{self, Access};

/// More bytes than the first two lines of any journal have: the first has the experiment, the second what the schedule has
/// drawn for it.
const HEAD: u64 = 16 << 20;

/// The times of the runs that the schedule has started since a second of 1970, in milliseconds, the oldest first. A
/// journal whose first two lines cannot be read counts as one of them: too few starts are better than too many.
pub fn scheduled_since(directory: &Path, second: u64) -> io::Result<Vec<u64>> {
    let recent = names(directory)?
        .into_iter()
        .filter(|name| name.second() >= second);
    let starts = recent.filter_map(|name| {
        let at = name.second().saturating_mul(1000);
        match is_scheduled(&file(directory, &name.run())) {
            Ok(is_scheduled) => is_scheduled.then_some(at),
            // Swept since its name was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(at),
        }
    });
    Ok(starts.collect())
}

/// Whether the second record is the schedule's, or either of the first two cannot be trusted. Where one of them is not there,
/// nothing had been armed yet.
fn is_scheduled(path: &Path) -> io::Result<bool> {
    let file = regular::open(path, Access::Read)?;
    let mut lines = BufReader::new(file.take(HEAD));
    let first = next_line(&mut lines)?;
    if first.is_empty() {
        return Ok(false);
    }
    if line::decode(&first).is_err() {
        return Ok(true);
    }
    let second = next_line(&mut lines)?;
    Ok(!second.is_empty()
        && line::decode(&second).map_or(true, |it| matches!(it.record, Record::Scheduled { .. })))
}

/// A line without its line feed; empty at the end.
fn next_line(lines: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
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

    /// Damage in front of what would say so counts, and damage behind it does not.
    #[test]
    fn what_cannot_be_trusted_counts() {
        let folder = tempfile::tempdir().unwrap();
        let written = |number: u32, count: usize| {
            let run: RunId = format!("r{number:08x}0001").parse().unwrap();
            let mut journal = Journal::create_in(folder.path(), &run).unwrap();
            for _ in 0..count {
                journal.append(&Record::Armed).unwrap();
            }
            drop(journal);
            let path = file(folder.path(), &run);
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        };
        let torn = |text: &str, line: usize| {
            let lines = text.lines().enumerate();
            let spoilt = lines.map(|(number, text)| {
                let text = if number == line { &text[1..] } else { text };
                format!("{text}\n")
            });
            spoilt.collect::<String>()
        };
        for (number, line) in [(1, 0), (2, 1), (3, 2)] {
            let (path, text) = written(number, 3);
            std::fs::write(path, torn(&text, line)).unwrap();
        }
        // One record and no more: whole, without its line feed, and cut off in the middle of the next.
        written(4, 1);
        let (path, text) = written(5, 1);
        std::fs::write(path, text.trim_end()).unwrap();
        let (path, text) = written(6, 2);
        std::fs::write(path, &text[..text.len() - 9]).unwrap();
        written(7, 0);
        let (path, _) = written(8, 1);
        std::fs::write(path, [0xff; 64]).unwrap();
        assert_eq!(
            scheduled_since(folder.path(), 0).unwrap(),
            [1000, 2000, 6000, 8000]
        );
    }
}
