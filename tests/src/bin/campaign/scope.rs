//! A control that does the same as the target, ten million times where there is time, and meets nothing.

use anyhow::{Result, ensure};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::victim::Victim;
use rustix::process::Signal;

use crate::oracle::Outcome;

/// Connections of UDP sockets, which cost the kernel little: the program at connect(2) sits on the root
/// cgroup where a target is a process, and so sees them all.
pub(crate) fn campaign(calls: u64) -> Result<Outcome> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?.to_string();
    let count = calls.to_string();
    let start = |place, count: &str| {
        Victim::start(
            place,
            &[
                "connect-udp",
                "--connect",
                &server,
                "--count",
                count,
                "--wait",
            ],
        )
    };
    let mut agent = start(lab.agent(), "1000")?;
    let mut control = start(lab.bystander(), &count)?;
    let pid = agent.pid().to_string();
    let injector = Injector::new()?;
    let words = [
        "net",
        "connect",
        "--errno",
        "ECONNREFUSED",
        "--pid",
        &pid,
        "--duration",
        "1h",
        "--json",
    ];
    let running = injector.arm(&words)?;
    control.ask()?;
    let felt = agent.round()?;
    let summary = loop {
        if let Some(summary) = control.summary_within(std::time::Duration::from_mins(30))? {
            break summary;
        }
    };
    let again = agent.round()?;
    running.signal(Signal::INT)?;
    let report = running.wait()?.report()?;
    ensure!(
        summary.sent == calls,
        "the control was cut short: {summary:?}"
    );
    let mut outcome = Outcome {
        runs: calls,
        hits: felt.failures() + again.failures(),
        ..Outcome::default()
    };
    if outcome.hits != 2000 {
        outcome.violated(format!("the target met {} of 2000", outcome.hits));
    }
    if report.faults[0].hit != 2000 || report.faults[0].seen != 2000 {
        outcome.violated(format!("others were counted: {report:?}"));
    }
    if summary.failures() > 0 {
        outcome.violated(format!("the control was hurt: {summary:?}"));
    }
    Ok(outcome)
}
