//! What is said of what was seen.

use injector_record::report::Outcome;

use super::*;

fn signs(handoff: Option<&str>, claim: Option<Claim>, all: &[&str]) -> Signs {
    let mut signs = Signs {
        is_handed_over: handoff.is_some(),
        claim,
        all: handoff
            .iter()
            .chain(all)
            .map(|sign| Seen::of(&sign.parse().unwrap()))
            .collect(),
        unhit_ns: 1_000_000_000,
        ..Signs::default()
    };
    signs.was_hit(signs.unhit_ns);
    signs
}

const HOST: &str = "connect-to 127.0.0.1:9";

#[test]
fn who_fails_and_says_nothing_is_silent() {
    let quiet = signs(Some(HOST), None, &[]);
    assert!(matches!(
        quiet.handoff(2),
        Handoff::Silent { failed: 2, .. }
    ));
    assert_eq!(quiet.handoff(0), Handoff::NothingToTell);
    // Before the first hit it is another matter's.
    quiet.all[0].note(999_999_999);
    assert!(matches!(quiet.handoff(2), Handoff::Silent { .. }));
    quiet.all[0].note(3_000_000_000);
    assert!(matches!(
        quiet.handoff(2),
        Handoff::Escalated {
            after_ms: 2_000,
            failed: 2,
            ..
        }
    ));
    assert!(matches!(
        quiet.handoff(0),
        Handoff::Unprompted {
            after_ms: 2_000,
            ..
        }
    ));
    let unhit = Signs {
        hit_ns: None,
        ..quiet
    };
    assert_eq!(unhit.handoff(0), Handoff::NothingToTell);
}

#[test]
fn who_hands_over_at_once_is_not_silent_however_late_the_hit_is_counted() {
    let mut prompt = signs(Some(HOST), None, &[]);
    prompt.hit_ns = None;
    let hit_ns = 2_000_000_000;
    prompt.look(hit_ns - 1, 0);
    prompt.all[0].note(hit_ns + 5_000_000);
    // The relay has not told of it by then.
    prompt.look(hit_ns + 40_000_000, 0);
    prompt.look(hit_ns + 90_000_000, 1);
    prompt.was_hit(hit_ns);
    let handoff = prompt.handoff(1);
    assert!(
        matches!(handoff, Handoff::Escalated { after_ms: 5, .. }),
        "{handoff:?}"
    );
    // A hit of another relay's, which is told later, is none before it.
    prompt.was_hit(hit_ns + 1);
    assert_eq!(prompt.handoff(1), handoff);
}

#[test]
fn what_cannot_be_looked_at_is_no_silence() {
    let blind = signs(Some(HOST), None, &[]);
    blind.all[0].cannot_be_read("x".into());
    assert!(matches!(blind.handoff(1), Handoff::Unseen { .. }));
}

#[test]
fn success_is_true_with_all_its_effects_and_false_without_one() {
    let signs = signs(
        Some(HOST),
        Some(Claim::BySign(1)),
        &[
            "connect-to 127.0.0.1:10",
            "connect-to 127.0.0.1:11",
            "connect-to 127.0.0.1:12",
        ],
    );
    let judged = || signs.success(Claim::BySign(1), &[]);
    assert_eq!(judged(), Claimed::NotClaimed);
    signs.all[1].note(5);
    let Claimed::False { claim, missing } = judged() else {
        panic!("{:?}", judged());
    };
    assert!(claim.ends_with(":10") && missing.len() == 2);
    signs.all[2].note(5);
    assert!(matches!(judged(), Claimed::False { missing, .. } if missing.len() == 1));
    signs.all[3].cannot_be_read("x".into());
    assert!(matches!(judged(), Claimed::Unseen { .. }));
    signs.all[3].note(5);
    assert_eq!(judged(), Claimed::True { effects: 2 });
}

#[test]
fn commands_claim_success_by_ending_well() {
    let gate = |code| GateReport {
        step: "work".into(),
        waited_ms: 1,
        end: GateEnd::Ran {
            end: CommandEnd::Exited { code },
            said: None,
        },
    };
    let signs = signs(None, Some(Claim::ByCommands), &[HOST]);
    let judged = |gates: &[GateReport]| signs.success(Claim::ByCommands, gates);
    assert_eq!(judged(&[]), Claimed::NotClaimed);
    assert_eq!(judged(&[gate(0), gate(1)]), Claimed::NotClaimed);
    assert!(matches!(judged(&[gate(0)]), Claimed::False { .. }));
    signs.all[0].note(1);
    assert_eq!(judged(&[gate(0)]), Claimed::True { effects: 1 });
}

