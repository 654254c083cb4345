//! Whether the demo showed what it is there to show.

use anyhow::Result;
use injector_engine::page::{Line, Role};
use injector_tests::injector::Report;
use injector_tests::measure::millis;

use crate::story::Story;
use crate::style::{say_line, time};

/// What the experiment files add to each call, by step, and how a person says it.
const ADDED: [(&str, u64, &str); 2] = [
    ("latency", 500_000_000, "the agent felt +500 ms"),
    ("slow-disk", 300_000_000, "the agent felt a slow disk"),
];
/// What a busy machine may add to the bystander's median.
const NOISE_NS: u64 = 10_000_000;

/// Prints the findings; true where all are good.
pub(crate) fn give(story: &Story, report: &Report, code: Option<i32>, left: Result<()>) -> bool {
    let mut findings = vec![run_completed(report, code)];
    findings.extend(agent_felt_delays(story));
    findings.extend([
        every_fault_hit(report),
        bystander_felt_nothing(story),
        agent_recovered(story),
        nothing_is_left(left),
    ]);
    let mut all_good = true;
    for (good, what, evidence) in findings {
        let (role, mark) = if good {
            (Role::Good, "ok")
        } else {
            (Role::Bad, "FAIL")
        };
        let finding = Line::plain("  ").and(role, format!("{mark:<4}"));
        say_line(finding.and(Role::Plain, format!(" {what:<32} {evidence}")));
        all_good &= good;
    }
    all_good
}

type Finding = (bool, &'static str, String);

fn run_completed(report: &Report, code: Option<i32>) -> Finding {
    let good = code == Some(0) && report.outcome == "completed" && report.undo_errors.is_empty();
    let mut evidence = format!(
        "{} after {:.1} s",
        report.outcome,
        seconds(report.armed_for_ms)
    );
    if !report.undo_errors.is_empty() {
        evidence = format!("{evidence}, not undone: {}", report.undo_errors.join(", "));
    }
    (good, "the experiment ran to its end", evidence)
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// One finding for each step that slows every call, where the experiment has it.
fn agent_felt_delays(story: &Story) -> impl Iterator<Item = Finding> {
    ADDED.into_iter().filter_map(|(step, added, what)| {
        let p50 = story.phase(step)?.figures(&story.agent).p50_ns;
        let evidence = format!("p50 {} in the {step} phase", time(p50));
        Some((p50 >= added, what, evidence))
    })
}

fn every_fault_hit(report: &Report) -> Finding {
    let hits: Vec<String> = report
        .faults
        .iter()
        .map(|fault| format!("{} {}", fault.fault, fault.hit))
        .collect();
    let good = !hits.is_empty() && report.faults.iter().all(|fault| fault.hit > 0);
    (
        good,
        "every fault met the agent",
        format!("hits: {}", hits.join(", ")),
    )
}

fn bystander_felt_nothing(story: &Story) -> Finding {
    let figures: Vec<_> = story
        .phases
        .iter()
        .map(|phase| phase.figures(&story.bystander))
        .collect();
    let baseline = figures.first().map_or(0, |figures| figures.p50_ns);
    let worst = figures
        .iter()
        .map(|figures| figures.p50_ns)
        .max()
        .unwrap_or(0);
    let retries: u32 = figures.iter().map(|figures| figures.retries).sum();
    let everywhere = !figures.is_empty() && figures.iter().all(|figures| figures.calls > 0);
    let good = everywhere && retries == 0 && worst <= baseline + NOISE_NS;
    let evidence = format!(
        "{retries} retries, p50 {} to {} in every phase",
        time(baseline),
        time(worst)
    );
    (good, "the bystander felt nothing", evidence)
}

fn agent_recovered(story: &Story) -> Finding {
    let what = "the agent recovered";
    match story.recovered_after_ns() {
        Some(nanos) => {
            let evidence = format!(
                "first healthy call {:.0} ms after the last fault",
                millis(nanos)
            );
            (true, what, evidence)
        }
        None => (
            false,
            what,
            "no healthy call after the last fault".to_owned(),
        ),
    }
}

fn nothing_is_left(left: Result<()>) -> Finding {
    let what = "nothing is left behind";
    match left {
        Ok(()) => {
            let evidence = "checked: BPF programs, maps, links; devices; sysctls; processes";
            (true, what, evidence.to_owned())
        }
        Err(error) => (false, what, format!("{error:#}")),
    }
}
