//! What each test of a harness came to, with the first line of each failure.

use std::collections::BTreeMap;

use crate::libtest;

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// injector refused by name, because the kernel lacks this, and attached nothing.
    Refused(String),
    /// The first line of the message.
    Failed(String),
    Skipped(String),
}

/// What the tests came to.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// Name to verdict.
    pub(super) tests: BTreeMap<String, Verdict>,
    /// Name to the fault that the test tells about.
    pub(super) shows: BTreeMap<String, String>,
}

/// Reads the output of a harness.
pub(super) fn read(output: &str) -> Verdicts {
    let messages = messages(output);
    let counts = libtest::read(output);
    let mut tests = BTreeMap::new();
    for (name, word) in output.lines().filter_map(libtest::verdict) {
        let verdict = if word == "FAILED" {
            let message = messages.get(name).map_or("no message", String::as_str);
            Verdict::Failed(message.lines().next().unwrap_or_default().to_owned())
        } else {
            Verdict::Passed
        };
        tests.insert(name.to_owned(), verdict);
    }
    let refused = counts.refused.into_iter();
    let skipped = counts.skipped.into_iter();
    let announced = refused
        .map(|(name, lack)| (name, Verdict::Refused(lack)))
        .chain(skipped.map(|(name, reason)| (name, Verdict::Skipped(reason))));
    for (name, verdict) in announced {
        if !matches!(tests.get(&name), Some(Verdict::Failed(_))) {
            tests.insert(name, verdict);
        }
    }
    Verdicts {
        tests,
        shows: counts.shows,
    }
}

/// The messages of failed tests, which a harness prints after the last one: `---- NAME ----`.
fn messages(output: &str) -> BTreeMap<&str, String> {
    let mut messages = BTreeMap::new();
    let mut current = None;
    for line in output.lines() {
        let heading = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" ----"));
        if heading.is_some() {
            current = heading;
        } else if line == "failures:" {
            current = None;
        } else if let Some(name) = current {
            let message: &mut String = messages.entry(name).or_default();
            message.push_str(line);
            message.push('\n');
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
shows effect::delay: net delay
running 4 tests
test effect::delay ... refused effect::delay: tcx
ok
test effect::errno ... ok
test effect::loss  ... FAILED
skipped effect::v6: no IPv6
test effect::v6 ... ignored

failures:

---- effect::loss ----
3 of 400 got lost
and more

failures:
    effect::loss

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out
";

    #[test]
    fn refusals_are_told_from_failures() {
        let Verdicts { tests, shows } = read(OUTPUT);
        assert_eq!(tests["effect::delay"], Verdict::Refused("tcx".into()));
        assert_eq!(
            tests["effect::loss"],
            Verdict::Failed("3 of 400 got lost".into())
        );
        assert_eq!(tests["effect::errno"], Verdict::Passed);
        assert_eq!(tests["effect::v6"], Verdict::Skipped("no IPv6".into()));
        assert_eq!(tests.len(), 4);
        assert_eq!(shows["effect::delay"], "net delay");
    }
}