/// An experiment whose handoff, claim and effect are connections, as the plan has it.
fn connections() -> Signs {
    let text = "targets: { a: { pid: 1 } }\nduration: 1s\nfaults: [ tool.is-error: { dest-port: 80 } ]\n\
                handoff: { connect-to: \"127.0.0.1:9\" }\n\
                success: { claim: { connect-to: \"127.0.0.1:10\" }, effects: [ { connect-to: \"127.0.0.1:11\" } ] }\n";
    let experiment = injector_spec::experiment::file::parse(text, "signs", None).unwrap();
    let plan =
        injector_plan::Plan::make(&experiment, &injector_plan::Names::default(), 0, &|_| true)
            .unwrap();
    let mut signs = Signs::start(&experiment, &plan.watched).unwrap();
    signs.was_hit(signs.unhit_ns);
    signs
}

fn told(what: u32, port: u32, cookie: u64) -> Told {
    Told {
        boot_ns: boot_ns(),
        what,
        port,
        cookie,
        remote: std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets(),
        ..Told::default()
    }
}

#[test]
fn to_hand_over_is_to_try_and_an_effect_is_a_connection_that_is_made() {
    let signs = connections();
    for (cookie, port) in [(1, 9), (2, 10), (3, 11)] {
        signs.take(&told(what::CONNECT_BEGAN, port, cookie));
    }
    assert!(matches!(signs.handoff(1), Handoff::Escalated { .. }));
    assert_eq!(signs.success(Claim::BySign(1), &[]), Claimed::NotClaimed);
    signs.take(&told(what::CONNECT_MADE, 0, 2));
    signs.take(&told(what::CONNECT_FAILED, 0, 3));
    signs.take(&told(what::CONNECT_MADE, 0, 3));
    signs.take(&told(what::CONNECT_REFUSED, 11, 0));
    let judged = signs.success(Claim::BySign(1), &[]);
    assert!(matches!(judged, Claimed::False { .. }), "{judged:?}");
    signs.take(&told(what::CONNECT_BEGAN, 11, 4));
    signs.take(&told(what::CONNECT_MADE, 0, 4));
    let judged = signs.success(Claim::BySign(1), &[]);
    assert_eq!(judged, Claimed::True { effects: 1 });
}

#[test]
fn of_connections_that_were_lost_it_is_not_said_that_there_was_none() {
    let signs = connections();
    signs.lost(0, &[0]);
    signs.lost(3, &[1]);
    assert!(matches!(signs.handoff(1), Handoff::Silent { .. }));
    signs.lost(3, &[0]);
    let handoff = signs.handoff(1);
    assert!(
        matches!(&handoff, Handoff::Unseen { why } if why.ends_with("3 operations of its targets were lost")),
        "{handoff:?}"
    );
    let judged = signs.success(Claim::BySign(1), &[]);
    assert!(matches!(judged, Claimed::Unseen { .. }), "{judged:?}");
}

#[test]
fn a_file_is_looked_at_once_more_before_it_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let text = format!(
        "targets: {{ a: {{ pid: 1 }} }}\nduration: 1s\nfaults: [ llm.error: {{ status: 503 }} ]\nhandoff: {{ file: {path:?} }}\n"
    );
    let experiment = injector_spec::experiment::file::parse(&text, "signs", None).unwrap();
    let mut signs = Signs::start(&experiment, &[]).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while !signs.all[0].was_looked_at(1) && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
    signs.look(boot_ns(), 0);
    signs.look(boot_ns(), 1);
    std::fs::write(&path, "").unwrap();
    let mut report: RunReport = serde_json::from_value(serde_json::json!({
        "run": "r0123456789ab", "name": "signs", "outcome": "completed", "armed_for_ms": 1, "faults": [], "undo_errors": [],
    }))
    .unwrap();
    assert_eq!(report.outcome, Outcome::Completed);
    signs.judge(&mut report);
    let signs = report.signs.unwrap();
    assert!(
        matches!(signs.handoff, Some(Handoff::Unprompted { .. })),
        "{signs:?}"
    );
    assert!(
        report.remarks[0].starts_with("there was a change of "),
        "{:?}",
        report.remarks
    );
}
