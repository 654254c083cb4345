//! Accounts of runs in which anything was measured and things are called anything.

use proptest::prelude::*;

use super::*;
use crate::journal::Stamped;

/// What every text of a journal begins with, so that it is found again.
const MARK: &str = "<zq";

fn text() -> impl Strategy<Value = String> {
    "[<>&\"'`|*_\\\\#\\n\\r\u{202e}\u{1b}a-z -]{0,24}".prop_map(|text| format!("{MARK} {text}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was measured and however things are called, a text comes out, and names stay names.
    #[test]
    fn rendering_is_total_and_escaped(
        texts in prop::collection::vec(text(), 6..7),
        answers in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..60),
        boots in prop::collection::vec(any::<u64>(), 6..7),
        is_ended: bool,
    ) {
        let experiment = Experiment {
            name: texts[0].clone(),
            hypothesis: Some(texts[1].clone()),
            ..experiment()
        };
        let samples = answers.iter().map(|(at_ns, took_us, is_right)| Sample {
            at_ns: *at_ns,
            took_us: *took_us,
            wrong: (!is_right).then(|| texts[2].clone()),
        }).collect();
        let started = Record::Started {
            run: run(), name: texts[0].clone(), by_uid: 0, by_pid: 1, login_uid: None, config: None,
            supervisor: None, platform: None, experiment: Box::new(experiment.clone()),
        };
        let why = texts[3].clone();
        let last = if is_ended {
            let outcome = Outcome::Failed { why };
            Record::Ended { report: RunReport { outcome, judgement: None, ..report(&experiment, &[]) } }
        } else {
            Record::Aborted { why }
        };
        let (probe, how) = (texts[4].clone(), texts[5].clone());
        let records = [
            started,
            Record::Planned { text: texts[1].clone(), faults: Vec::new(), limits: Limits::default(), picked: Vec::new() },
            Record::StepStarted { step: "slow".into() },
            Record::Sampled { answers: [(probe, samples)].into() },
            Record::TargetEnded { target: texts[2].clone(), how, after_ms: 7 },
            last,
        ];
        let records = records.into_iter().zip(boots).zip(0..);
        let replay = Replay {
            records: records.map(|((record, boot_ns), seq)| Stamped { seq, boot_ns, unix_ms: boot_ns, record }).collect(),
            damaged: Vec::new(),
        };
        let state = RunState::Aborted { why: Some(texts[3].clone()) };
        let listed = ListedRun {
            run: run(), name: texts[0].clone(), state, started_unix_ms: Some(u64::MAX), supervisor: None,
            asked: None, to_restore: Vec::new(), faults: experiment.describe(), damaged_lines: 0, report: None,
        };
        let account = Account::of(listed, &replay);
        is_well_formed(&account);
        let (page, card) = (html(&account).unwrap(), markdown(&account));
        prop_assert!(!page.contains(MARK), "{}", page);
        // What stands between ticks is code, and means itself.
        let unescaped = card.replace(r"\\", "").replace(r"\`", "").replace(r"\<", "");
        prop_assert!(unescaped.split('`').step_by(2).all(|text| !text.contains('<')), "{}", card);
        for text in [&page, &card] {
            prop_assert!(!text.contains(['\u{202e}', '\u{1b}', '\r']), "{}", text);
        }
        for row in card.lines().filter(|line| line.starts_with('|')) {
            let cells = row.replace(r"\\", "").replace(r"\|", "").matches('|').count();
            prop_assert_eq!(cells, 6, "{}", row);
        }
    }

    /// A long series becomes a short picture, and no bad answer is lost from it.
    #[test]
    fn a_long_series_is_thinned_and_keeps_what_is_bad(bad_at in prop::collection::btree_set(0u64..20_000, 0..40)) {
        let samples = (0..20_000u64).map(|number| Sample {
            at_ns: ARMED + number * MS,
            took_us: 1_000 + number * 7919 % 5_000,
            wrong: bad_at.contains(&number).then(|| "refused".to_owned()),
        }).collect();
        let record = Record::Sampled { answers: [("x".to_owned(), samples)].into() };
        let account = account(&[(ARMED, Record::Armed), (ARMED, record)]);
        let charts = chart::Chart::all(&account);
        let (_, chart) = &charts[0];
        prop_assert!(chart.right.len() < 40_000, "{}", chart.right.len());
        let marks = chart.bad.matches('M').count();
        prop_assert!(marks <= bad_at.len());
        // At most a few share a pixel.
        prop_assert!(marks + 3 >= bad_at.len() * 9 / 10, "{} of {}", marks, bad_at.len());
        prop_assert!(bad_at.is_empty() == (marks == 0));
    }
}
