//! Classic filters in the place of TCX links: they bite as those do, are inert as soon as their worker is dead, are removed
//! by each process that is left, and nothing of another program is touched.
//!
//! A kernel that has TCX is told to be without ([`Injector::without`]). What the filters do to packets is what all other
//! tests look at on a kernel that has none, and in `INJECTOR_WITHHOLD=tcx` of the environment here.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use injector_tests::eventually::eventually;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::netns::NetNs;
use injector_tests::victim::Victim;
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use crate::death::{Dying, kill_9_of};
use crate::needs::{INJECTOR, INJECTOR_AND_NETNS, TCX, tc};
use crate::probe::Probe;
use crate::suite::Case;

const DELAY: [&str; 4] = ["net", "delay", "--latency", "100ms"];
/// How long after a death nothing may be left.
const AFTER_A_DEATH: Duration = Duration::from_secs(1);

pub(crate) fn cases() -> Vec<Case> {
    let across = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("clsact::{name}"), INJECTOR_AND_NETNS, run)
    };
    vec![
        Case::new("clsact::it_bites_and_says_how", INJECTOR, bites),
        across("kill_9_of_the_worker", || {
            kill_9_of(&injector()?, Wire::Veth, &DELAY, Dying::Worker)
        }),
        across("kill_9_of_all_is_inert_and_swept", all_killed),
        across("what_is_anothers_stays", anothers_stay).also_needs(tc),
        across("two_runs_share_a_qdisc", two_runs).also_needs(tc),
        across("a_lock_that_is_held_is_named", locked),
    ]
}

fn injector() -> Result<Injector> {
    Ok(Injector::new()?.without(TCX))
}

fn bites() -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let mut bystander = Probe::UdpPing.observe(lab.bystander(), server)?;
    let injector = injector()?;
    let planned =
        injector.once(&[&DELAY[..], &["--pid", "1", "--duration", "1s", "--dry-run"]].concat())?;
    ensure!(
        planned
            .stdout
            .contains("held by no descriptor, for want of TCX"),
        "{planned:?}"
    );
    let armed = lab.arm(&injector, &["net", "loss", "--percent", "100%"])?;
    ensure!(agent.look()?.failures() > 0, "no packet is lost");
    bystander.expect_calm("a bystander")?;
    let report = armed.report()?;
    let fault = report.faults.first().context("no fault in the report")?;
    ensure!(
        fault.mechanism == "clsact-redirect" && fault.hit > 0,
        "{fault:?}"
    );
    agent.expect_calm("the target, after the fault")
}

/// Nothing is left that could remove the filters, and nothing acts.
fn all_killed() -> Result<()> {
    let injector = injector()?;
    kill_9_of(&injector, Wire::Veth, &DELAY, Dying::All)?;
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = Probe::UdpPing.serve(&mut lab)?;
    let mut agent = Probe::UdpPing.observe(lab.agent(), server)?;
    let armed = lab.arm(&injector, &["net", "loss", "--percent", "100%"])?;
    ensure!(agent.look()?.failures() > 0, "no packet is lost");
    armed.kill_all()?;
    // Some milliseconds: the kernel empties the table behind the last descriptor.
    eventually(
        "the filters to be inert",
        Duration::from_millis(200),
        || Ok((agent.look()?.failures() == 0).then_some(())),
    )?;
    agent.expect_calm("the target, with the filters still there,")?;
    let found = injector.once(&["sweep", "--dry-run"])?;
    ensure!(
        found.stdout.contains("filters (clsact) of run") && found.stdout.contains("on lo"),
        "{found:?}"
    );
    let swept = injector.once(&["sweep"])?;
    ensure!(
        swept.code == Some(0) && swept.stdout.contains("on lo; they were removed"),
        "{swept:?}"
    );
    Ok(())
}

/// A filter of another program, in a qdisc of its own.
struct Foreign<'n> {
    namespace: &'n NetNs,
    device: &'static str,
}

impl<'n> Foreign<'n> {
    fn stand(namespace: &'n NetNs, device: &'static str) -> Result<Self> {
        let this = Self { namespace, device };
        this.tc(&format!("qdisc add dev {device} clsact"))?;
        // A classic BPF program that lets all by: `ret -1`.
        this.tc(&format!(
            "filter add dev {device} egress pref 9 bpf bytecode 1,6\u{a0}0\u{a0}0\u{a0}4294967295 flowid 1:1"
        ))?;
        Ok(this)
    }

