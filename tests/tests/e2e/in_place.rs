//! Answers in the target's own memory, inside TLS: the target reads them, a bystander with the same library never does, nothing
//! is left, and what the report says is what happened.

mod stage;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::FaultReport;
use rustix::process::Signal;
use serde_json::json;

use crate::effects::first_fault;
use crate::needs::{INJECTOR, lacks, python_and_openssl, uprobes};
use crate::observe::Text;
use crate::suite::Case;
use stage::{Stage, words};

/// How soon something has to have happened.
const SOON: Duration = Duration::from_secs(10);

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("in_place::{name}"), INJECTOR, run)
            .also_needs(python_and_openssl)
            .also_needs(uprobes)
    };
    vec![
        case("a_limit_is_read_by_the_target_alone", limited),
        case("an_answer_is_padded_or_degraded_for_ssl_read", by_ssl_read),
        case("answers_without_text_and_broken_ones", without_text),
        case("answers_in_pieces_and_another_thread", pieces),
        case("what_is_missed_goes_back_to_the_budget", missed),
        case("a_child_is_reached", child),
        case("kill_9_of_the_worker", killed),
        case("a_kernel_that_forbids_it_is_named", refused),
    ]
}

fn counted(report: &FaultReport, [seen, matched, hit]: [u64; 3]) -> Result<()> {
    let are = [report.seen, report.matched, report.hit];
    ensure!(
        are == [seen, matched, hit] && report.mechanism == "tls-rewrite",
        "{report:?}"
    );
    Ok(())
}

fn limited() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = stage.agent("agent")?;
    let mut bystander = stage.agent("agent")?;
    let plain = json!({});
    ensure!(agent.ask(&plain)?.is_real(), "before");
    let fault = "rate-limit --by tls-rewrite --retry-after 7s --max-hits 2";
    let armed = stage.arm(&agent, fault)?;
    ensure!(agent.text()? == Text::Probed, "the target's text");
    ensure!(bystander.text()? == Text::Original, "the bystander's text");
    // Another path on the same connection, which is seen and not meant.
    for asked in [plain.clone(), json!({ "first": true })] {
        let came = agent.ask(&asked)?;
        let is_limit = came.retry_after.as_deref() == Some("7")
            && came.error_type.as_deref() == Some("requests");
        ensure!(came.is_made_up(429) && is_limit, "{came:?}");
    }
    let beside = bystander.ask(&plain)?;
    ensure!(beside.is_real(), "a bystander: {beside:?}");
    // Its budget is used up.
    let passed = agent.ask(&plain)?;
    ensure!(passed.is_real(), "{passed:?}");
    let other = agent.ask(&json!({ "path": "/v1/models" }))?;
    ensure!(other.is_real(), "{other:?}");
    let report = armed.report()?;
    counted(first_fault(&report)?, [5, 3, 2])?;
    let told = |part: &str| report.remarks.iter().any(|remark| remark.contains(part));
    ensure!(told("is not measured"), "{:?}", report.remarks);
    ensure!(
        first_fault(&report)?.reaction.is_null(),
        "nothing is made up of reactions: {report:?}"
    );
    ensure!(agent.text()? == Text::Original, "the text afterwards");
    let after = agent.ask(&plain)?;
    ensure!(after.is_real(), "afterwards: {after:?}");
    Ok(())
}

/// `SSL_read` says by its result how much it has read, which no program can change: an answer that is shorter is made longer,
/// and of one that does not fit the status is all that is said.
fn by_ssl_read() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = stage.agent("agent")?;
    let armed = stage.arm(&agent, "error --status 503 --by tls-rewrite")?;
    let padded = agent.ask(&json!({ "by": "plain" }))?;
    ensure!(
        padded.is_made_up(503) && padded.body == "json",
        "{padded:?}"
    );
    let degraded = agent.ask(&json!({ "by": "plain", "room": 64 }))?;
    ensure!(
        degraded.status == 503 && degraded.served.is_some() && degraded.length_fits,
        "{degraded:?}"
    );
    let report = armed.report()?;
    let fault = first_fault(&report)?;
    counted(fault, [2, 2, 2])?;
    let note = fault.note.as_deref().unwrap_or_default();
    ensure!(note.contains("degraded: 1 of its 2 hits"), "{note:?}");
    Ok(())
}

/// Where the server streams, the answer that is made up does.
fn without_text() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = stage.agent("agent")?;
    let asked = [json!({}), json!({ "stream": true })];
    let armed = stage.arm(&agent, "empty --by tls-rewrite")?;
    let came = [agent.ask(&asked[0])?, agent.ask(&asked[1])?];
    counted(first_fault(&armed.report()?)?, [2, 2, 2])?;
    ensure!(
        came.iter().all(|came| came.is_made_up(200))
            && (came[0].body.as_str(), came[1].body.as_str()) == ("json", "stream")
            && came[0].content.is_empty(),
        "{came:?}"
    );
    let armed = stage.arm(&agent, "malformed --by tls-rewrite --when 2+")?;
    let came = [agent.ask(&asked[0])?, agent.ask(&asked[0])?];
    counted(first_fault(&armed.report()?)?, [2, 2, 1])?;
    ensure!(came[0].is_real(), "{came:?}");
    ensure!(
        came[1].is_made_up(200) && came[1].body == "broken",
        "{came:?}"
    );
    Ok(())
}

