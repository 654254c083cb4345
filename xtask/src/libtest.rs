//! Reading what a test harness prints.
//!
//! Understood are `test NAME ... VERDICT` lines, the closing `test result:` lines, and the project's
//! own announcements:
//! - `skipped NAME: REASON`: the test found out that this machine lacks what the test needs.
//! - `refused NAME: LACK`: injector said by name that this kernel lacks what the fault needs.
//! - `shows NAME: FAULT`: the test tells whether this fault works here.
//!
//! Harnesses know no such verdicts and count these tests as passed; here the first two are taken out
//! of the passed ones, because a skip that looks like a pass hides what was not tested.

use std::collections::BTreeMap;

/// What a harness counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    /// The names of the failed tests.
    pub(crate) failed: Vec<String>,
    /// Name to reason.
    pub(crate) skipped: BTreeMap<String, String>,
    /// Name to what injector said that the kernel lacks.
    pub(crate) refused: BTreeMap<String, String>,
    /// Name to the fault that it tells about, for every test that does.
    pub(crate) shows: BTreeMap<String, String>,
    /// The harness got as far as its closing line.
    pub(crate) finished: bool,
}

/// Reads the output of one or several harnesses that ran one after the other.
pub(crate) fn read(output: &str) -> Counts {
    let mut counts = Counts::default();
    let mut skips = BTreeMap::new();
    let mut failed_total = 0;
    for line in output.lines() {
        if let Some((name, reason)) = announced(line, "skipped ") {
            skips.insert(name.to_owned(), reason.to_owned());
        } else if let Some((name, lack)) = announced(line, "refused ") {
            counts.refused.insert(name.to_owned(), lack.to_owned());
        } else if let Some((name, fault)) = announced(line, "shows ") {
            counts.shows.insert(name.to_owned(), fault.to_owned());
        } else if let Some(totals) = line.strip_prefix("test result:") {
            counts.finished = true;
            counts.passed += number_before(totals, "passed");
            failed_total += number_before(totals, "failed");
        } else if let Some((name, verdict)) = verdict(line) {
            match verdict.split(',').next() {
                Some("FAILED") => counts.failed.push(name.to_owned()),
                Some("ignored") => {
                    let reason = verdict
                        .split_once(", ")
                        .map_or("marked as ignored", |it| it.1);
                    counts.skipped.insert(name.to_owned(), reason.to_owned());
                }
                _ => {}
            }
        }
    }
    // A verdict line can be torn apart by the output of the test; the totals are whole.
    while counts.failed.len() < failed_total {
        counts.failed.push("a test named above".to_owned());
    }
    counts.passed = counts.passed.saturating_sub(counts.refused.len());
    for (name, reason) in skips {
        if counts.failed.contains(&name) {
            continue;
        }
        if counts.skipped.insert(name, reason).is_none() {
            counts.passed = counts.passed.saturating_sub(1);
        }
    }
    counts
}

/// `WORD NAME: TEXT`, at the start of a line or after a verdict that is still to come.
fn announced<'line>(line: &'line str, word: &str) -> Option<(&'line str, &'line str)> {
    let own = line.split_once(" ... ").map_or(line, |(_, rest)| rest);
    let (name, text) = own.strip_prefix(word)?.split_once(": ")?;
    (!name.contains(char::is_whitespace)).then_some((name, text))
}

/// `test NAME ... VERDICT`
pub(crate) fn verdict(line: &str) -> Option<(&str, &str)> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    Some((name.trim_end(), verdict.trim()))
}

/// The number in `... 12 passed; ...`
fn number_before(totals: &str, word: &str) -> usize {
    let words: Vec<&str> = totals.split_whitespace().collect();
    words
        .windows(2)
        .find(|pair| pair[1].trim_end_matches(';') == word)
        .and_then(|pair| pair[0].parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = "finished in 0.01s";

    #[test]
    fn several_harnesses_are_added_up() {
        let output = format!(
            "running 2 tests\ntest a ... ok\ntest b::c ... FAILED\n\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; {END}\n\
             test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; {END}\n"
        );
        let counts = read(&output);
        assert_eq!(counts.passed, 13);
        assert_eq!(counts.failed, ["b::c"]);
        assert!(counts.skipped.is_empty());
        assert!(counts.finished);
    }

    #[test]
    fn ignored_tests_are_skips_with_their_reason() {
        let output = "test slow ... ignored, takes an hour\ntest odd         ... ignored\n\
                      test result: ok. 0 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out\n";
        let counts = read(output);
        assert_eq!(counts.skipped["slow"], "takes an hour");
        assert_eq!(counts.skipped["odd"], "marked as ignored");
        assert_eq!(counts.passed, 0);
    }

    #[test]
    fn an_announced_skip_is_not_a_pass() {
        let output = "skipped ipv6: no IPv6 here\ntest ipv6 ... ok\ntest loss ... ok\n\
                      test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let counts = read(output);
        assert_eq!(counts.passed, 1);
        assert_eq!(counts.skipped["ipv6"], "no IPv6 here");
    }

    #[test]
    fn a_skip_inside_a_verdict_line_is_seen() {
        let output = "test ipv6 ... skipped ipv6: no IPv6 here\nok\n\
                      test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let counts = read(output);
        assert_eq!(counts.passed, 0);
        assert_eq!(counts.skipped["ipv6"], "no IPv6 here");
    }

    #[test]
    fn an_announced_and_ignored_test_is_counted_once() {
        let output = "skipped tree: no tracepoints\ntest tree ... ignored\ntest loss ... ok\n\
                      test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n";
        let counts = read(output);
        assert_eq!(counts.passed, 1);
        assert_eq!(counts.skipped.len(), 1);
        assert_eq!(counts.skipped["tree"], "no tracepoints");
    }

    #[test]
    fn a_refusal_is_neither_a_pass_nor_a_skip() {
        let output = "shows delay: net delay\ntest delay ... refused delay: tcx\nok\n\
                      test loss ... ok\n\
                      test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let counts = read(output);
        assert_eq!((counts.passed, counts.skipped.len()), (1, 0));
        assert_eq!(counts.refused["delay"], "tcx");
        assert_eq!(counts.shows["delay"], "net delay");
    }

    #[test]
    fn a_failed_test_stays_failed_whatever_it_announced() {
        let output = "skipped loss: not today\ntest loss ... FAILED\n\
                      test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered\n";
        let counts = read(output);
        assert_eq!(
            (counts.passed, counts.failed.len(), counts.skipped.len()),
            (3, 1, 0)
        );
    }

    #[test]
    fn a_torn_failure_line_is_counted_by_the_totals() {
        let output = "test loss ... some output\nFAILED\n\
                      test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered\n";
        assert_eq!(read(output).failed.len(), 1);
    }

    #[test]
    fn a_harness_that_died_has_not_finished() {
        assert!(!read("running 2 tests\ntest a ... ok\n").finished);
        assert!(!read("").finished);
    }

    #[test]
    fn prose_is_no_skip() {
        assert!(
            read("skipped the whole thing: because\n")
                .skipped
                .is_empty()
        );
    }
}
