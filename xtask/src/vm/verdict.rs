//! What each test of a harness came to, with refusals told apart from failures.
//!
//! A kernel that lacks what a fault needs is no failure of injector's, if injector says so before it
//! attaches anything. Such a test fails inside the guest, with the refusal in its message.

use std::collections::BTreeMap;

use crate::libtest;

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// injector refused, because the kernel lacks this.
    Refused(String),
    /// The first line of the message.
    Failed(String),
    Skipped(String),
}

/// Reads the output of a harness: name to verdict.
pub(super) fn read(output: &str) -> BTreeMap<String, Verdict> {
    let messages = messages(output);
    let skipped = libtest::read(output).skipped;
    let mut verdicts = BTreeMap::new();
    for (name, word) in output.lines().filter_map(libtest::verdict) {
        let verdict = if word == "FAILED" {
            let message = messages.get(name).map_or("no message", String::as_str);
            refusal(message).map_or_else(
                || Verdict::Failed(message.lines().next().unwrap_or_default().to_owned()),
                |lack| Verdict::Refused(lack.to_owned()),
            )
        } else {
            Verdict::Passed
        };
        verdicts.insert(name.to_owned(), verdict);
    }
    for (name, reason) in skipped {
        if !matches!(
            verdicts.get(&name),
            Some(Verdict::Failed(_) | Verdict::Refused(_))
        ) {
            verdicts.insert(name, Verdict::Skipped(reason));
        }
    }
    verdicts
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

/// What the kernel lacks, by injector's words: `FAULT needs CAPABILITY, which this host lacks`.
fn refusal(message: &str) -> Option<&str> {
    let (before, _) = message.split_once(", which this host lacks")?;
    before.rsplit_once(" needs ").map(|(_, lack)| lack)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 4 tests
test effect::delay ... FAILED
test effect::errno ... ok
test effect::loss  ... FAILED
skipped effect::v6: no IPv6
test effect::v6 ... ignored

failures:

---- effect::delay ----
not armed; its standard error: \"net.delay needs tcx, which this host lacks: Invalid argument\"

---- effect::loss ----
3 of 400 got lost
and more

failures:
    effect::delay
    effect::loss

test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out
";

    #[test]
    fn refusals_are_told_from_failures() {
        let verdicts = read(OUTPUT);
        assert_eq!(verdicts["effect::delay"], Verdict::Refused("tcx".into()));
        assert_eq!(
            verdicts["effect::loss"],
            Verdict::Failed("3 of 400 got lost".into())
        );
        assert_eq!(verdicts["effect::errno"], Verdict::Passed);
        assert_eq!(verdicts["effect::v6"], Verdict::Skipped("no IPv6".into()));
        assert_eq!(verdicts.len(), 4);
    }
}
