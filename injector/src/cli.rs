//! The command line, from words to a validated request.
//!
//! [`parse`] is all that `main` needs: it returns an [`Action`] that has nothing left to validate, or the
//! [`Refusal`] to print. Faults are defined in [`fault`], once for the command line and for files.
//!
//! Rejected: a second set of structures for the file format. It was shorter for a week and would have
//! drifted ever after.

mod acknowledge;
mod action;
mod answering;
mod approve;
mod arm;
mod ask;
mod audit;
mod authority;
mod compare;
mod convert;
mod demo;
mod doctor;
mod examples;
mod experiment_file;
mod flags;
mod front_page;
mod halt;
mod lessons;
mod list;
mod observe;
mod own_process;
mod postmortem;
mod record;
mod relay;
mod report;
mod schema;
mod stored;
mod surroundings;
mod sweep;
mod trials;
mod usage;
mod watch;

use std::{path::PathBuf, time::Duration};

use clap::{CommandFactory as _, Parser, Subcommand};

pub use acknowledge::acknowledge;
pub use action::{Action, Arming, Question, Wanted, parse};
pub use approve::approve;
pub use arm::{arm, daemon};
pub use ask::ask;
pub use audit::audit;
pub use authority::{AuthorityFlags, make_authority};
pub use compare::{Comparing, compare};
pub use convert::{Converting, convert};
pub use demo::{Part, demo, demo_agent};
pub use doctor::{Depth, doctor};
pub use flags::Rehearsal;
pub use halt::{halt, resume};
pub use lessons::{Told, lessons};
pub use observe::{Observing, observe};
pub use postmortem::{Page, postmortem};
pub use report::{Format, Reporting, report};
pub use schema::schema;
pub use stored::Which;
pub use sweep::sweep;
pub use trials::{SearchWanted, SuiteWanted, repeat, search, suite};
pub use watch::watch;

use flags::{OnCommandLine, OutputFlags, RunFlags};
use injector_engine::{escalation, trial};
use injector_spec::grammar::FaultCommand;
use injector_spec::{error::Refusal, quantity::duration};
use own_process::OwnProcess;

