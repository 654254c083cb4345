//! The figures of faults on system calls: `cargo xtask bench sys`, here or on another kernel.
//!
//! The call is `connect(2)` of a UDP socket, which makes no packet: a few hundred nanoseconds, so that little
//! hides what is added. Every kernel meets it by some mechanism, if only by cgroups; which one it was, the
//! table says. Targets are processes, so that a process that is not one passes the programs all the same. Armed and
//! not armed take turns, and the median counts. An emulated processor makes all programs slow, and more so those
//! of the kernel: there the nanoseconds are told and not judged, and the ratio is. At the hooks of cgroups the kernel
//! takes the socket's lock before it asks. What a program takes itself the kernel's statistics tell, and those charge
//! it two readings of the clock besides.

mod loops;
mod own_share;
mod strace;

use std::fs;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use injector_tests::bench_table::{Table, bench};
use injector_tests::injector::Injector;
use injector_tests::lab::{Family, Lab, Wire};
use injector_tests::measure::median;
use injector_tests::snapshot::Snapshot;

use loops::Loop;

/// Turns of each kind.
const TURNS: usize = 7;
/// Calls in a turn.
const CALLS: u64 = 50_000;
/// Calls in a turn under strace.
const SLOW_CALLS: u64 = 2_000;
/// What a call of a bystander may cost more, in nanoseconds.
const MOST_BESIDE: f64 = 50.0;
/// How many times as much strace adds to a call, at least.
const LEAST_RATIO: f64 = 50.0;

const HIT: &str = "sys error --syscall connect --errno ECONNREFUSED --fd-kind inet";
const NO_MATCH: &str =
    "sys error --syscall connect --errno ECONNREFUSED --fd-kind inet --thread nobody";

fn main() -> ExitCode {
    bench(run)
}

fn run() -> Result<bool> {
    let before = Snapshot::take()?;
    let injector = Injector::configured(
        "[limits]\nmax_hits = 1000000000000\nmax_hit_rate = 1000000000\nmax_bytes = \"1024tib\"\n",
    )?;
    let mut table = Table::default();
    let cost = added(&injector, &mut table)?;
    beside_strace(&cost, &mut table);
    before.assert_same()?;
    print!("{}", table.markdown());
    Ok(table.all_hold())
}

/// Nanoseconds of a call.
struct Cost {
    bare: f64,
    hit: f64,
}

/// What is added to a call, in three cases.
fn added(injector: &Injector, table: &mut Table) -> Result<Cost> {
    table.promise("A call of who is not the target costs at most 50 ns more (judged where no processor is emulated)");
    let mut lab = Lab::new(Wire::Loopback, Family::V4)?;
    let server = lab.serve("udp-echo")?;
    let mut target = Loop::start(lab.agent(), server, CALLS)?;
    let mut beside = Loop::start(lab.bystander(), server, CALLS)?;
    let pid = target.pid().to_string();
    let (mut bare, mut bystander, mut no_match, mut hit) = (vec![], vec![], vec![], vec![]);
    let mut own_share = vec![];
    let mut mechanism = String::new();
    for _turn in 0..TURNS {
        let undisturbed = (target.turn()?, beside.turn()?);
        bare.push(undisturbed.0.nanos);
        let known = own_share::known()?;
        let armed = injector.arm(&loops::words(NO_MATCH, &pid))?;
        no_match.push(target.turn()?.nanos - undisturbed.0.nanos);
        bystander.push(beside.turn()?.nanos - undisturbed.1.nanos);
        own_share.push(own_share::of(&known, CALLS, || beside.turn().map(drop))?);
        let report = armed.report()?;
        ensure!(
            report.faults[0].seen >= CALLS && report.faults[0].hit == 0,
            "the rule was not asked: {report:?}"
        );
        mechanism.clone_from(&report.faults[0].mechanism);
        let armed = injector.arm(&loops::words(HIT, &pid))?;
        let turn = target.turn()?;
        ensure!(turn.failed == CALLS, "not all calls were hit: {turn:?}");
        hit.push(turn.nanos);
        armed.report()?;
    }
    table.told("mechanism", mechanism);
    let nanos = |value: f64| format!("{value:.0} ns");
    table.told("a call, nothing armed", nanos(median(&bare)));
    let beside_ns = median(&bystander);
    if is_emulated() {
        table.told("added to who is not the target", nanos(beside_ns));
    } else {
        let least = f64::NEG_INFINITY;
        table.bounded(
            "added to who is not the target",
            beside_ns,
            least,
            MOST_BESIDE,
            "ns",
        );
    }
    table.told(
        "of it by our programs, with the statistics' own readings",
        nanos(median(&own_share)),
    );
    table.told(
        "added to a target whose rule does not match",
        nanos(median(&no_match)),
    );
    table.told("a call that is hit, as a whole", nanos(median(&hit)));
    Ok(Cost {
        bare: median(&bare),
        hit: median(&hit),
    })
}

/// The same loop and the same errno under strace; what either adds to a call is compared. A hit may make a call
/// shorter than it was, since it does nothing any more: then it has cost 1 ns.
fn beside_strace(cost: &Cost, table: &mut Table) {
    table.promise("A hit is at least 50 times cheaper than by strace -e inject");
    match strace::turn(SLOW_CALLS) {
        Ok(nanos) => {
            table.told("a call under strace -e inject", format!("{nanos:.0} ns"));
            let (ours, theirs) = (cost.hit - cost.bare, nanos - cost.bare);
            table.bounded(
                "strace adds so many times what a hit adds",
                theirs / ours.max(1.0),
                LEAST_RATIO,
                f64::INFINITY,
                "times",
            );
        }
        Err(error) => table.broken(&format!("{error:#}")),
    }
}

/// Whether QEMU plays the processor.
fn is_emulated() -> bool {
    fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("QEMU TCG"))
}
