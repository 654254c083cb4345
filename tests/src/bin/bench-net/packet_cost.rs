//! What a packet of a bystander costs, by the kernel's own BPF statistics.
//!
//! The statistics charge a program two readings of the clock beside its own work, so a program that
//! does nothing runs behind ours on the same packets and is told beside it. A run that the machine
//! interrupts adds microseconds to a mean of nanoseconds: the rounds are short, and the median of
//! many counts.

use std::fs;

use anyhow::{Context, Result};
use injector_tests::bench_table::Table;
use injector_tests::bpf::{self, Charge, EmptyEgress};
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::median;
use injector_tests::victim::Victim;

/// One rule and 256 rules take turns so often.
const TURNS: usize = 5;
/// Rounds in a turn, and round trips in a round: some 5 ms, in which a busy machine mostly lets us be.
const ROUNDS: usize = 30;
const ROUND_TRIPS: &str = "500";
const MANY_RULES: usize = 256;
/// Slots of a target; 256 rules are eight targets of so many.
const RULES_OF_A_TARGET: usize = 32;
/// `LOOPBACK_IFINDEX` of `include/net/flow.h`.
const LOOPBACK: u32 = 1;

/// Means of rounds, in nanoseconds.
#[derive(Default)]
struct Costs {
    ours: Vec<f64>,
    empty: Vec<f64>,
}

pub(crate) fn measure(injector: &Injector, table: &mut Table) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let ping = ["tcp-ping", "--connect", &server, "--wait"];
    let arguments = [&ping[..], &["--count", ROUND_TRIPS]].concat();
    let mut bystander = Victim::start(lab.bystander(), &arguments)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("many.yaml");
    fs::write(&file, many_rules(&lab))?;
    let path = file.to_string_lossy().into_owned();
    let statistics = bpf::enable_statistics()?;
    let (mut one, mut many) = (Costs::default(), Costs::default());
    for _turn in 0..TURNS {
        one.take_turn(&mut bystander, || {
            lab.arm(injector, &["net", "loss", "--percent", "1%"])
        })?;
        many.take_turn(&mut bystander, || injector.arm(&["run", &path, "--json"]))
            .context("with 256 rules")?;
    }
    drop(statistics);
    one.tell(&many, table);
    Ok(())
}

impl Costs {
    fn take_turn(
        &mut self,
        bystander: &mut Victim,
        arm: impl Fn() -> Result<Running>,
    ) -> Result<()> {
        let known: Vec<u32> = bpf::programs()?.iter().map(|program| program.id).collect();
        let armed = arm()?;
        let empty = EmptyEgress::attach(LOOPBACK)?;
        bystander.round()?;
        for _round in 0..ROUNDS {
            let before = (charged(&known)?, empty.charged()?);
            bystander.round()?;
            let after = (charged(&known)?, empty.charged()?);
            let nothing_ran = "no packet passed the programs";
            self.ours
                .push(after.0.mean_since(before.0).context(nothing_ran)?);
            self.empty
                .push(after.1.mean_since(before.1).context(nothing_ran)?);
        }
        drop(empty);
        armed.report()?;
        Ok(())
    }

    fn tell(&self, many: &Self, table: &mut Table) {
        let most = f64::NEG_INFINITY;
        let (one_ns, many_ns) = (median(&self.ours), median(&many.ours));
        table.bounded(
            "attached, not targeted: cost of a packet",
            one_ns,
            most,
            100.0,
            "ns",
        );
        let both = [&self.empty[..], &many.empty[..]].concat();
        let empty_ns = median(&both);
        table.told(
            "the same of a program that does nothing",
            format!("{empty_ns:.1} ns"),
        );
        table.told(
            "the difference, with 1 and with 256 rules",
            format!(
                "{:.1} and {:.1} ns",
                one_ns - median(&self.empty),
                many_ns - median(&many.empty)
            ),
        );
        table.bounded(
            "cost of a packet, 256 rules against 1",
            100.0 * (many_ns / one_ns - 1.0),
            most,
            20.0,
            "%",
        );
    }
}

/// What the look-up that every egress packet pays has been charged: our programs are those that were
/// not there before.
fn charged(known: &[u32]) -> Result<Charge> {
    bpf::programs()?
        .into_iter()
        .find(|program| program.name == "inj_egress" && !known.contains(&program.id))
        .map(|program| program.charge)
        .context("the injector has loaded no program for egress")
}

/// An experiment with 256 rules on cgroups beside the bystander's.
fn many_rules(lab: &Lab) -> String {
    let (mut selectors, mut rules) = (Vec::new(), Vec::new());
    let agent = lab.cgroups.agent.path();
    for target in 0..MANY_RULES / RULES_OF_A_TARGET {
        // The same cgroup cannot be two targets; children of it can. They go with the agent's.
        let child = agent.join(format!("many-{target}"));
        let _exists_already = fs::create_dir(&child);
        selectors.push(format!("  t{target}: {{ cgroup: {} }}\n", child.display()));
        for rule in 0..RULES_OF_A_TARGET {
            let port = 10_000 + rule;
            let rule = format!("target: t{target}, percent: 1%, dest-port: [{port}]");
            rules.push(format!("      - net.loss: {{ {rule} }}\n"));
        }
    }
    format!(
        "name: many\ntargets:\n{}steps:\n  - name: all\n    duration: 60s\n    faults:\n{}",
        selectors.concat(),
        rules.concat()
    )
}
