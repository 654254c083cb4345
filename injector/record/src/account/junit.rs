//! An account as JUnit's XML: a suite for the run, a case for its verdict, one for each probe, whose time is its
//! RTA, one for the detection, and one for each ledger.

use super::{Account, Series, words};
use crate::{
    journal::{self, RunState},
    junit::{Came, Case, Suite},
    measure::{Detection, Fate, Judgement, Standing},
};
use injector_spec::experiment::ProbeRole;

/// The account as XML, with a line feed behind each line.
pub fn junit(account: &Account) -> String {
    let report = account.report.as_ref();
    let took_ms = report.map_or(0, |report| report.armed_for_ms);
    let whole = Case {
        class: account.name.clone(),
        name: "verdict".to_owned(),
        took_ms,
        came: run(account),
    };
    let probes = account.probes.iter();
    let probes = probes.map(|series| of_probe(series, account));
    let said = account.headline();
    let why = said.why.map_or_else(String::new, |why| format!(": {why}"));
    let beside = account
        .judgement()
        .map(|judgement| of_others(judgement, account));
    Suite {
        name: account.name.clone(),
        took_ms,
        timestamp: account.started_unix_ms.map(journal::time),
        properties: properties(account),
        cases: [whole]
            .into_iter()
            .chain(probes)
            .chain(beside.into_iter().flatten())
            .collect(),
        said: format!("{}{why} ({})", said.word, said.course),
    }
    .document()
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
    match (&account.state, account.verdict()) {
        (RunState::Running, _) => Came::Skipped("the run goes on".to_owned()),
        (RunState::Aborted { .. }, _) => Came::Error(aborted(account)),
        (RunState::Ended { outcome }, verdict) => {
            let report = account.report.as_ref();
            let undo_errors = report.map_or(&[][..], |report| &report.undo_errors);
            Came::of(outcome, verdict, undo_errors)
        }
    }
}

fn aborted(account: &Account) -> String {
    let why = account.headline().why;
    format!("aborted: {}", why.unwrap_or_default())
}

fn of_probe(series: &Series, account: &Account) -> Case {
    let took = series.fate.as_ref().and_then(Fate::recovery);
    Case {
        class: account.name.clone(),
        name: words::probe(series),
        took_ms: took.map_or(0, |took| took.rta_ms),
        came: probe(series, account),
    }
}

/// A case for the detection, whose time is that until the alarm was on, and one for each ledger.
fn of_others(judgement: &Judgement, account: &Account) -> Vec<Case> {
    let case = |name: String, took_ms: u64, standing: Standing| Case {
        class: account.name.clone(),
        name,
        took_ms,
        came: came(standing, account),
    };
    let detection = judgement.detection.iter().map(|detected| {
        let took_ms = match detected.came {
            Detection::Detected { after_ms, .. } => after_ms,
            Detection::NoImpact
            | Detection::NotDetected { .. }
            | Detection::NotMeasurable { .. } => 0,
        };
        case(
            format!("{} (detection)", detected.probe),
            took_ms,
            detected.standing(),
        )
    });
    let ledgers = judgement
        .ledgers
        .iter()
        .map(|ledger| case(format!("{} (ledger)", ledger.ledger), 0, ledger.standing()));
    detection.chain(ledgers).collect()
}

fn came(standing: Standing, account: &Account) -> Came {
    if let Came::Skipped(why) = run(account) {
        return Came::Skipped(why);
    }
    match standing {
        Standing::Within => Came::Passed,
        Standing::Deviated(why) => Came::Failed(why),
        Standing::Unsafe(why) => Came::Error(why),
        Standing::Unseen(why) => Came::Skipped(why),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::{account, experiment, records};
    use crate::junit::form;
    use crate::{measure::Verdict, report::Outcome};

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
        assert_eq!(form::check(&text), Ok(()), "{text}");
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
            of[0].contains(r#"<failure message="so &lt;it&gt; was"/>"#),
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
}