/// The whole command line.
#[derive(Parser, Debug)]
#[command(
    name = "injector",
    version,
    about = "Put a chosen process through failures, and take it out again unharmed",
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = false
)]
struct Cli {
    /// What this host allows; else `INJECTOR_CONFIG`, or /etc/injector/injector.toml
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Configuration"
    )]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    #[command(flatten)]
    Fault(FaultCommand<OnCommandLine>),
    /// Run an experiment: targets, steps and faults from a file
    Run(RunFlags),
    /// Run every experiment of a folder, and tell what all of them show together
    Suite(Box<trials::SuiteFlags>),
    /// Find the smallest value of one parameter that breaks an experiment's hypothesis
    ///
    /// Runs the experiment with the mildest value, with the harshest, and with the middle between what held and what
    /// broke, until both are near each other. Tells the two with what so many runs prove, and the command that runs the
    /// smallest value that broke again. Exit codes: 0 found, 2 where both ends hold or the mildest breaks, 4 where the runs do not
    /// tell or there were too few.
    Search(Box<trials::SearchFlags>),
    /// Print an experiment in the form of Chaos Toolkit, or in that of injector
    ///
    /// `--to chaos-toolkit` writes what `chaos run` takes: probes of the steady state with their tolerances, faults as
    /// actions that call `injector`, rollbacks. What that format has no word for, as a ramp or a gate, is refused by its
    /// name. `--to injector` writes an experiment of Chaos Toolkit, which `injector run` takes as it is, as a file of
    /// injector: YAML, or JSON with `--json`. What is for Chaos Toolkit is JSON.
    Convert(convert::ConvertFlags),
    /// Make an authority for certificates, by which `llm` and `tool` faults get to see what is sealed by TLS
    ///
    /// Writes `ca.pem` and `ca.key` into a directory, and tells how programs are had to trust it and how injector is told
    /// of it ([relay] of the configuration). It is good for 90 days. A program that has `ca.key` can pass for any server to
    /// programs that trust `ca.pem`: make one for each host, and only have programs trust it that are put through failures.
    Ca(AuthorityFlags),
    /// Print the JSON Schema of experiment files, by which editors complete and check them
    ///
    /// An editor with the YAML language server (VS Code, Neovim, Helix, Emacs and others) takes it from a comment in
    /// the file's first line: `# yaml-language-server: $schema=injector.schema.json`, where that file is what this
    /// command prints.
    Schema,
    /// Serve runs to other commands and programs over a local socket
    Daemon(OutputFlags),
    /// Tell whether a daemon is there, and what is running
    Status(OutputFlags),
    /// List runs, past and present
    List {
        /// Every run, where the newest 20 are shown otherwise
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// End a run; when this returns, nothing of it fires any more
    Stop {
        /// The run, as `injector list` shows it
        #[arg(
            value_name = "RUN",
            required_unless_present = "all",
            conflicts_with = "all"
        )]
        run: Option<String>,
        /// Every run
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Let a run go on that waits at a gate for a person
    Approve {
        /// The run, as `injector list` shows it, or `last` for the newest
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Take over what others are asked about, so that no further person is told
    Acknowledge {
        /// The run, as `injector list` shows it, or `last` for the newest
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Show a run while it goes on: steps, probes, hits, limits; `h` asks whether to halt it, `q` leaves
    Watch {
        /// The run, as `injector list` shows it, or `last` for the newest
        #[arg(value_name = "RUN")]
        run: String,
        /// Tell each turn on a line of its own, as where the output is no terminal
        #[arg(long)]
        plain: bool,
    },
    /// Tell what a process asks of models and other HTTP servers, as it goes on; change nothing
    ///
    /// A line for each request when it has ended: status, method, server and path, the model that was asked, the time to
    /// the first byte and in all, records of a stream and how it ended, `Retry-After`, and whether it repeats one that
    /// failed. HTTP/1.1 in plain text, and through OpenSSL (Python, Node, curl). Headers and bodies are not kept. Ends
    /// with its time, Ctrl-C, or the target.
    Observe(observe::ObserveFlags),
    /// End everything at once, and let nothing start until `injector resume`
    Halt {
        /// Why, for the person who comes next
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Let runs start again after `injector halt`
    Resume(OutputFlags),
    /// Tell from the journals who asked for which fault, on what, and what came of it
    Audit {
        /// Only this run
        #[arg(value_name = "RUN")]
        run: Option<String>,
        /// Only runs that started within this time, as in `2h`
        #[arg(long, value_name = "TIME", value_parser = duration::parse_any)]
        since: Option<Duration>,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Tell what one run did and what its probes measured: a card, a page or data
    Report(report::ReportFlags),
    /// Write the page that follows an impact: Markdown, with the facts of a run filled in
    Postmortem(postmortem::PostmortemFlags),
    /// Tell what is better and what is worse in the second of two runs of one experiment
    Compare(compare::CompareFlags),
    /// Tell which experiments have deviated, and whether a run of them has held since
    Lessons(lessons::LessonsFlags),
    /// Find and remove what dead runs have left, as after a daemon's end
    Sweep {
        /// Find, and remove nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Print what happened in runs
    Events {
        /// Only of this run
        #[arg(value_name = "RUN")]
        run: Option<String>,
        /// Go on with what happens from now on, until interrupted; needs the daemon
        #[arg(long)]
        follow: bool,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Tell which commands work on this machine, and what would enable the others
    Doctor {
        /// Each mechanism too, whether or not a command needs it here
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Show faults on processes of its own, beside a bystander that never feels them
    ///
    /// Starts a small server and two clients, which are this program again. One client is the target: each fault
    /// that this host allows is armed on it for two seconds. The other does the same work and must notice
    /// nothing. Prints what both met before, during and after, and checks that nothing is left; takes some
    /// ten seconds, and needs root. Exits with 0 only where every check holds.
    Demo {
        #[command(subcommand)]
        of: Option<DemoOf>,
    },
    /// A process of the demo; not for people
    #[command(hide = true, name = demo::COMMAND)]
    DemoPart {
        #[command(subcommand)]
        part: Part,
    },
    /// One run of several, asked for on standard input; not for people
    #[command(hide = true, name = trial::COMMAND)]
    Trial(OutputFlags),
    /// The process that asks people about a run that is over; not for people
    #[command(hide = true, name = escalation::COMMAND)]
    Escalate {
        /// The run
        #[arg(value_name = "RUN")]
        run: String,
    },
    #[command(flatten)]
    Own(OwnProcess),
}

/// What else the demo can show.
#[derive(Subcommand, Debug)]
enum DemoOf {
    /// Show what ten faults make a naive agent do wrong, beside a careful one
    ///
    /// Starts a small model server with a tool, and two agents that do the same work, which are this program again. Each of ten
    /// `llm` and `tool` faults is armed on both, a run each, and the table says by name what the runs report of them. Takes some
    /// fifteen seconds, and needs root. Exits with 0 only where the naive agent shows each flaw, the careful one none, and nothing
    /// is left.
    Agent,
}

/// The definition of the command line, as manuals and completions have it: without the commands that are not for
/// people, and with the examples of each fault.
pub fn command() -> clap::Command {
    let whole = examples::in_manual(Cli::command());
    let for_people = whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    clap::Command::new("injector")
        .version(env!("CARGO_PKG_VERSION"))
        .about(whole.get_about().cloned().unwrap_or_default())
        .after_help(front_page::EXIT_CODES)
        .subcommand_required(true)
        .args(whole.get_arguments())
        .subcommands(for_people)
}

/// A runtime for one conversation.
fn runtime() -> Result<tokio::runtime::Runtime, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| {
        Refusal::failed(format!("the runtime cannot be started: {error}; try again"))
    })
}

#[cfg(test)]
mod tests;
