//! From words to what is to be done.

use std::{collections::BTreeMap, ffi::OsString, time::Duration};

use clap::{CommandFactory, FromArgMatches};

use super::{
    AuthorityFlags, Cli, Command, Comparing, Converting, DemoOf, Depth, Observing, Page, Part,
    Rehearsal, Reporting, Told, Which, examples,
    experiment_file::{ExperimentFile, check, from_stdin},
    flags::{OnCommandLine, RunFlags, StageFlags},
    front_page,
    lessons::LessonsFlags,
    list::Shown,
    relay,
    trials::{SearchWanted, SuiteWanted, Times},
    usage,
};
use injector_engine::{
    cleanup::Sweeping,
    trial::Asked,
    worker::{Output, Showing},
};
use injector_plan::policy::Override;
use injector_record::journal::RunId;
use injector_spec::{
    config::Source,
    error::Refusal,
    experiment::{Experiment, Fault, Step, Target, Values},
};

/// What is to be done, with nothing left to validate but this machine.
#[derive(Debug)]
pub enum Action {
    /// Put targets through an experiment.
    Arm(Arming),
    /// Put targets through it several times.
    Repeat(Arming, Times),
    /// Put targets through every experiment of a folder.
    Suite(Box<SuiteWanted>),
    /// Find the value of a parameter that breaks an experiment's hypothesis.
    Search(Box<SearchWanted>),
    /// Serve, as far as this file lets it.
    Daemon(Source, Output),
    /// Ask the daemon, or the journals.
    Ask(Question, Output),
    /// Let a run go on that waits for a person.
    Approve(Which, Output),
    /// Take over what others are asked about.
    Acknowledge(Which, Output),
    /// Ask people about a run that is over.
    Escalate(RunId),
    /// Tell what a target asks of servers.
    Observe(Observing),
    /// Show a run while it goes on.
    Watch(Which, Showing),
    /// End everything and let nothing start.
    Halt {
        /// Why.
        reason: Option<String>,
        /// How it is told.
        output: Output,
    },
    /// Let runs start again.
    Resume(Output),
    /// Tell from the journals what was done.
    Audit(Wanted, Output),
    /// Tell from its journal what one run did.
    Report(Reporting),
    /// Write the page that follows an impact.
    Postmortem(Page),
    /// Tell the difference of two runs.
    Compare(Comparing),
    /// Tell what deviated runs have taught.
    Lessons(Told, Output),
    /// Remove what dead runs have left, or only find it.
    Sweep(Sweeping, Output),
    /// Tell what this machine offers.
    Doctor(Depth, Output),
    /// Show faults on processes of this program's own, as far as this file lets it.
    Demo(Source),
    /// Show a naive agent beside a careful one.
    DemoAgent(Source),
    /// Be one of these processes.
    DemoPart(Part),
    /// Be the worker; the number is the descriptor to talk to the supervisor.
    Worker(i32),
    /// The process that can undo what a worker changes; the number of the supervisor's descriptor.
    Guard(i32),
    /// The process that writes to disks and terminals.
    Record {
        /// The number of the descriptor for what goes to disk.
        disk: i32,
        /// The number of the descriptor for what goes to the terminal.
        terminal: i32,
    },
    /// Be the page holder, which maps so many bytes.
    HoldPark(usize),
    /// The process that connections of a target go through.
    Relay(relay::Flags),
    /// Become this program.
    ExecHelper(Vec<OsString>),
    /// Be the thread that the sleep server's trial puts to sleep.
    TryPark,
    /// Be the process on which probes are tried.
    TryProbe,
    /// Print an experiment in another form.
    Convert(Converting),
    /// Make an authority that the relay opens TLS by.
    MakeAuthority(AuthorityFlags),
    /// Print the schema of experiment files.
    Schema,
    /// Print a text and be done: `--help`, `--version`.
    Print(String),
}

/// A run that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Arming {
    /// What is to be run.
    pub experiment: Experiment,
    /// Whether it is.
    pub rehearsal: Rehearsal,
    /// Which limits of this host are lifted for it.
    pub overrides: Vec<Override>,
    /// The file that says what this host allows.
    pub config: Source,
    /// How it is told.
    pub output: Output,
    /// How much of a terminal it takes meanwhile.
    pub showing: Showing,
}

