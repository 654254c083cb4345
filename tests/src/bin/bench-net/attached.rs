//! What it costs those who are not the target that programs are attached.

use std::fs;

use anyhow::{Context, Result};
use injector_tests::bpf;
use injector_tests::injector::{Injector, Running};
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::median;
use injector_tests::victim::Victim;

use crate::table::Table;

/// Alternated, because a machine's speed drifts more within a minute than the effect is large.
const REPEATS: usize = 9;
const ROUND_TRIPS: &str = "15000";
const MANY_RULES: usize = 256;
/// Slots of a target; 256 rules are eight targets of so many.
const RULES_OF_A_TARGET: usize = 32;

/// Request/response beside an armed fault against none.
pub(crate) fn request_response(injector: &Injector, table: &mut Table) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let arguments = [
        "tcp-ping",
        "--connect",
        &server,
        "--count",
        ROUND_TRIPS,
        "--wait",
    ];
    let mut bystander = Victim::start(lab.bystander(), &arguments)?;
    bystander.round()?;
    let mut losses = Vec::new();
    for _repeat in 0..REPEATS {
        let detached = bystander.round()?.elapsed_ns;
        let armed = lab.arm(injector, &["net", "loss", "--percent", "100%"])?;
        let attached = bystander.round()?.elapsed_ns;
        armed.report()?;
        #[expect(clippy::cast_precision_loss, reason = "for a ratio")]
        losses.push(100.0 * (1.0 - detached as f64 / attached as f64));
    }
    let loss = median(&losses);
    let what = "attached, not targeted: request/response lost";
    table.bounded(what, loss, f64::NEG_INFINITY, 3.0, "%");
    Ok(())
}

/// Nanoseconds in our programs for a bystander's packet, by the kernel's own statistics.
pub(crate) fn per_packet(injector: &Injector, table: &mut Table) -> Result<()> {
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("tcp-echo")?.to_string();
    let one = cost(&mut lab, &server, |lab| {
        lab.arm(injector, &["net", "loss", "--percent", "1%"])
    })?;
    let most = f64::NEG_INFINITY;
    table.bounded(
        "attached, not targeted: cost of a packet",
        one,
        most,
        100.0,
        "ns",
    );
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("many.yaml");
    let path = file.to_string_lossy().into_owned();
    let many = cost(&mut lab, &server, |lab| {
        fs::write(&file, many_rules(lab))?;
        injector.arm(&["run", &path, "--json"])
    })
    .context("with 256 rules")?;
    table.told("the same with 256 rules", format!("{many:.1} ns"));
    table.bounded(
        "256 rules against 1",
        100.0 * (many / one - 1.0),
        most,
        20.0,
        "%",
    );
    Ok(())
}

fn cost(lab: &mut Lab, server: &str, arm: impl Fn(&Lab) -> Result<Running>) -> Result<f64> {
    let arguments = [
        "tcp-ping",
        "--connect",
        server,
        "--count",
        ROUND_TRIPS,
        "--wait",
    ];
    let mut bystander = Victim::start(lab.bystander(), &arguments)?;
    let statistics = bpf::enable_statistics()?;
    let known: Vec<u32> = bpf::programs()?.iter().map(|program| program.id).collect();
    let armed = arm(lab)?;
    let mut costs = Vec::new();
    for _repeat in 0..3 {
        let before = totals(&known)?;
        bystander.round()?;
        let after = totals(&known)?;
        #[expect(clippy::cast_precision_loss, reason = "for a ratio")]
        costs.push((after.0 - before.0) as f64 / (after.1 - before.1).max(1) as f64);
    }
    armed.report()?;
    drop(statistics);
    Ok(median(&costs))
}

/// Time and runs of the busiest new program: the look-up that every egress packet pays. The others
/// run for a socket or a process, not for a packet.
fn totals(known: &[u32]) -> Result<(u64, u64)> {
    let busiest = bpf::programs()?
        .into_iter()
        .filter(|program| !known.contains(&program.id))
        .max_by_key(|program| program.run_count)
        .context("the injector has loaded no program")?;
    Ok((busiest.run_time_ns, busiest.run_count))
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
