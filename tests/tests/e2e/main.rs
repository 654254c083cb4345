//! The end-to-end tests: real processes, real packets, the real binary.
//!
//! One after the other where they share the kernel's state, a few at a time where each has all that it touches
//! for itself ([`company`]), and between two snapshots of the host: a test that leaves anything behind
//! fails, whatever it was about. A test that this machine cannot run says why and counts as ignored.

mod bystanders;
mod calls;
mod catalogue;
mod certificates;
mod chaos_toolkit;
mod clsact;
mod company;
mod daemon;
mod dashboards;
mod death;
mod demo;
mod effects;
mod escalations;
mod experiments;
mod files;
mod filters;
mod flaws;
mod game_days;
mod gates;
mod guarded;
mod guardians;
mod halts;
mod harness_itself;
mod in_place;
mod judged;
mod lessons;
mod lifecycle;
mod limits;
mod matrix;
mod measures;
mod narrow;
mod needs;
mod observe;
mod operations;
mod park;
mod plugins;
mod policy;
mod probe;
mod processes;
mod ramps;
mod rates;
mod readme;
mod refusals;
mod report;
mod requests;
mod rollback;
mod schedules;
mod script;
mod search;
mod signs;
mod stages;
mod suite;
mod targets;
mod terminals;
mod times;
mod tools;
mod trials;
mod waiting;
mod ways;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [
        harness_itself::cases(),
        refusals::cases(),
        effects::cases(),
        filters::cases(),
        bystanders::cases(),
        targets::cases(),
        judged::cases(),
        measures::cases(),
        observe::cases(),
        in_place::cases(),
        operations::cases(),
        rates::cases(),
        ramps::cases(),
        requests::cases(),
        tools::cases(),
        flaws::cases(),
        signs::cases(),
        lifecycle::cases(),
        terminals::cases(),
        dashboards::cases(),
        escalations::cases(),
        death::cases(),
        clsact::cases(),
        daemon::cases(),
        guarded::cases(),
        guardians::cases(),
        policy::cases(),
        halts::cases(),
        experiments::cases(),
        report::cases(),
        rollback::cases(),
        gates::cases(),
        chaos_toolkit::cases(),
        game_days::cases(),
        trials::cases(),
        schedules::cases(),
        search::cases(),
        stages::cases(),
        lessons::cases(),
        limits::cases(),
        processes::cases(),
        plugins::cases(),
        calls::cases(),
        waiting::cases(),
        narrow::cases(),
        ways::cases(),
        files::cases(),
        readme::cases(),
        demo::cases(),
        park::cases(),
    ];
    suite::run(matrix::select(cases.into_iter().flatten().collect()))
}
