use std::time::Duration;

use injector_common::threshold::Threshold;
use injector_spec::experiment::file;

use crate::{LineModel, Names, Plan, PlannedRule};

fn plan(faults: &str) -> Plan {
    let text = format!("targets: {{ a: {{ cgroup: x.slice }} }}\nduration: 20s\nfaults:\n{faults}");
    let experiment = file::parse(&text, "ramp.yaml", None).unwrap();
    Plan::make(&experiment, &Names::default(), 3, &|_| true).unwrap()
}

fn only(faults: &str) -> PlannedRule {
    plan(faults).rules.remove(0)
}

/// At both ends of its ramp a fault is the one that has that value alone; it begins at the first.
#[test]
fn a_ramp_begins_and_ends_as_the_faults_of_its_ends() {
    for (fault, from, to) in [
        ("net.delay: { jitter: 1ms, latency: @ }", "10ms", "1s"),
        ("net.delay: { latency: 1s, jitter: @ }", "10ms", "1s"),
        (
            "net.delay: { latency: 1s, jitter: 1ms, correlation: @ }",
            "5%",
            "30%",
        ),
        ("net.delay: { latency: 1s, percent: @ }", "100%", "0%"),
        ("net.loss: { percent: @ }", "0%", "100%"),
        ("net.reorder: { percent: 5%, latency: @ }", "10ms", "50ms"),
        ("net.bandwidth: { rate: @ }", "10mbit", "7kbit"),
        (
            "net.connect: { errno: ECONNREFUSED, percent: @ }",
            "1%",
            "2%",
        ),
        ("dns.delay: { latency: @ }", "10ms", "50ms"),
        ("dns.error: { type: nxdomain, percent: @ }", "10%", "50%"),
        ("sys.delay: { syscall: read, delay-enter: @ }", "10ms", "1s"),
        ("sys.delay: { syscall: read, delay-exit: @ }", "10ms", "1s"),
        (
            "sys.error: { syscall: read, errno: EIO, percent: @ }",
            "1%",
            "99%",
        ),
        (
            "io.latency: { path: /x, jitter: 1ms, latency: @ }",
            "10ms",
            "1s",
        ),
        (
            "io.latency: { path: /x, latency: 1s, jitter: @ }",
            "10ms",
            "1s",
        ),
        ("pipe.stall: { at-most: @ }", "1s", "2s"),
        (
            "proc.kill: { at-call: write, respawn: deny-exec, percent: @ }",
            "1%",
            "2%",
        ),
    ] {
        let of = |value: &str| only(&format!("  - {}\n", fault.replace('@', value)));
        let rule = of(&format!("{{ from: {from}, to: {to}, over: 10s }}"));
        let (first, last) = (of(from), of(to));
        let record = |rule: &PlannedRule| rule.compiled.calls.as_ref().map(|calls| calls.record);
        assert_eq!(rule.compiled.rule, first.compiled.rule, "{fault}");
        assert_eq!(rule.compiled.line, first.compiled.line, "{fault}");
        assert_eq!(record(&rule), record(&first), "{fault}");
        for (seconds, end) in [(0, &first), (10, &last), (15, &last)] {
            let values = rule.values(Duration::from_secs(seconds)).unwrap();
            assert_eq!(values.rule, end.compiled.rule, "{fault} after {seconds}");
            assert_eq!(values.line, end.compiled.line, "{fault} after {seconds}");
            assert_eq!(values.call, record(end), "{fault} after {seconds}");
        }
        let between = rule.values(Duration::from_secs(5)).unwrap();
        let is_between = |end: &PlannedRule| {
            (between.rule, &between.line, between.call)
                != (end.compiled.rule, &end.compiled.line, record(end))
        };
        assert!(is_between(&first) && is_between(&last), "{fault}");
    }
}

/// What is attached cannot change, so it is what the harshest value needs.
#[test]
fn a_chain_has_the_links_of_its_longest_sleep() {
    let of = |value: &str| {
        let fault =
            format!("  - sys.delay: {{ syscall: read, chain: true, delay-enter: {value} }}\n");
        only(&fault).compiled.calls.unwrap().hooks
    };
    assert_eq!(of("{ from: 1ms, to: 60s, over: 20s }"), of("60s"));
}

#[test]
fn a_step_is_looked_at_again_until_its_last_ramp_has_ended() {
    let plan = plan(
        "  - net.delay: { latency: { from: 1ms, to: 1s, over: 4s }, percent: { from: 1%, to: 9%, over: 20s } }\n  \
         - net.loss: { percent: 5% }\n",
    );
    let after = |ms| plan.ramps_again_after(0, Duration::from_millis(ms));
    assert_eq!(after(0), Some(Duration::from_millis(5)));
    assert_eq!(after(4_000), Some(Duration::from_millis(20)));
    assert_eq!(after(20_000), None);
    assert_eq!(plan.ramps_again_after(1, Duration::ZERO), None);
}

#[test]
fn half_way_is_half_the_value() {
    let rule = only(
        "  - net.delay: { latency: { from: 10ms, to: 1s, over: 10s }, percent: { from: 0%, to: 100%, over: 10s } }\n",
    );
    let values = rule.values(Duration::from_secs(5)).unwrap();
    assert_eq!(values.rule.percent, Threshold(1 << 31));
    let Some(LineModel::Delay(delay)) = values.line else {
        panic!("no delay");
    };
    assert_eq!(delay.latency, Duration::from_millis(505));
}