/// Which runs an audit is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only this one.
    pub run: Option<RunId>,
    /// Only those that started within this time.
    pub since: Option<Duration>,
}

/// What can be asked of the daemon, or of the journals where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who is there, and what is running?
    Status,
    /// Which runs are there?
    List(Shown),
    /// End a run.
    Stop(RunId),
    /// End every run.
    StopAll,
    /// What happened?
    Events {
        /// In this run, or in all.
        run: Option<RunId>,
        /// And what happens from now on.
        follow: bool,
    },
}

/// Parses a command line, its first word the program's name. A usage error is a [`Refusal`] in the
/// words of [`usage`].
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Action, Refusal> {
    let words: Vec<OsString> = words.into_iter().collect();
    let parsed = Cli::command()
        .try_get_matches_from(&words)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => action(cli.command, Source::choose(cli.config), &words),
        Err(error) if usage::asks_for_the_front_page(&error, &words) => {
            Ok(Action::Print(front_page::text()))
        }
        Err(error) if error.exit_code() == 0 => {
            let help = error.render().to_string();
            Ok(Action::Print(examples::added_to(help, &words)))
        }
        Err(error) => Err(usage::refusal(&error, &words)),
    }
}

/// `words` is the command line that the command was read from.
fn action(command: Command, config: Source, words: &[OsString]) -> Result<Action, Refusal> {
    Ok(match command {
        Command::Fault(command) => {
            let (fault, context) = command.split();
            Action::Arm(one_fault(fault, context, config)?)
        }
        Command::Run(flags) => {
            let repeat = flags.repeat;
            let arming = file(flags, config)?;
            match repeat {
                // A plan is the same however often it is carried out.
                Some(times) if arming.rehearsal == Rehearsal::No => Action::Repeat(arming, times),
                _ => Action::Arm(arming),
            }
        }
        Command::Convert(flags) => Action::Convert(flags.try_into()?),
        Command::Ca(flags) => Action::MakeAuthority(flags),
        Command::Schema => Action::Schema,
        Command::Daemon(flags) => Action::Daemon(config, flags.output()),
        Command::Status(flags) => Action::Ask(Question::Status, flags.output()),
        Command::List { all, output } => {
            let shown = if all { Shown::All } else { Shown::Newest };
            Action::Ask(Question::List(shown), output.output())
        }
        Command::Stop {
            run: None,
            all: _,
            output,
        } => Action::Ask(Question::StopAll, output.output()),
        Command::Stop {
            run: Some(run),
            all: _,
            output,
        } => Action::Ask(Question::Stop(run_id(&run)?), output.output()),
        Command::Events {
            run,
            follow,
            output,
        } => {
            let run = run.map(|run| run_id(&run)).transpose()?;
            Action::Ask(Question::Events { run, follow }, output.output())
        }
        Command::Approve { run, output } => Action::Approve(Which::parse(&run)?, output.output()),
        Command::Acknowledge { run, output } => {
            Action::Acknowledge(Which::parse(&run)?, output.output())
        }
        Command::Escalate { run } => Action::Escalate(run_id(&run)?),
        Command::Watch { run, plain } => {
            let showing = if plain {
                Showing::Lines
            } else {
                Showing::Dashboard
            };
            Action::Watch(Which::parse(&run)?, showing)
        }
        Command::Observe(flags) => Action::Observe(Observing::read(flags)?),
        Command::Halt { reason, output } => Action::Halt {
            reason,
            output: output.output(),
        },
        Command::Resume(flags) => Action::Resume(flags.output()),
        Command::Audit { run, since, output } => {
            let run = run.map(|run| run_id(&run)).transpose()?;
            Action::Audit(Wanted { run, since }, output.output())
        }
        Command::Report(flags) => Action::Report(flags.try_into()?),
        Command::Postmortem(flags) => Action::Postmortem(flags.try_into()?),
        Command::Compare(flags) => Action::Compare(flags.try_into()?),
        Command::Lessons(flags) => lessons(flags),
        Command::Sweep { dry_run, output } => {
            let sweeping = if dry_run {
                Sweeping::FindOnly
            } else {
                Sweeping::Remove
            };
            Action::Sweep(sweeping, output.output())
        }
        Command::Doctor { all, output } => {
            let depth = if all {
                Depth::Everything
            } else {
                Depth::Verdicts
            };
            Action::Doctor(depth, output.output())
        }
        Command::Demo { of: None } => Action::Demo(config),
        Command::Demo {
            of: Some(DemoOf::Agent),
        } => Action::DemoAgent(config),
        Command::DemoPart { part } => Action::DemoPart(part),
        Command::Suite(flags) => Action::Suite(Box::new(SuiteWanted::read(*flags, config)?)),
        Command::Search(flags) => {
            Action::Search(Box::new(SearchWanted::read(*flags, config, words)?))
        }
        Command::Trial(flags) => Action::Arm(one_of_several(config, flags.output())?),
        Command::Own(process) => process.action(),
    })
}

