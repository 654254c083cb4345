//! What request/response of a bystander loses while programs are attached.
//!
//! Client and server share one CPU, so that all work on the way counts and no wake-up of another CPU
//! blurs it, and the median round trip stands for the rate, because it does not see who else wants
//! that CPU. The machine's speed drifts by more than the effect, so attached and detached take turns
//! and each is held against its neighbours. The same sum over detached turns alone is told as the noise.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use injector_tests::bench_table::Table;
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::median;
use injector_tests::victim::Victim;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Turns of each kind.
const TURNS: usize = 15;
/// Rounds in a turn, of which the median counts, and round trips in a round.
const ROUNDS: usize = 15;
const ROUND_TRIPS: &str = "1000";

pub(crate) fn measure(injector: &Injector, table: &mut Table) -> Result<()> {
    let lab = Lab::new(Wire::Loopback, Family::V4)?;
    let (server, address) = lab.server("tcp-echo", SocketAddr::new(lab.address(), 0))?;
    // Before it has a thread for the connection, which inherits this.
    share_a_cpu(&server)?;
    let address = address.to_string();
    let ping = ["tcp-ping", "--connect", &address, "--wait"];
    let arguments = [&ping[..], &["--count", ROUND_TRIPS]].concat();
    let mut bystander = Victim::start(lab.bystander(), &arguments)?;
    share_a_cpu(&bystander)?;
    bystander.round()?;
    let (mut detached, mut attached) = (vec![turn(&mut bystander)?], Vec::new());
    for _turn in 0..TURNS {
        let armed = lab.arm(injector, &["net", "loss", "--percent", "100%"])?;
        attached.push(turn(&mut bystander)?);
        armed.report()?;
        detached.push(turn(&mut bystander)?);
    }
    let losses: Vec<f64> = detached
        .windows(2)
        .zip(&attached)
        .map(|(around, attached)| lost(around[0], around[1], *attached))
        .collect();
    let noise: Vec<f64> = detached
        .windows(3)
        .map(|three| lost(three[0], three[2], three[1]).abs())
        .collect();
    table.bounded(
        "attached, not targeted: request/response lost",
        median(&losses),
        f64::NEG_INFINITY,
        3.0,
        "%",
    );
    table.told(
        "noise: lost or won by detached turns, median",
        format!("{:.1} %", median(&noise)),
    );
    Ok(())
}

/// Keeps a victim on the last CPU that is allowed here.
fn share_a_cpu(victim: &Victim) -> Result<()> {
    let allowed = sched_getaffinity(None).context("cannot ask for the CPUs")?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu));
    let mut one = CpuSet::new();
    one.set(last.context("no CPU is allowed")?);
    let pid = i32::try_from(victim.pid()).ok().and_then(Pid::from_raw);
    sched_setaffinity(pid, &one).context("cannot keep a victim on a CPU")
}

/// Nanoseconds of a round trip.
#[expect(clippy::cast_precision_loss, reason = "for a ratio")]
fn turn(bystander: &mut Victim) -> Result<f64> {
    let mut rounds = Vec::new();
    for _round in 0..ROUNDS {
        rounds.push(bystander.round()?.p50_ns as f64);
    }
    Ok(median(&rounds))
}

/// Percent of the throughput of the turns before and after that is missing in the one between.
fn lost(before: f64, after: f64, between: f64) -> f64 {
    100.0 * (1.0 - f64::midpoint(before, after) / between)
}
