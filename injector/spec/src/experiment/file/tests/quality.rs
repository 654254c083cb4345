//! Objectives of success and latency, and when a probe is asked.

use super::*;
use crate::experiment::{Latency, ProbeMode, ProbeRole, Quantile};

fn read(steady_state: &str, objectives: &str) -> Result<Experiment, FileError> {
    let text = format!(
        "targets: {{ a: {{pid: 7}} }}\nprobes:\n  p: tcp 127.0.0.1:1 every 100ms within 100ms\n  \
         q: tcp 127.0.0.1:2 every 30s within 30s\n{steady_state}\nduration: 5s\nobjectives: {objectives}\nfaults: [net.blackhole]\n"
    );
    parse(&text, "quality.yaml", None)
}

#[test]
fn objectives_and_modes_are_read() {
    let experiment = read(
        "steady-state: [p, { probe: q, mode: end-of-test }]",
        "{ rto: 5s, success: 99.5%, latency: { p95: 300ms } }",
    );
    let steady_state = experiment.unwrap().steady_state.unwrap();
    let asked = steady_state.probes.iter();
    let asked: Vec<_> = asked
        .map(|one| (one.name.as_str(), one.role, one.mode))
        .collect();
    assert_eq!(
        asked,
        [
            ("p", ProbeRole::SteadyState, ProbeMode::Continuous),
            // Though it is too slow to tell a recovery within 5 s.
            ("q", ProbeRole::SteadyState, ProbeMode::EndOfTest),
        ]
    );
    let objectives = steady_state.objectives;
    assert_eq!(objectives.success, Some("99.5%".parse().unwrap()));
    let within = Duration::from_millis(300);
    let quantile = Quantile::P95;
    assert_eq!(objectives.latency, Some(Latency { quantile, within }));
    let one = read(
        "steady-state: [{ probe: p }, { probe: q, mode: edge }]",
        "{}",
    );
    assert_eq!(
        one.unwrap().steady_state.unwrap().probes[0].mode,
        ProbeMode::Continuous
    );
}

#[test]
fn a_blast_radius_is_read_and_one_that_says_nothing_is_refused() {
    let read = |radius: &str| {
        let text = format!(
            "targets: {{ a: {{pid: 7}} }}\nblast-radius: {radius}\nduration: 5s\nfaults: [net.blackhole]\n"
        );
        parse(&text, "radius.yaml", None).map(|experiment| *experiment.blast_radius.unwrap())
    };
    let whole = read("{ processes: 5, share: 12.5%, hits: 1000 }").unwrap();
    assert_eq!(whole.processes.map(std::num::NonZero::get), Some(5));
    assert_eq!(whole.share, Some("12.5%".parse().unwrap()));
    assert_eq!(
        (whole.hits, read("{ processes: 1 }").unwrap().hits),
        (Some(1000), None)
    );
    for (radius, part) in [
        ("{}", "write one of them"),
        ("", "write it so"),
        ("{ processes: 0 }", "whole number"),
        ("{ hits: many }", "not `many`"),
        ("{ share: 101% }", "more than everything"),
        ("{ process: 1 }", "processes"),
        ("5", "blast-radius"),
    ] {
        let said = read(radius).unwrap_err().to_string();
        assert!(
            said.starts_with("radius.yaml:2:") && said.contains(part),
            "{radius}: {said}"
        );
    }
}

#[test]
fn what_cannot_be_meant_is_refused_in_its_place() {
    let usual = "steady-state: [p, { probe: q, mode: edge }]";
    for (steady_state, objectives, place, part) in [
        (usual, "{ success: 0% }", "quality.yaml", "is none"),
        (
            usual,
            "{ success: 101% }",
            "quality.yaml:7:",
            "more than everything",
        ),
        (
            usual,
            "{ success: most }",
            "quality.yaml:7:",
            "not a percentage",
        ),
        (usual, "{ latency: { p98: 1s } }", "quality.yaml:7:", "p99"),
        (
            usual,
            "{ latency: {} }",
            "quality.yaml:7:",
            "as in `{p99: 500ms}`",
        ),
        (
            usual,
            "{ latency: { p50: 1s, p99: 2s } }",
            "quality.yaml:7:",
            "one of them",
        ),
        (
            usual,
            "{ latency: { p99: 0s } }",
            "quality.yaml:7:",
            "is no time",
        ),
        (
            "steady-state: [p, { probe: q, mode: sometimes }]",
            "{}",
            "quality.yaml:5:",
            "write one of continuous, start-of-test, end-of-test, edge, on-fault",
        ),
        (
            "steady-state: [p, { probe: z, mode: edge }]",
            "{}",
            "quality.yaml:5:",
            "no probe is called `z`",
        ),
        (
            "steady-state: [p, { probe: q, ratio: 1 }]",
            "{}",
            "quality.yaml:5:",
            "ratio",
        ),
        (
            "steady-state: [p]\ncontrols: [{ probe: q, mode: edge }]",
            "{ rto: 10m }",
            "quality.yaml",
            "leave `mode` out",
        ),
    ] {
        let said = read(steady_state, objectives).unwrap_err().to_string();
        assert!(
            said.starts_with(place) && said.contains(part),
            "{steady_state} {objectives}: {said}"
        );
    }
}
