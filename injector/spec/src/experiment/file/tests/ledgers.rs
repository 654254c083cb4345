//! Ledgers, their objectives and the detection, and complaints with their place.

use super::*;
use crate::experiment::{Detect, Ledger, Rpo, Source, SteadyState};

const HEAD: &str = "targets: { a: {pid: 7} }\nduration: 5s\nfaults: [net.blackhole]\nprobes: { p: 'tcp a:80' }\n\
                    steady-state: [p]\n";

/// With a second probe where that is the alarm's.
fn read(more: &str) -> Result<SteadyState, FileError> {
    let head = if more.contains("detect: q") {
        HEAD.replace("80' }", "80', q: 'tcp b:80' }")
    } else {
        HEAD.to_owned()
    };
    let experiment = parse(&format!("{head}{more}"), "ledgers.yaml", None)?;
    Ok(*experiment.steady_state.unwrap())
}

#[test]
fn two_lists_and_what_may_be_missing() {
    let lists = "detect: q\nledgers:\n  orders: { acknowledged: { file: /a }, kept: { command: [/bin/b, -x] }, within: 5s }\n  \
                 mails: { acknowledged: { http: 'http://a/x' }, kept: { file: /b } }\n";
    let steady = read(&format!(
        "{lists}objectives: {{ detect: 1m 40s, rpo: {{ ledger: orders, lost: 3, age: 5s }} }}"
    ))
    .unwrap();
    let orders = Ledger {
        name: "orders".into(),
        acknowledged: Source::File("/a".into()),
        kept: Source::Command(vec!["/bin/b".into(), "-x".into()]),
        within: Duration::from_secs(5),
        rpo: Some(Rpo {
            lost: 3,
            age: Some(Duration::from_secs(5)),
            ..Rpo::default()
        }),
    };
    let mails = &steady.ledgers[1];
    assert_eq!((&steady.ledgers[0], &mails.rpo), (&orders, &None));
    assert_eq!(mails.within, Duration::from_secs(10));
    assert_eq!(steady.objectives.detect, Some(Duration::from_secs(100)));
    let detect = steady.detect.as_ref().unwrap();
    assert_eq!(detect.name, "q");
    assert_eq!(steady.probes.len(), 1, "the alarm's probe is no other");
    let two = "objectives: { rpo: [ { ledger: mails }, { ledger: orders, torn: 1 } ] }";
    let steady = read(&format!("{lists}{two}")).unwrap();
    assert_eq!(steady.ledgers[1].rpo, Some(Rpo::default()));
    assert_eq!(steady.ledgers[0].rpo.unwrap().torn, 1);
    let json = serde_json::to_string(&steady).unwrap();
    assert_eq!(serde_json::from_str::<SteadyState>(&json).unwrap(), steady);
}

const LISTS: &str = "ledgers: { l: { acknowledged: { file: /a }, kept: { file: /b } } }\n";

/// What stands behind the head, in line 6, or behind [`LISTS`] in line 7.
#[rustfmt::skip]
const ROWS: &[(&str, u64, u64, &str)] = &[
    ("ledgers: {}", 6, 10, "names each ledger"),
    ("ledgers: [l]", 6, 10, "names each ledger"),
    ("ledgers: { l: /a }", 6, 15, "a ledger is a map of acknowledged, kept, within"),
    ("ledgers: { l: { acknowledged: { file: /a } } }", 6, 15, "a ledger needs `kept`"),
    ("ledgers: { l: { kept: { file: /a } } }", 6, 15, "a ledger needs `acknowledged`"),
    ("ledgers: { l: { acknowledged: { fil: /a }, kept: { file: /b } } }", 6, 33, "did you mean `file`?"),
    ("ledgers: { l: { acknowledged: {}, kept: { file: /b } } }", 6, 31, "one of file, command, http"),
    ("ledgers: { l: { acknowledged: { file: a }, kept: { file: /b } } }", 6, 39, "write it whole"),
    ("ledgers: { l: { acknowledged: { command: [a] }, kept: { file: /b } } }", 6, 42, "whole path"),
    ("ledgers: { l: { acknowledged: { http: 'ftp://a/' }, kept: { file: /b } } }", 6, 39, "is not an address of the web"),
    ("ledgers: { l: { acknowledged: { file: /a }, kept: { file: /b }, within: 2m } }", 6, 73, "1ms to 1m, and not 2m"),
    ("objectives: { rpo: { ledger: l } }", 6, 30, "the file has none"),
    ("detect: r", 6, 9, "no probe is called `r`"),
    ("detect: p", 5, 16, "named twice"),
    ("objectives: { detect: 30s }", 1, 1, "name it, as in `detect: alarm`"),
    ("detect: q\nobjectives: { detect: 9s }", 1, 1, "cannot tell a detection within 9s"),
];

