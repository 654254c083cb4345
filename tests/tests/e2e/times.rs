//! Where the time of a run goes: by subject (what the tests' names begin with), and the slowest tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many tests are named.
const SLOWEST: usize = 12;

/// Name and time of each test that has run.
#[derive(Debug, Default)]
pub(crate) struct Times(Mutex<Vec<(String, Duration)>>);

impl Times {
    /// A test is over.
    pub(crate) fn took(&self, name: &str, time: Duration) {
        let mut tests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tests.push((name.to_owned(), time));
    }
}

impl fmt::Display for Times {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tests = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut subjects: BTreeMap<String, (usize, Duration)> = BTreeMap::new();
        for (name, time) in &tests {
            let subject = name.split("::").next().unwrap_or_default();
            let (count, sum) = subjects.entry(subject.to_owned()).or_default();
            *count += 1;
            *sum += *time;
        }
        let mut subjects: Vec<_> = subjects.into_iter().collect();
        subjects.sort_by_key(|(_, (_, sum))| std::cmp::Reverse(*sum));
        tests.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        writeln!(formatter, "time by subject:")?;
        for (subject, (count, sum)) in subjects {
            writeln!(
                formatter,
                "  {:>6.1} s  {subject} ({count})",
                sum.as_secs_f64()
            )?;
        }
        writeln!(formatter, "the slowest tests:")?;
        for (name, time) in tests.iter().take(SLOWEST) {
            writeln!(formatter, "  {:>6.1} s  {name}", time.as_secs_f64())?;
        }
        Ok(())
    }
}
