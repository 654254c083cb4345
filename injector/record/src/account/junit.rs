//! An account as JUnit's XML, which the servers of continuous integration read: a suite for the run, a case for its
//! verdict, and one for each probe.
//!
//! The form is that of Jenkins' schema (`junit-10.xsd`), which others take, too: properties, cases and a text, in this
//! order. A case fails where its probe deviated or the run was halted, is an error where a bystander was hurt or the
//! run broke off, and is skipped where nothing can be said; so a pipeline is never green on nothing. The time of a
//! probe's case is its RTA.
//!
//! Rejected: a crate that writes XML, for a form of six elements; the escaping is below, with its own test.

use std::fmt::Write as _;

use super::{Account, Series, words};
use crate::{
    journal::{self, RunState},
    measure::{Fate, Verdict},
    report::Outcome,
};
use injector_spec::{experiment::ProbeRole, printable};

/// What a case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Passed,
    /// It did not hold.
    Failed(String),
    /// Something is wrong beyond that.
    Error(String),
    /// There is nothing to say.
    Skipped(String),
}

/// One case.
struct Case {
    name: String,
    /// In milliseconds.
    took_ms: u64,
    came: Came,
}

/// The account as XML, with a line feed behind each line.
pub fn junit(account: &Account) -> String {
    let armed_ms = account
        .report
        .as_ref()
        .map_or(0, |report| report.armed_for_ms);
    let whole = Case {
        name: "verdict".to_owned(),
        took_ms: armed_ms,
        came: run(account),
    };
    let probes = account
        .probes
        .iter()
        .map(|series| of_probe(series, account));
    let cases: Vec<Case> = [whole].into_iter().chain(probes).collect();
    let count = |is: fn(&Came) -> bool| cases.iter().filter(|case| is(&case.came)).count();
    let failures = count(|came| matches!(came, Came::Failed(_)));
    let errors = count(|came| matches!(came, Came::Error(_)));
    let skipped = count(|came| matches!(came, Came::Skipped(_)));
    let counts = format!(
        r#"tests="{}" failures="{failures}" errors="{errors}""#,
        cases.len()
    );
    let time = seconds(armed_ms);
    let name = escaped(&account.name);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        r#"<testsuites name="injector" {counts} time="{time}">"#
    );
    let started = account.started_unix_ms.map_or_else(String::new, |started| {
        format!(r#" timestamp="{}""#, journal::time(started))
    });
    let _ = writeln!(
        text,
        r#"  <testsuite name="{name}" {counts} skipped="{skipped}" time="{time}"{started}>"#
    );
    text.push_str("    <properties>\n");
    for (term, value) in properties(account) {
        let value = escaped(&value);
        let _ = writeln!(text, r#"      <property name="{term}" value="{value}"/>"#);
    }
    text.push_str("    </properties>\n");
    for case in &cases {
        push(&mut text, &name, case);
    }
    let said = account.headline();
    let why = said.why.map_or_else(String::new, |why| format!(": {why}"));
    let said = escaped(&format!("{}{why} ({})", said.word, said.course));
    let _ = writeln!(text, "    <system-out>{said}</system-out>");
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn push(text: &mut String, class: &str, case: &Case) {
    let head = format!(
        r#"    <testcase name="{}" classname="{class}" time="{}""#,
        escaped(&case.name),
        seconds(case.took_ms)
    );
    let (element, why) = match &case.came {
        Came::Passed => {
            let _ = writeln!(text, "{head}/>");
            return;
        }
        Came::Failed(why) => (r#"failure type="deviated""#, why),
        Came::Error(why) => (r#"error type="unsafe""#, why),
        Came::Skipped(why) => ("skipped", why),
    };
    let why = escaped(why);
    let _ = writeln!(
        text,
        "{head}>\n      <{element} message=\"{why}\"/>\n    </testcase>"
    );
}

fn properties(account: &Account) -> Vec<(&'static str, String)> {
    let mut terms = vec![("run", account.run.to_string())];
    let fingerprint = account.fingerprint;
    terms.extend(fingerprint.map(|fingerprint| ("experiment", fingerprint.to_string())));
    if let Some(platform) = &account.platform {
        terms.push(("kernel", platform.kernel.clone()));
        terms.push(("injector", platform.injector.clone()));
    }
    terms.extend(account.rto_ms().map(|rto| ("rto", words::millis(rto))));
    terms
}

/// What the run as a whole came to.
fn run(account: &Account) -> Came {
    let verdict = account.judgement().map(|judgement| &judgement.verdict);
    match (&account.state, verdict) {
        (RunState::Running, _) => Came::Skipped("the run goes on".to_owned()),
        (RunState::Aborted { .. }, _) => Came::Error(aborted(account)),
        (RunState::Ended { .. }, Some(verdict)) => match verdict {
            Verdict::Held => Came::Passed,
            Verdict::Deviated(why) => Came::Failed(why.clone()),
            Verdict::Halted(why) => Came::Failed(format!("halted: {why}")),
            Verdict::Unsafe(why) => Came::Error(why.clone()),
            Verdict::Inconclusive(why) => Came::Skipped(why.clone()),
        },
        (RunState::Ended { outcome }, None) => match outcome {
            Outcome::Halted { why } => Came::Failed(format!("halted: {why}")),
            Outcome::Failed { why } => Came::Error(format!("failed: {why}")),
            Outcome::Unsteady { why } => Came::Skipped(why.clone()),
            Outcome::Completed | Outcome::Stopped | Outcome::TargetEnded { .. } => Came::Skipped(
                "the run was not judged: its experiment has no steady state".to_owned(),
            ),
        },
    }
}

fn aborted(account: &Account) -> String {
    let why = account.headline().why;
    format!("aborted: {}", why.unwrap_or_default())
}

fn of_probe(series: &Series, account: &Account) -> Case {
    let took = series.fate.as_ref().and_then(Fate::recovery);
    Case {
        name: words::probe(series),
        took_ms: took.map_or(0, |took| took.rta_ms),
        came: probe(series, account),
    }
}

fn probe(series: &Series, account: &Account) -> Came {
    match run(account) {
        Came::Skipped(why) => return Came::Skipped(why),
        Came::Error(why) if account.judgement().is_none() => return Came::Error(why),
        Came::Passed | Came::Failed(_) | Came::Error(_) => {}
    }
    let Some(fate) = &series.fate else {
        return Came::Skipped("it was not judged".to_owned());
    };
    let bad = series.under_fault.bad.saturating_add(series.recovery.bad);
    if series.role == Some(ProbeRole::Control) && bad > 0 {
        return Came::Error(format!("a bystander {fate} ({bad} bad)"));
    }
    match fate {
        Fate::Absorbed | Fate::Adapted(_) | Fate::Recovered(_) => Came::Passed,
        Fate::Late(_) | Fate::Never { .. } => {
            let rto = account.rto_ms().map_or_else(String::new, |rto| {
                format!("; the objective is {}", words::millis(rto))
            });
            Came::Failed(format!("{fate}{rto}"))
        }
        Fate::NotMet | Fate::NotMeasurable { .. } => Came::Skipped(fate.to_string()),
    }
}

/// Seconds with three digits behind the point, as the schema wants them.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// A text on one line, as an attribute or between tags. What XML 1.0 has no way to say is escaped by
/// [`printable::line`] or replaced.
fn escaped(text: &str) -> String {
    let line = printable::line(text);
    let mut escaped = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::account::tests::{account, experiment, records};

    fn with(verdict: Verdict, fates: [Fate; 2]) -> Account {
        let mut account = account(&records(&experiment(), 12..14));
        let judgement = account.report.as_mut().unwrap().judgement.as_mut();
        judgement.unwrap().verdict = verdict;
        for (series, fate) in account.probes.iter_mut().zip(fates) {
            series.fate = Some(fate);
        }
        account
    }

    fn never() -> Fate {
        Fate::Never { at_least_ms: 7_000 }
    }

    /// The lines of the three cases, with what they came to.
    fn cases(account: &Account) -> Vec<String> {
        let text = junit(account);
        for tag in ["testsuites", "testsuite", "properties", "system-out"] {
            let closed = format!("</{tag}>");
            assert_eq!(text.matches(&closed).count(), 1, "{text}");
        }
        let (_, cases) = text.split_once("</properties>").unwrap();
        let (cases, _) = cases.split_once("<system-out>").unwrap();
        let cases = cases.split("<testcase ").skip(1);
        cases.map(str::to_owned).collect()
    }

    fn counts(account: &Account) -> String {
        let text = junit(account);
        let line = text
            .lines()
            .find(|line| line.contains("<testsuite "))
            .unwrap();
        let (_, counts) = line.split_once("tests=").unwrap();
        counts.split(" time=").next().unwrap().to_owned()
    }

    #[test]
    fn each_verdict_has_its_element() {
        let absorbed = || [Fate::Absorbed, Fate::Absorbed];
        let held = with(Verdict::Held, absorbed());
        assert_eq!(counts(&held), r#""3" failures="0" errors="0" skipped="0""#);
        assert!(
            cases(&held)
                .iter()
                .all(|case| case.contains("/>") && !case.contains("message"))
        );
        let why = || "so <it> was".to_owned();
        let deviated = with(Verdict::Deviated(why()), [never(), Fate::Absorbed]);
        assert_eq!(
            counts(&deviated),
            r#""3" failures="2" errors="0" skipped="0""#
        );
        let of = cases(&deviated);
        assert!(
            of[0].contains(r#"<failure type="deviated" message="so &lt;it&gt; was"/>"#),
            "{of:?}"
        );
        assert!(
            of[1].contains("was bad for at least 7s; the objective is 5s"),
            "{of:?}"
        );
        let mut hurt = with(Verdict::Unsafe(why()), absorbed());
        hurt.probes[1].recovery.bad = 2;
        assert_eq!(counts(&hurt), r#""3" failures="0" errors="2" skipped="0""#);
        let inconclusive = with(Verdict::Inconclusive(why()), [never(), Fate::Absorbed]);
        assert_eq!(
            counts(&inconclusive),
            r#""3" failures="0" errors="0" skipped="3""#
        );
        let halted = with(Verdict::Halted(why()), absorbed());
        assert_eq!(
            counts(&halted),
            r#""3" failures="1" errors="0" skipped="0""#
        );
        let unseen = with(Verdict::Deviated(why()), [never(), Fate::NotMet]);
        assert_eq!(
            counts(&unseen),
            r#""3" failures="2" errors="0" skipped="1""#
        );
    }

    #[test]
    fn a_run_without_a_verdict_is_never_green() {
        let whole = records(&experiment(), 12..14);
        let aborted = account(&whole[..8]);
        assert_eq!(
            counts(&aborted),
            r#""3" failures="0" errors="3" skipped="0""#
        );
        let mut plain = account(&whole);
        plain.report.as_mut().unwrap().judgement = None;
        assert_eq!(counts(&plain), r#""3" failures="0" errors="0" skipped="3""#);
        let why = || "so it was".to_owned();
        for (outcome, wanted) in [
            (
                Outcome::Failed { why: why() },
                r#""3" failures="0" errors="3" skipped="0""#,
            ),
            (
                Outcome::Halted { why: why() },
                r#""1" failures="1" errors="0" skipped="0""#,
            ),
            (
                Outcome::Unsteady { why: why() },
                r#""3" failures="0" errors="0" skipped="3""#,
            ),
        ] {
            plain.state = RunState::Ended { outcome };
            if wanted.starts_with(r#""1""#) {
                let probes = std::mem::take(&mut plain.probes);
                assert_eq!(counts(&plain), wanted);
                plain.probes = probes;
            } else {
                assert_eq!(counts(&plain), wanted);
            }
        }
    }

    proptest! {
        /// Whatever a text has, it stays a text, and every character of it is one that XML 1.0 has.
        #[test]
        fn texts_are_escaped(text in "\\PC*|[\\x00-\\x1f<>&\"'\u{fffe}\u{ffff}\u{202e}]*") {
            let escaped = escaped(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let is_allowed = |c: char| matches!(c, ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
            prop_assert!(escaped.chars().all(is_allowed), "{:?}", escaped);
            let mut back = escaped;
            for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")] {
                back = back.replace(entity, character);
            }
            let line = printable::line(&text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
            prop_assert_eq!(back, line);
        }
    }
}
