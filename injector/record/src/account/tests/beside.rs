//! Spread, detection and ledgers stand in each form.

use super::*;
use crate::{
    account::junit::junit,
    comparison::Comparison,
    measure::{
        Detected, Detection, Judgement, Reconciliation, Rpa, Verdict,
        loss::{self, Loss},
    },
    postmortem::postmortem,
};
use injector_spec::experiment::Rpo;

/// A run whose alarm was on half a second after the impact, and that lost an item.
fn run_with(change: impl FnOnce(&mut Judgement)) -> Account {
    let mut records = records(&experiment(), 12..14);
    let Some((_, Record::Ended { report })) = records.last_mut() else {
        panic!("no end");
    };
    let judgement = report.judgement.as_mut().unwrap();
    judgement.detection = Some(Detected {
        probe: "alarm <b>".into(),
        asks: "tcp 127.0.0.1:3".into(),
        objective_ms: Some(1_000),
        came: Detection::Detected {
            after_ms: 500,
            least_ms: 400,
            most_ms: 504,
        },
    });
    let ledger = Reconciliation {
        ledger: "orders".into(),
        rpo: Some(Rpo::default()),
        rpa: Rpa::Measured(lists("a\nb\u{202e}\nc", "a\nc")),
    };
    judgement.verdict = Verdict::Held;
    judgement.reconcile(vec![ledger], None);
    change(judgement);
    account(&records)
}

fn lists(acknowledged: &str, kept: &str) -> Loss {
    loss::loss(acknowledged.as_bytes(), kept.as_bytes(), None).unwrap()
}

#[test]
fn each_form_has_the_detection_and_the_ledger_and_no_name_breaks_it() {
    let account = run_with(|_| {});
    is_well_formed(&account);
    assert_eq!(account.headline().word, "deviated");
    let page = html(&account).unwrap();
    let card = markdown(&account).replace('\n', " ");
    let postmortem = postmortem(&account);
    for (text, lost) in [
        (&page, "RPA 1 lost"),
        (&card, "RPA 1 lost"),
        (&postmortem, "RPA 1 lost"),
    ] {
        assert!(
            text.contains(lost) && text.contains("500ms after the impact"),
            "{text}"
        );
        assert!(
            !text.contains('\u{202e}') && !text.contains("alarm <b>"),
            "{text}"
        );
    }
    // What became of it stands where it is looked for.
    let (_, broke) = postmortem.split_once("## What broke").unwrap();
    assert!(broke.contains("has 1 lost, where 0 may be"), "{broke}");
    let (_, held) = postmortem.split_once("## What held").unwrap();
    let (held, _) = held.split_once("## What broke").unwrap();
    assert!(held.contains("500ms after the impact"), "{held}");
    let turned: Vec<_> = account
        .timeline
        .iter()
        .filter(|moment| matches!(moment.what, Happened::Detected { .. }))
        .collect();
    assert_eq!(turned.len(), 1);
    assert_eq!(turned[0].at_us, 12_500_000);
    assert_eq!(
        turned[0].what.to_string(),
        "detection: the alarm of probe alarm <b> is on"
    );
    let data = serde_json::to_value(&account).unwrap();
    let judged = &data["report"]["judgement"];
    assert_eq!(judged["ledgers"][0]["lost"], 1);
    assert_eq!(judged["detection"]["after_ms"], 500);
    assert_eq!(judged["impact"]["spread"][0]["probe"], "tasks");
    let cases = junit(&account);
    for case in [
        "name=\"alarm &lt;b&gt; (detection)\" classname=\"uneven\" time=\"0.500\"/>",
        "name=\"orders (ledger)\" classname=\"uneven\" time=\"0.000\">",
        "<failure message=\"the ledger `orders` has 1 lost, where 0 may be\"/>",
    ] {
        assert!(cases.contains(case), "no {case} in {cases}");
    }
}

#[test]
fn what_could_not_be_measured_is_told_and_never_green() {
    let account = run_with(|judgement| {
        let gone = Reconciliation {
            ledger: "orders".into(),
            rpo: None,
            rpa: Rpa::NotMeasurable {
                why: "it is gone".into(),
            },
        };
        judgement.reconcile(vec![gone], None);
        // Of these answers the other probe tells nothing.
        judgement.verdict = Verdict::Held;
    });
    is_well_formed(&account);
    let cases = junit(&account);
    assert!(
        cases.contains("<skipped message=\"the ledger `orders` is not measurable: it is gone\"/>"),
        "{cases}"
    );
    let page = postmortem(&account);
    let (_, unseen) = page.split_once("## What could not be seen").unwrap();
    assert!(
        unseen.contains(r"The ledger \`orders\` is not measurable: it is gone."),
        "{unseen}"
    );
}

#[test]
fn two_runs_are_compared_by_how_they_stand() {
    let worse = run_with(|_| {});
    let better = run_with(|judgement| {
        let whole = Reconciliation {
            ledger: "orders".into(),
            rpo: Some(Rpo::default()),
            rpa: Rpa::Measured(lists("a\nb", "b\na")),
        };
        judgement.reconcile(vec![whole], None);
        judgement.verdict = Verdict::Held;
    });
    let compared = Comparison::of(&better, &worse);
    let found = compared.regressions.join("\n");
    assert!(
        found.contains("RPA 0 lost") && found.contains("and then ledger `orders`: RPA 1 lost"),
        "{found}"
    );
    assert_eq!(compared.beside.len(), 2);
    let text = crate::comparison::markdown(&compared);
    assert!(
        text.contains("- ledger orders: worse. Before: ledger"),
        "{text}"
    );
    let other_way = Comparison::of(&worse, &better);
    assert!(
        other_way.regressions.is_empty(),
        "{:?}",
        other_way.regressions
    );
}
