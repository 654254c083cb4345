use super::*;
use crate::page::Look;
use injector_record::report::HaltReport;
use injector_spec::experiment::Described;

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
        note: note.map(Into::into),
        described: Described::default(),
    }
}

const NOTE: &str = "applied, but the target never met it: it sent nothing while the fault was on";

fn of(faults: Vec<FaultReport>) -> RunReport {
    RunReport {
        run: "r000000010001".parse().unwrap(),
        name: "spike".into(),
        outcome: Outcome::Completed,
        armed_for_ms: 30_500,
        faults,
        remarks: vec![],
        undo_errors: vec![],
        halt: None,
        told: vec![],
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
fn a_card_has_twelve_rows_at_most_and_the_worst_news_among_them() {
    let faults = (0..30).map(|number| fault(&format!("step {number}"), "net.loss", 0, Some(NOTE)));
    let report = RunReport {
        outcome: Outcome::Halted {
            why: "the condition came to hold ".repeat(3),
        },
        undo_errors: vec!["sysctl x: gone".into()],
        halt: Some(HaltReport {
            condition: Some("hits > 5/s over 1s".into()),
            seen_boot_ns: 7,
            disarmed_after_us: 31_007,
            last_hit_after_us: Some(900),
        }),
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
    assert!(card(&report).rows(Look::Pipe).len() > 60);
}
