use super::*;
use crate::page::Look;
use injector_record::measure::{Fate, Judged, Recovery, Tally, Verdict};
use injector_record::report::{HaltReport, Outcome};
use injector_spec::experiment::{Described, ProbeRole};

fn fault(step: &str, name: &str, hit: u64, note: Option<&str>) -> FaultReport {
    FaultReport {
        step: step.into(),
        fault: name.into(),
        target: "agent".into(),
        mechanism: "delay-line".into(),
        seen: 1000,
        matched: 900,
        hit,
        missed: 0,
        connections: Vec::new(),
        reaction: None,
        plugins: None,
        note: note.map(Into::into),
        described: Described::default(),
    }
}

const NOTE: &str = "applied, but the target never met it: it sent nothing while the fault was on";

fn of(faults: Vec<FaultReport>) -> RunReport {
    RunReport {
        armed_for_ms: 30_500,
        faults,
        ..RunReport::of(
            "r000000010001".parse().unwrap(),
            "spike",
            Outcome::Completed,
        )
    }
}

fn text(report: &RunReport, look: Look) -> String {
    card(report).rows(look).join("\n")
}

#[test]
fn one_fault_has_no_step_column() {
    let expected = "\
r000000010001 (spike) completed, armed for 30.5s
  fault     target  mechanism   seen  matched  hit
  net.loss  agent   delay-line  1000      900    0
    applied, but the target never met it: it sent nothing while the fault was on";
    let report = of(vec![fault("spike", "net.loss", 0, Some(NOTE))]);
    assert_eq!(text(&report, Look::Pipe), expected);
    assert_eq!(text(&report, Look::Bare(100)), expected);
}

#[test]
fn a_verdict_comes_first_with_what_became_of_each_probe() {
    let tally = |bad, p50_us| Tally {
        answers: 30,
        bad,
        p50_us,
        p99_us: p50_us,
    };
    let recovery = Recovery {
        impact_after_ms: 20,
        rta_ms: 6_200,
        least_ms: 6_100,
        most_ms: 6_301,
        after_lift_ms: Some(3_200),
    };
    let judgement = Judgement {
        rto_ms: 5_000,
        planned: 1,
        met: 1,
        probes: vec![Judged {
            name: "health".into(),
            role: ProbeRole::SteadyState,
            asks: "tcp 127.0.0.1:80".into(),
            fate: Fate::Late(recovery),
            baseline: tally(0, 1_000),
            under_fault: tally(12, 2_550),
            recovery: tally(18, 1_000),
            operations: None,
        }],
        ..Judgement::of(Verdict::Deviated("`health` came back late".into()))
    };
    let report = RunReport {
        judgement: Some(Box::new(judgement)),
        ..of(vec![fault("spike", "net.loss", 9, None)])
    };
    let expected = "\
r000000010001 (spike) deviated (RTO 5s), completed, armed for 30.5s
    `health` came back late
    `health` was bad for 6.2s (6.1s to 6.3s), and good again 3.2s after the faults were off; 12 of 30 answers bad \
under the faults, median 2.55ms (2.5 x baseline)
  fault     target  mechanism   seen  matched  hit
  net.loss  agent   delay-line  1000      900    9";
    assert_eq!(text(&report, Look::Pipe), expected);
}

#[test]
fn faults_of_several_steps_are_told_apart() {
    let mut report = of(vec![
        fault("spike", "net.delay", 900, None),
        fault("late", "net.loss", 0, Some(NOTE)),
    ]);
    report.undo_errors.push("sysctl x: gone".into());
    let expected = "\
r000000010001 (spike) completed, armed for 30.5s
  step   fault      target  mechanism   seen  matched  hit
  spike  net.delay  agent   delay-line  1000      900  900
  late   net.loss   agent   delay-line  1000      900    0
    applied, but the target never met it: it sent nothing while the fault was on
not restored: sysctl x: gone";
    assert_eq!(text(&report, Look::Pipe), expected);
}

#[test]
fn a_note_of_several_faults_is_told_once() {
    let report = of(vec![
        fault("spike", "net.delay", 0, Some(NOTE)),
        fault("spike", "net.loss", 0, Some(NOTE)),
        fault("spike", "net.reset", 0, Some("another")),
    ]);
    let expected = "\
r000000010001 (spike) completed, armed for 30.5s
  fault      target  mechanism   seen  matched  hit
  net.delay  agent   delay-line  1000      900    0
  net.loss   agent   delay-line  1000      900    0
  net.reset  agent   delay-line  1000      900    0
    another
    net.delay, net.loss: applied, but the target never met it: it sent nothing while the fault was on";
    assert_eq!(text(&report, Look::Pipe), expected);
}

#[test]
fn a_card_has_twelve_rows_at_most_and_the_worst_news_among_them() {
    let faults = (0..30).map(|number| fault(&format!("step {number}"), "net.loss", 0, Some(NOTE)));
    let report = RunReport {
        outcome: Outcome::Halted {
            why: "the condition came to hold ".repeat(3),
        },
        judgement: None,
        fail_on: None,
        signs: None,
        undo_errors: vec!["sysctl x: gone".into()],
        halt: Some(Box::new(HaltReport {
            condition: Some("hits > 5/s over 1s".into()),
            seen_boot_ns: 7,
            disarmed_after_us: 31_007,
            last_hit_after_us: Some(900),
        })),
        ..of(faults.collect())
    };
    for width in [40, 60, 100] {
        for look in [Look::Bare(width), Look::Full(width)] {
            let rows = card(&report).rows(look);
            assert!(rows.len() <= ROWS, "{rows:#?}");
            let text = rows.join("\n");
            for part in ["halted", "sysctl x", "injector audit"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }
    assert!(card(&report).rows(Look::Pipe).len() > 30);
}
