use super::*;
use crate::{
    junit::form,
    measure::{Fate, Verdict},
    suite::compare::{Difference, Scores, compare},
    trials::{
        Bad,
        tests::{recovered, trial},
    },
};
use injector_spec::{error::Refusal, experiment::Fingerprint};

fn suite(experiments: Vec<(&str, Vec<Trial>)>) -> Suite {
    Suite {
        format: FORMAT.to_owned(),
        folder: "game-days".to_owned(),
        conditions: Conditions {
            platform: Platform {
                kernel: "6.12.48-cloud".to_owned(),
                injector: "0.1.0".to_owned(),
            },
            build: None,
        },
        experiments: experiments
            .into_iter()
            .map(|(file, trials)| Tried {
                file: file.to_owned(),
                name: format!("{file}'s <name>"),
                fingerprint: Fingerprint::of_bits(7),
                trials,
                took_ms: 1_500,
            })
            .collect(),
        ended: None,
    }
}

fn held(fate: Fate) -> Trial {
    trial(Verdict::Held, fate)
}

fn deviated() -> Trial {
    let never = Fate::Never { at_least_ms: 9_000 };
    trial(Verdict::Deviated("`api` was bad & <late>".into()), never)
}

fn unmet() -> Trial {
    trial(Verdict::Inconclusive("no fault hit".into()), Fate::NotMet)
}

#[test]
fn what_got_worse_is_named_and_what_does_not_tell_is_not() {
    let before = suite(vec![
        ("a", vec![held(Fate::Absorbed)]),
        ("b", vec![held(recovered(1_000)), held(recovered(1_100))]),
        ("c", vec![unmet()]),
        ("gone", vec![deviated()]),
    ]);
    let now = suite(vec![
        ("a", vec![deviated()]),
        ("b", vec![held(recovered(1_400)), held(recovered(1_500))]),
        ("c", vec![deviated()]),
        ("new", vec![held(Fate::Absorbed)]),
    ]);
    let told = compare(&before, &now);
    let words: Vec<String> = told.regressions.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "`a`: held before, deviated now",
            "`a`: probe `api`: stayed good before, RTA at least 9s now",
            "`b`: probe `api`: RTA 1.1s before, RTA 1.5s now",
        ]
    );
    assert_eq!(
        (told.new, told.gone),
        (vec!["new".into()], vec!["gone".into()])
    );
    let back = compare(&now, &before);
    assert_eq!(back.improvements.len(), 3);
    assert!(back.improvements.iter().any(|change| change.what
        == Difference::Rta {
            probe: "api".into(),
            before: Some(Bad::ForMs(1_500)),
            now: Some(Bad::ForMs(1_100)),
        }));
}

/// Runs that overlap, or lie apart by less than a fifth, are the same.
#[test]
fn noise_is_no_regression() {
    let of = |ms: &[u64]| {
        let runs = ms.iter().map(|ms| held(recovered(*ms))).collect();
        suite(vec![("a", runs)])
    };
    for (before, now) in [
        (&[1_000, 1_400][..], &[1_300, 1_900][..]),
        (&[1_000], &[1_200]),
    ] {
        let told = compare(&of(before), &of(now));
        assert_eq!(told.regressions, [], "{before:?} {now:?}");
    }
    let same = suite(vec![("a", vec![held(Fate::Absorbed)])]);
    assert_eq!(compare(&same, &same).regressions, []);
}

#[test]
fn scores_are_compared_only_where_all_agrees() {
    let one = suite(vec![("a", vec![held(Fate::Absorbed)])]);
    let told = |change: fn(&mut Conditions)| {
        let mut other = one.clone();
        change(&mut other.conditions);
        compare(&one, &other).scores
    };
    let is_comparable = |scores| matches!(scores, Scores::Comparable { .. });
    assert!(is_comparable(told(|_| {})));
    assert!(is_comparable(told(
        |it| it.platform.kernel = "6.12.1".into()
    )));
    assert!(!is_comparable(told(
        |it| it.platform.kernel = "6.13.1".into()
    )));
    assert!(!is_comparable(told(|it| it.build = Some("2".into()))));
}

/// What asks for something else is no worse and no better for it.
#[test]
fn experiments_that_changed_are_named_and_not_compared() {
    let before = suite(vec![("a", vec![held(Fate::Absorbed)])]);
    let mut now = suite(vec![("a", vec![deviated()])]);
    now.experiments[0].fingerprint = Fingerprint::of_bits(8);
    let told = compare(&before, &now);
    assert_eq!(
        (told.changed, told.regressions),
        (vec!["a".to_owned()], vec![])
    );
    assert!(matches!(told.scores, Scores::NotComparable { .. }));
}

#[test]
fn junit_has_a_case_for_each_and_nothing_that_breaks_it() {
    let refused = Trial::Refused(Refusal::usage("\u{1b}[31m no \"root\""));
    let all = suite(vec![
        ("a", vec![held(Fate::Absorbed)]),
        ("b", vec![held(Fate::Absorbed), deviated()]),
        ("c", vec![unmet()]),
        ("d", vec![refused]),
        ("e", Vec::new()),
    ]);
    let text = junit::junit(&all);
    assert_eq!(form::check(&text), Ok(()), "{text}");
    assert!(text.contains("tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"2\" time=\"7.500\""));
    assert!(text.contains("name=\"b&apos;s &lt;name&gt;\" classname=\"b\" time=\"1.500\">"));
    assert!(text.contains("<failure message=\"`api` was bad &amp; &lt;late&gt;\"/>"));
    assert!(text.contains("<error message=\"\\u{1b}[31m no &quot;root&quot;\"/>"));
    assert!(text.contains("<skipped message=\"not run\"/>"));
    assert_eq!(all.exit(), Exit::Usage);
}

#[test]
fn markdown_names_what_got_worse() {
    let before = suite(vec![("a|b", vec![held(Fate::Absorbed)])]);
    let now = suite(vec![("a|b", vec![deviated()])]);
    let text = markdown::markdown(&now, Some(&compare(&before, &now)));
    assert!(
        text.starts_with("**deviated 1 of 1** in `game-days`; score **0, 1 run"),
        "{text}"
    );
    assert!(text.contains("| `a/b` | deviated 1 of 1 | "), "{text}");
    assert!(text.contains("\nWorse than before:\n\n- "), "{text}");
    assert!(text.contains("Score 100 before, 0 now."), "{text}");
}

#[test]
fn a_kept_suite_is_read_again_and_others_are_refused_by_name() {
    let kept = suite(vec![("a", vec![deviated()])]);
    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(Suite::parse(text.as_bytes()).unwrap(), kept);
    let newer = text.replace(FORMAT, "injector-suite/v2");
    let error = Suite::parse(newer.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("`injector-suite/v2`"), "{error}");
    for other in ["", "{}", "[]", "{\"format\":\"injector-suite/v1\"}"] {
        assert!(
            matches!(Suite::parse(other.as_bytes()), Err(SuiteError::Another)),
            "{other}"
        );
    }
}

#[test]
fn a_suite_that_ended_early_is_never_green() {
    let mut ended = suite(vec![("a", vec![held(Fate::Absorbed)])]);
    assert_eq!(ended.exit(), Exit::Done);
    ended.ended = Some("the command was asked to end".into());
    assert_eq!(ended.exit(), Exit::Failed);
    assert_eq!(suite(Vec::new()).exit(), Exit::Inconclusive);
}