#[rustfmt::skip]
const OBJECTIVES: &[(&str, u64, u64, &str)] = &[
    ("{ ledger: m }", 7, 30, "no ledger is called `m`; known are: l"),
    ("{ lost: 0 }", 7, 20, "`rpo` needs `ledger`"),
    ("{ ledger: l, lost: -1 }", 7, 39, "`lost` is a number of items, and not `-1`"),
    ("{ ledger: l, age: 0s }", 7, 38, "zero is no time"),
    ("{ ledger: l, max: 0 }", 7, 33, "`rpo` has no field `max`"),
    ("[ { ledger: l }, { ledger: l } ]", 7, 47, "two objectives"),
    ("[]", 7, 20, "a list of at least one"),
    ("5s", 7, 20, "a list of at least one"),
];

#[test]
fn what_is_no_ledger_is_refused_in_its_place() {
    let whole = |rpo: &str| format!("{LISTS}objectives: {{ rpo: {rpo} }}");
    let rows = ROWS.iter().map(|row| (row.0.to_owned(), row));
    let objectives = OBJECTIVES.iter().map(|row| (whole(row.0), row));
    for (text, (_, line, column, part)) in rows.chain(objectives) {
        let error = read(&text).expect_err(&text);
        assert!(error.sentence.contains(part), "{text}: {error}");
        assert_eq!(
            (error.line, error.column),
            (*line, *column),
            "{text}: {error}"
        );
    }
}

#[test]
fn ledgers_and_detection_need_probes() {
    for (key, value) in [("ledgers", "{}"), ("detect", "p")] {
        let text = format!(
            "targets: {{ a: {{pid: 7}} }}\nduration: 5s\nfaults: [net.blackhole]\n{key}: {value}\n"
        );
        let error = parse(&text, "x.yaml", None).unwrap_err();
        assert!(error.sentence.contains("needs `probes`"), "{error}");
        assert_eq!((error.line, error.column), (4, 1));
    }
}

/// What comes over the socket is no file, and is held to the same; and it is a part of what was asked.
#[test]
fn an_experiment_from_elsewhere_is_checked_too() {
    let plain = parse(HEAD, "good.yaml", None).unwrap();
    let ledger = || Ledger {
        name: "l".into(),
        acknowledged: Source::File("/a".into()),
        kept: Source::Command(vec!["/bin/a".into()]),
        within: Duration::from_secs(1),
        rpo: None,
    };
    let with = |ledgers: Vec<Ledger>| {
        let mut experiment = plain.clone();
        experiment.steady_state.as_mut().unwrap().ledgers = ledgers;
        experiment
    };
    let good = with(vec![ledger()]);
    assert_eq!(good.check(), Ok(()));
    assert_ne!(good.fingerprint(), plain.fingerprint());
    let age = Some(Duration::ZERO);
    for bad in [
        vec![ledger(), ledger()],
        vec![Ledger {
            name: " ".into(),
            ..ledger()
        }],
        vec![Ledger {
            acknowledged: Source::File("a".into()),
            ..ledger()
        }],
        vec![Ledger {
            kept: Source::Command(vec![]),
            ..ledger()
        }],
        vec![Ledger {
            within: Duration::from_secs(61),
            ..ledger()
        }],
        vec![Ledger {
            rpo: Some(Rpo {
                age,
                ..Rpo::default()
            }),
            ..ledger()
        }],
        (0..9)
            .map(|n| Ledger {
                name: n.to_string(),
                ..ledger()
            })
            .collect(),
    ] {
        assert!(with(bad.clone()).check().is_err(), "{bad:?}");
    }
    let mut twice = plain.clone();
    let steady = twice.steady_state.as_mut().unwrap();
    steady.detect = Some(Detect {
        name: "p".into(),
        question: steady.probes[0].question.clone(),
    });
    assert!(twice.check().is_err());
}