fn lessons(flags: LessonsFlags) -> Action {
    let (told, output) = flags.split();
    Action::Lessons(told, output)
}

pub(super) fn run_id(text: &str) -> Result<RunId, Refusal> {
    text.parse()
        .map_err(|error: injector_record::journal::RunIdError| Refusal::usage(error.to_string()))
}

fn one_fault(fault: Fault, context: OnCommandLine, config: Source) -> Result<Arming, Refusal> {
    let OnCommandLine {
        target,
        duration,
        arming,
    } = context;
    let selector = target.selector().ok_or_else(no_target)?;
    let name = fault.kind.name().to_owned();
    let experiment = Experiment {
        name: name.clone(),
        hypothesis: None,
        owner: None,
        labels: BTreeMap::new(),
        variables: None,
        steady_state: None,
        blast_radius: None,
        targets: vec![Target {
            name: Target::ONLY.to_owned(),
            selector,
        }],
        steps: vec![Step {
            name,
            duration,
            faults: vec![fault],
            gate: None,
        }],
        halt: arming.halt(),
        on_target_exit: arming.on_target_exit().unwrap_or_default(),
        rollback: Vec::new(),
        notify: Vec::new(),
        fail_on: arming.fail_on(),
        declared: None,
        stage: None,
        escalate: Vec::new(),
    };
    check(&experiment)?;
    Ok(Arming {
        experiment,
        rehearsal: arming.rehearsal(),
        overrides: arming.overrides(),
        config,
        output: arming.output(),
        showing: Showing::LiveLine,
    })
}

fn file(flags: RunFlags, config: Source) -> Result<Arming, Refusal> {
    let RunFlags {
        file,
        target,
        repeat: _,
        set,
        profile,
        stage: StageFlags { stage, approved_by },
        plain,
        arming,
    } = flags;
    let values = Values {
        profile,
        stage,
        approved_by,
        settings: set,
    };
    let file = ExperimentFile::open(&file)?;
    Ok(Arming {
        experiment: file.armed(target.selector(), &values, &arming)?,
        rehearsal: arming.rehearsal(),
        overrides: arming.overrides(),
        config,
        output: arming.output(),
        showing: if plain {
            Showing::Lines
        } else {
            Showing::Dashboard
        },
    })
}

/// What a command that makes several runs has written on standard input.
fn one_of_several(config: Source, output: Output) -> Result<Arming, Refusal> {
    let no_run = |why: &dyn std::fmt::Display| {
        Refusal::usage(format!(
            "what is asked on standard input is no run of several: {why}; use `injector run --repeat`"
        ))
    };
    let bytes = from_stdin().map_err(|error| no_run(&error))?;
    let asked: Asked = serde_json::from_slice(&bytes).map_err(|error| no_run(&error))?;
    check(&asked.experiment)?;
    Ok(Arming {
        experiment: asked.experiment,
        rehearsal: Rehearsal::No,
        overrides: asked.overrides,
        config,
        output,
        showing: Showing::Lines,
    })
}

pub(super) fn no_target() -> Refusal {
    Refusal::usage(
        "the command names no target; add one of --pid, --cgroup, --unit, --container or --process",
    )
}
