//! The closing count of a test run.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::libtest::Counts;

/// What passed, failed, was skipped or refused, with the reasons.
#[derive(Default)]
pub(crate) struct Report {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<(String, String)>,
    refused: Vec<(String, String)>,
    took: Vec<(String, Duration)>,
}

/// Shorter steps are not worth a line of their own.
const WORTH_A_LINE: Duration = Duration::from_secs(10);

impl Report {
    /// A step is over that began then.
    pub(crate) fn took(&mut self, what: &str, began: Instant) {
        self.took.push((what.to_owned(), began.elapsed()));
    }

    /// Takes what another report counted.
    pub(crate) fn add(&mut self, other: Self) {
        let Self {
            passed,
            failed,
            skipped,
            refused,
            took,
        } = other;
        self.passed += passed;
        self.failed.extend(failed);
        self.skipped.extend(skipped);
        self.refused.extend(refused);
        self.took.extend(took);
    }

    /// One check passed.
    pub(crate) fn pass(&mut self) {
        self.passed += 1;
    }

    /// One check failed; `what` names it, `why` says what is known beyond its own output.
    pub(crate) fn fail(&mut self, what: &str, why: &dyn fmt::Display) {
        self.failed.push(format!("{what}: {why}"));
    }

    /// One check could not be made on this machine.
    pub(crate) fn skip(&mut self, what: &str, why: &dyn fmt::Display) {
        self.skipped.push((what.to_owned(), why.to_string()));
    }

    /// injector refused by name what one test asks for, because the kernel lacks it.
    pub(crate) fn refuse(&mut self, what: &str, lack: &dyn fmt::Display) {
        self.refused.push((what.to_owned(), lack.to_string()));
    }

    /// A harness ran; `succeeded` is what its exit code said.
    pub(crate) fn harness(&mut self, what: &str, counts: Counts, succeeded: bool) {
        self.passed += counts.passed;
        let silent = counts.failed.is_empty();
        self.failed.extend(
            counts
                .failed
                .into_iter()
                .map(|name| format!("{what}: {name}")),
        );
        self.skipped.extend(counts.skipped);
        self.refused.extend(counts.refused);
        // The exit code and the count must agree, or a crash would pass for a success.
        if silent && !succeeded {
            self.fail(what, &"it ended with an error; the reason is printed above");
        } else if succeeded && !counts.finished {
            self.fail(what, &"it ended without a result");
        }
    }

    /// Nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.failed.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let long: Vec<_> = self
            .took
            .iter()
            .filter(|(_, time)| *time >= WORTH_A_LINE)
            .collect();
        if !long.is_empty() {
            writeln!(formatter, "time:")?;
        }
        for (name, time) in long {
            writeln!(formatter, "  {:>5} s  {name}", time.as_secs())?;
        }
        if !self.skipped.is_empty() {
            writeln!(formatter, "skipped:")?;
        }
        for (name, reason) in &self.skipped {
            writeln!(formatter, "  {name}: {reason}")?;
        }
        if !self.refused.is_empty() {
            writeln!(
                formatter,
                "refused by name, as they must be on such a kernel:"
            )?;
        }
        for (name, lack) in &self.refused {
            writeln!(formatter, "  {name}: {lack}")?;
        }
        if !self.failed.is_empty() {
            writeln!(formatter, "failed:")?;
        }
        for name in &self.failed {
            writeln!(formatter, "  {name}")?;
        }
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        write!(
            formatter,
            "{} passed, {failed} failed, {skipped} skipped",
            self.passed
        )?;
        match self.refused.len() {
            0 => Ok(()),
            refused => write!(formatter, ", {refused} refused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: usize, failed: &[&str], finished: bool) -> Counts {
        let failed = failed.iter().map(|&name| name.to_owned()).collect();
        Counts {
            passed,
            failed,
            finished,
            ..Counts::default()
        }
    }

    #[test]
    fn the_count_is_alone_on_the_last_line() {
        let mut report = Report::default();
        report.pass();
        report.skip("miri", &"not installed");
        report.harness("unit tests", counts(4, &["net::loss"], true), false);
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some("5 passed, 1 failed, 1 skipped"));
        assert!(text.contains("miri: not installed"));
        assert!(text.contains("unit tests: net::loss"));
        assert!(!report.is_good());
    }

    #[test]
    fn a_refusal_is_good_and_counted() {
        let mut report = Report::default();
        report.refuse("debian-6.1: net delay", &"tcx");
        assert!(report.is_good());
        let text = report.to_string();
        assert_eq!(
            text.lines().last(),
            Some("0 passed, 0 failed, 0 skipped, 1 refused")
        );
        assert!(text.contains("debian-6.1: net delay: tcx"));
    }

    #[test]
    fn a_compile_error_is_a_failure() {
        let mut report = Report::default();
        report.harness("unit tests", counts(0, &[], false), false);
        assert_eq!(
            report.to_string().lines().last(),
            Some("0 passed, 1 failed, 0 skipped")
        );
    }

    #[test]
    fn a_harness_without_a_result_is_a_failure() {
        let mut report = Report::default();
        report.harness("end to end", counts(0, &[], false), true);
        assert!(!report.is_good());
    }
}