    fn tc(&self, words: &str) -> Result<String> {
        let words = words.split(' ').map(|word| word.replace('\u{a0}', " "));
        let output = Command::new("tc")
            .args(["-n", self.namespace.name()])
            .args(words)
            .output()?;
        ensure!(output.status.success(), "tc: {output:?}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn filters(&self) -> Result<String> {
        self.tc(&format!("filter show dev {} egress", self.device))
    }

    /// It stands, and nothing of an injector's does, soon.
    fn expect_alone(&self) -> Result<()> {
        eventually("injector's filters to be gone", AFTER_A_DEATH, || {
            Ok((!self.filters()?.contains("injector")).then_some(()))
        })?;
        let filters = self.filters()?;
        ensure!(filters.contains("pref 9"), "it is gone: {filters}");
        Ok(())
    }
}

fn anothers_stay() -> Result<()> {
    let lab = Lab::new(Wire::Veth, Family::V4)?;
    let namespace = lab.agent().netns.context("no namespace")?;
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let foreign = Foreign::stand(namespace, "lo")?;
    let injector = injector()?;
    // An end in good order, a death, and one that the sweep finds.
    for end in ["report", "death", "sweep"] {
        let armed = lab.arm(&injector, &DELAY)?;
        let filters = foreign.filters()?;
        ensure!(
            filters.contains("injector run") && filters.contains("pref 9"),
            "{filters}"
        );
        match end {
            "report" => drop(armed.report()?),
            "death" => {
                armed.signal_worker(Signal::KILL)?;
                foreign.expect_alone()?;
                armed.wait_within(Duration::from_secs(10))?;
            }
            _ => {
                armed.kill_all()?;
                ensure!(foreign.filters()?.contains("injector run"), "it went alone");
                let swept = injector.once(&["sweep"])?;
                ensure!(swept.code == Some(0), "{swept:?}");
            }
        }
        foreign.expect_alone().with_context(|| end.to_owned())?;
    }
    // What stands at the first place of all is not passed by, and not joined.
    foreign
        .tc("filter add dev lo egress pref 1 bpf bytecode 1,6\u{a0}0\u{a0}0\u{a0}0 flowid 1:1")?;
    let armed = lab.arm(&injector, &DELAY)?;
    ensure!(!foreign.filters()?.contains("injector"), "it was joined");
    let finished = armed.interrupt()?;
    ensure!(
        finished
            .stderr
            .contains("another program's, and what it decides would not be met"),
        "{finished:?}"
    );
    Ok(())
}

/// Whichever ends first, the other goes on; the qdisc goes with the last.
fn two_runs() -> Result<()> {
    let lab = Lab::new(Wire::Veth, Family::V4)?;
    let namespace = lab.agent().netns.context("no namespace")?;
    let _resident = Victim::start(lab.agent(), &["sleep"])?;
    let injector = injector()?;
    let show = |what: &str| -> Result<String> {
        let mut tc = Command::new("tc");
        tc.args(["-n", namespace.name()]).args(what.split(' '));
        Ok(String::from_utf8_lossy(&tc.output()?.stdout).into_owned())
    };
    let filters = || -> Result<usize> {
        let told = show("filter show dev lo egress")?;
        Ok(told.matches("injector run").count())
    };
    let lossy = ["net", "loss", "--percent", "1%"];
    let first = lab.arm(&injector, &lossy)?;
    let second = lab.arm(&injector, &lossy)?;
    ensure!(filters()? == 2, "not two filters");
    first.report()?;
    ensure!(filters()? == 1, "not one filter");
    second.report()?;
    let qdiscs = show("qdisc show dev lo")?;
    ensure!(!qdiscs.contains("clsact"), "{qdiscs}");
    Ok(())
}

/// With a sysctl in front of the filters (a delay line) and without: nothing is armed, and the same works when the lock is free.
fn locked() -> Result<()> {
    let lab = Lab::new(Wire::Veth, Family::V4)?;
    let resident = Victim::start(lab.agent(), &["sleep"])?;
    let pid = resident.pid().to_string();
    let injector = injector()?;
    for fault in ["loss", "duplicate"] {
        let words = ["net", fault, "--percent", "1%", "--pid", &pid];
        let words = [&words[..], &["--duration", "1s"]].concat();
        let lock = File::open(format!("/proc/{pid}/ns/net"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let refused = injector.once(&words)?;
        ensure!(
            refused.code == Some(1)
                && refused.stderr.contains(
                    "another process holds the lock of the network namespace; start again when it has ended"
                ),
            "{refused:?}"
        );
        drop(lock);
        let done = injector.once(&words)?;
        ensure!(done.code == Some(0), "{done:?}");
    }
    Ok(())
}
