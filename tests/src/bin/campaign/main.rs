//! `cargo xtask campaign NAME`: the same thing a thousand times, each time at another moment, and one oracle.
//!
//! A campaign tries to break the promise. Each run has a victim and beside it a control, both with the time
//! of every operation; the host is compared before and after; the journals have to be whole. Which moment
//! is tried is drawn from the seed. A campaign in which nothing ran, or no fault was felt, has failed.

mod abused;
mod budget;
mod churn;
mod clock;
mod crowd;
mod ending;
mod every_step;
mod hostile;
mod journals;
mod memory;
mod noise;
mod oracle;
mod pace;
mod reuse;
mod scene;
mod scope;
mod selfish;
mod soak;
mod standstill;
mod stillness;
mod upgrade;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

use ending::{Ending, How};
use oracle::{NotHere, Outcome};

/// How this ends where the host is not one for the campaign; `xtask` counts a skip.
const NOT_HERE: u8 = 4;

/// Runs one campaign and prints what came of it.
#[derive(Parser)]
struct Cli {
    /// Which one.
    #[arg(value_enum)]
    name: Name,
    /// Where the moments are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many runs; for `soak`, how many seconds.
    #[arg(long)]
    runs: Option<u64>,
    /// How many faults at once, for those that end runs.
    #[arg(long, default_value_t = 12)]
    at_once: usize,
    /// Only faults that have this in their words, for the same.
    #[arg(long, default_value = "", value_name = "TEXT")]
    only: String,
}

/// The campaigns.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Name {
    /// kill -9 of each process alone, or of worker and supervisor at once, at a random moment of an armed run.
    Kill9Random,
    /// kill -9 as soon as the journal has so many lines, for each number of lines.
    Kill9EveryStep,
    /// The kernel kills the worker, the supervisor, or both, because memory is short.
    Oom,
    /// SIGSTOP of the worker: the lease runs out.
    Sigstop,
    /// Worker and supervisor frozen for longer than the lease, and thawed.
    Freeze,
    /// One thread of the worker stands still.
    HungRuntime,
    /// A stop in good order: nothing fires once it has returned.
    StopLatency,
    /// The disk of the journals stands still, or the reader of the output does; and the run ends.
    Standstill,
    /// The control makes calls beside a fault that hits everything of the target.
    Scope,
    /// The share that was asked for, and a budget that eight threads use up together.
    ProbabilityAndBudget,
    /// Many experiments at once in one daemon.
    Overlap,
    /// Processes come into the target and go, and its cgroup goes.
    TargetChurn,
    /// A target's number goes to a stranger.
    PidReuse,
    /// Clients and servers break the rules of HTTP, through the relay.
    HostilePeers,
    /// Others play with the daemon's socket.
    SocketAbuse,
    /// The daemon's binary is replaced, and the daemon ends.
    Upgrade,
    /// Journals are damaged, and read.
    JournalFaults,
    /// Targets that must not be are asked for.
    SelfProtection,
    /// The wall clock jumps (in a virtual machine alone).
    ClockJumps,
    /// A daemon that starts and ends runs for long, and does not grow.
    Soak,
    /// Judged runs with a fault that does nothing: none may come out as a deviation.
    Noise,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(outcome) => {
            println!("{}", outcome.row(&format!("{:?}", cli.name), cli.seed));
            if outcome.is_good() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            }
        }
        Err(error) if error.is::<NotHere>() => {
            println!("not here: {error}");
            ExitCode::from(NOT_HERE)
        }
        Err(error) => {
            eprintln!("The campaign cannot go on: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<Outcome> {
    let runs = |usual| cli.runs.unwrap_or(usual);
    let how = How {
        at_once: cli.at_once,
        only: &cli.only,
    };
    let endings = |ways: &[Ending], usual| ending::campaign(ways, cli.seed, runs(usual), &how);
    match cli.name {
        Name::Kill9Random => endings(&Ending::ALL_KILLS, 36),
        Name::Oom => {
            ensure!(
                memory::is_limitable(),
                NotHere("this host has no memory controller")
            );
            endings(&Ending::OUT_OF_MEMORY, 24)
        }
        Name::Sigstop => endings(&[Ending::WorkerStopped], 12),
        Name::Freeze => endings(&[Ending::Frozen], 12),
        Name::HungRuntime => endings(&Ending::HANGS, 24),
        Name::StopLatency => endings(&[Ending::Stop, Ending::Quit], 24),
        Name::Standstill => standstill::campaign(cli.seed, runs(32), &cli.only),
        Name::Kill9EveryStep => every_step::campaign(cli.seed, runs(1)),
        Name::Scope => scope::campaign(runs(1_000_000)),
        Name::ProbabilityAndBudget => budget::campaign(cli.seed, runs(4)),
        Name::Overlap => crowd::campaign(runs(25)),
        Name::TargetChurn => churn::campaign(cli.seed, runs(50)),
        Name::PidReuse => reuse::campaign(cli.seed, runs(20)),
        Name::HostilePeers => hostile::campaign(cli.seed, runs(50)),
        Name::SocketAbuse => abused::campaign(cli.seed, runs(20)),
        Name::Upgrade => upgrade::campaign(cli.seed, runs(12)),
        Name::JournalFaults => journals::campaign(cli.seed, runs(100)),
        Name::SelfProtection => selfish::campaign(cli.seed, runs(40)),
        Name::ClockJumps => clock::campaign(cli.seed, runs(10)),
        Name::Soak => soak::campaign(runs(20)),
        Name::Noise => noise::campaign(runs(20), cli.at_once),
    }
}
