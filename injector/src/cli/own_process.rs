//! Commands that are processes of injector's own: the supervisor or the worker starts each, and they are not for people.

use std::ffi::OsString;

use clap::Subcommand;
use injector_engine::{guardian, halt_monitor, recorder};
use injector_host::{kernel::uprobe, sleep_server};

use super::{action::Action, relay};

/// A process of injector's own.
#[derive(Subcommand, Debug)]
pub(super) enum OwnProcess {
    /// The process that a supervisor starts; not for people
    #[command(hide = true)]
    Worker {
        /// The supervisor's end of the conversation
        #[arg(long, value_name = "DESCRIPTOR")]
        link: i32,
    },
    /// The process that can undo what a worker changes; not for people
    #[command(hide = true, name = guardian::COMMAND)]
    Guard {
        /// The guardian's end of the conversation
        #[arg(long, value_name = "DESCRIPTOR")]
        link: i32,
    },
    /// The process that writes to disks and terminals; not for people
    #[command(hide = true, name = recorder::COMMAND)]
    Record {
        /// Its end of the conversation about disks
        #[arg(long, value_name = "DESCRIPTOR")]
        disk: i32,
        /// Its end of the conversation about the terminal
        #[arg(long, value_name = "DESCRIPTOR")]
        terminal: i32,
    },
    /// The process that connections of a target go through; not for people
    #[command(hide = true, name = injector_relay::conversation::COMMAND)]
    Relay(relay::Flags),
    /// The process whose pages threads sleep on; not for people
    #[command(hide = true, name = sleep_server::page_holder::COMMAND)]
    HoldPark {
        /// How much it maps
        #[arg(value_name = "BYTES")]
        bytes: usize,
    },
    /// The process that becomes a program that a person named; not for people
    #[command(hide = true, name = halt_monitor::EXEC_HELPER)]
    ExecHelper {
        /// The program and its arguments
        #[arg(value_name = "WORD", required = true, last = true)]
        words: Vec<OsString>,
    },
    /// The process that is put to sleep to see whether that works; not for people
    #[command(hide = true, name = sleep_server::trial::COMMAND)]
    TryPark,
    /// The process on which probes are tried; not for people
    #[command(hide = true, name = uprobe::trial::COMMAND)]
    TryProbe,
}

impl OwnProcess {
    pub(super) fn action(self) -> Action {
        match self {
            Self::Worker { link } => Action::Worker(link),
            Self::Guard { link } => Action::Guard(link),
            Self::Record { disk, terminal } => Action::Record { disk, terminal },
            Self::Relay(flags) => Action::Relay(flags),
            Self::HoldPark { bytes } => Action::HoldPark(bytes),
            Self::ExecHelper { words } => Action::ExecHelper(words),
            Self::TryPark => Action::TryPark,
            Self::TryProbe => Action::TryProbe,
        }
    }
}
