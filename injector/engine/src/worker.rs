//! The worker: the process that does the work, and may die at any moment.
//!
//! It sends heartbeats from a thread of its own, carries runs out on threads of their own, and hears signals (or,
//! as a daemon, requests) on a small runtime. Everything that it arms is held by its descriptors.

mod endings;
mod heartbeat;
mod login;
mod once;
pub mod runs;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::tell;
use crate::{
    preflight::Terms,
    supervisor::link::{self, WorkerEnd},
};
use injector_host::privilege;
use injector_record::journal::Process;
use injector_spec::{
    config::Source,
    error::{Exit, Refusal},
    experiment::Experiment,
};

pub use endings::Endings;
pub use login::{login_uid, session_uid};
pub use runs::{Companions, Running, start};

/// What a worker is started for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Job {
    /// One run in the foreground.
    Run {
        /// What was asked.
        experiment: Box<Experiment>,
        /// How to print.
        output: Output,
        /// How much of a terminal to take.
        showing: Showing,
        /// Who asked, and on what terms.
        terms: Terms,
        /// The process to signal to stop the run.
        supervisor: Process,
    },
    /// A daemon that serves requests.
    Daemon {
        /// How to print.
        output: Output,
        /// The file that says what this host allows.
        config: Source,
    },
}

/// Who asked for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedBy {
    /// User id.
    pub uid: u32,
    /// Process id.
    pub pid: u32,
    /// The user who logged in and became that user id, as by sudo; `None` where it is not known.
    #[serde(default)]
    pub login_uid: Option<u32>,
}

/// Serves requests as a daemon until it is told to end, and ends its runs.
pub type Serve = fn(Output, Source, &Companions) -> Result<Exit, Refusal>;

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// For people: lines and a table on stdout.
    Text,
    /// For programs: the report on stdout, progress on stderr, one JSON object a line.
    Json,
}

/// How much of a terminal a command takes for what people read while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Showing {
    /// Lines alone, as on a pipe.
    Lines,
    /// One live line.
    LiveLine,
    /// All of it, where there is much to show and the terminal is large enough; a live line else.
    Dashboard,
}

/// The worker's main function; `link` is the number of the descriptor that its supervisor left open.
///
/// A daemon's requests come over an interface that this crate does not know: `serve` answers them.
pub fn run(link: i32, serve: Serve) -> Result<Exit, Refusal> {
    ignore_terminal_stops();
    privilege::share_one_heap();
    confine()?;
    let supervisor = Arc::new(WorkerEnd::inherited(link)?);
    let (job, companions) = supervisor.job()?;
    let link::Companions {
        recorder,
        terminal,
        guardian,
    } = companions;
    tell::through(terminal);
    let companions = Companions {
        link: Arc::clone(&supervisor),
        recorder: Arc::new(recorder),
        guardian: Arc::new(guardian),
    };
    let heartbeat = heartbeat::start(Arc::clone(&supervisor))?;
    let result = match job {
        Job::Run {
            experiment,
            output,
            showing,
            terms,
            supervisor,
        } => {
            tell::speak(output);
            once::run(
                *experiment,
                (output, showing),
                &terms,
                supervisor,
                &companions,
            )
        }
        Job::Daemon { output, config } => {
            tell::speak(output);
            serve(output, config, &companions)
        }
    };
    drop(heartbeat);
    result
}

/// Locks the program in memory and gives up what it does not need, while there is one thread. What the
/// host withholds, the supervisor has told.
fn confine() -> Result<(), Refusal> {
    let _ = privilege::lock_program();
    privilege::confine_worker().map_err(|errno| {
        Refusal::failed(format!(
            "the worker cannot give up the privileges that it does not need: {errno}; nothing is armed."
        ))
    })
}

/// A background process group that writes to a terminal with `stty tostop` would be stopped, with a
/// fault armed.
fn ignore_terminal_stops() {
    for signal in [libc::SIGTTOU, libc::SIGTTIN, libc::SIGTSTP] {
        // SAFETY: sets a disposition; no handler runs.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}