/// An answer that is still to come is let by, and the one behind it is met, by whichever thread reads it. What the server sends
/// behind the first record stays: a client that reads on behind a whole answer that says `close` finds it there.
fn pieces() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = stage.agent("agent")?;
    let armed = stage.arm(&agent, "error --by tls-rewrite")?;
    for asked in [
        json!({ "interim": true }),
        json!({ "thread": true }),
        json!({ "pieces": true }),
        json!({ "pieces": true, "by": "asyncio" }),
    ] {
        let came = agent.ask(&asked)?;
        let reads_on = asked["by"] == "asyncio";
        ensure!(
            came.is_made_up(500) && (came.surplus > 0) == reads_on,
            "{asked}: {came:?}"
        );
    }
    counted(first_fault(&armed.report()?)?, [4, 4, 4])
}

/// An answer that does not fit and says nothing by its status is missed, and so is one that the target does not read; the
/// budget is for those that are met. The next connection may have the address of the one before.
fn missed() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = stage.agent("agent")?;
    let armed = stage.arm(&agent, "malformed --by tls-rewrite --max-hits 1")?;
    let small = agent.ask(&json!({ "by": "plain", "room": 64 }))?;
    ensure!(small.is_real(), "{small:?}");
    let met = agent.ask(&json!({ "by": "plain", "abandon": true }))?;
    ensure!(met.is_made_up(200) && met.body == "broken", "{met:?}");
    let after = agent.ask(&json!({}))?;
    ensure!(after.is_real(), "{after:?}");
    let report = armed.report()?;
    let fault = first_fault(&report)?;
    counted(fault, [4, 4, 1])?;
    ensure!(fault.missed == 2, "{fault:?}");
    Ok(())
}

/// A process that is started later is attached to.
fn child() -> Result<()> {
    let stage = Stage::new()?;
    let mut parent = stage.agent("child")?;
    let armed = stage.arm(&parent, "overload --tree --by tls-rewrite")?;
    let came = parent.ask(&json!({}))?;
    ensure!(came.is_made_up(503), "{came:?}");
    let report = armed.report()?;
    counted(first_fault(&report)?, [1, 1, 1])?;
    let joined = |remark: &String| remark.contains("came to the target while the run was on");
    ensure!(report.remarks.iter().any(joined), "{:?}", report.remarks);
    Ok(())
}

/// The lease ends with the worker, and the probes with its descriptors.
fn killed() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = stage.agent("agent")?;
    let armed = stage.arm(&agent, "error --by tls-rewrite")?;
    let came = agent.ask(&json!({}))?;
    ensure!(came.is_made_up(500), "{came:?}");
    armed.signal_worker(Signal::KILL)?;
    let since = Instant::now();
    eventually("the server's own answer", Duration::from_secs(4), || {
        Ok(agent.ask(&json!({}))?.is_real().then_some(()))
    })?;
    ensure!(since.elapsed() < Duration::from_secs(4), "it acted on");
    eventually("the text to be as it was", SOON, || {
        Ok((agent.text()? == Text::Original).then_some(()))
    })?;
    let finished = armed.wait()?;
    ensure!(finished.code != Some(0), "{finished:?}");
    ensure!(agent.ask(&json!({}))?.is_real(), "afterwards");
    Ok(())
}

/// Where programs may not write to a process, a person who insists hears that and what serves in its place, nothing is
/// attached, and the relay is planned for one who does not.
fn refused() -> Result<()> {
    let mut stage = Stage::new()?;
    let locked = lacks("tls-rewrite")?;
    stage.injector = stage.injector.without("tls-rewrite");
    let mut agent = stage.agent("agent")?;
    let run = |fault: &str| {
        let words = words(&agent, fault);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        stage.injector.once(&words)
    };
    let finished = run("error --by tls-rewrite")?;
    ensure!(
        finished.code == Some(2)
            && finished
                .stderr
                .contains("needs tls-rewrite, which this host lacks")
            && finished.stderr.contains("[relay]"),
        "{finished:?}"
    );
    if let Some(why) = locked {
        ensure!(why.contains("locked down"), "{why}");
    }
    let planned = run("error --dry-run")?;
    ensure!(
        planned.code == Some(0) && planned.stdout.contains("\"mechanism\":\"relay\""),
        "{planned:?}"
    );
    let other = run("slow --latency 1s --by tls-rewrite")?;
    ensure!(
        other.code == Some(2) && other.stderr.contains("--by relay"),
        "{other:?}"
    );
    ensure!(agent.text()? == Text::Original, "the text");
    ensure!(agent.ask(&json!({}))?.is_real(), "the agent");
    Ok(())
}
