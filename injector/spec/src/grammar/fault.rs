//! The grammar of faults, which the command line and the experiment file share.
//!
//! `net.delay: {latency: 500ms}` in a file is `net delay --latency=500ms` on the command line, word for
//! word: both are parsed by the definitions below, so no name can mean two things. What differs is what
//! surrounds a fault, and that is the parameter `C`: a target's selector and the run's flags here, a
//! target's name there.

use clap::{Args, Parser, Subcommand};

use crate::{
    experiment::Fault,
    faults::{
        DnsFault, IoFault, LlmFault, NetFault, PipeFault, PlainFault, PluginFault, ProcFault,
        SysFault, ToolFault,
    },
};

/// A fault and what surrounds it.
#[derive(Args, Debug)]
pub struct With<F: Args, C: Args> {
    #[command(flatten)]
    fault: F,
    #[command(flatten)]
    context: C,
}

/// The flags of a fault.
pub trait Request {
    /// The fault that they ask for, on target 0.
    fn fault(self) -> Fault;
}

impl<F: Args + Request, C: Args> With<F, C> {
    pub fn split(self) -> (Fault, C) {
        (self.fault.fault(), self.context)
    }
}

/// Every fault.
#[derive(Subcommand, Debug)]
pub enum FaultCommand<C: Args> {
    /// Faults on the packets and connections of a process
    #[command(
        subcommand,
        subcommand_value_name = "FAULT",
        subcommand_help_heading = "Faults"
    )]
    Net(NetFault<C>),
    /// Faults on the names that a process looks up
    #[command(
        subcommand,
        subcommand_value_name = "FAULT",
        subcommand_help_heading = "Faults"
    )]
    Dns(DnsFault<C>),
    /// Faults on what a process asks of language models, in the words of the provider
    #[command(
        subcommand,
        subcommand_value_name = "FAULT",
        subcommand_help_heading = "Faults"
    )]
    Llm(LlmFault<C>),
    /// Faults on the tools that a process calls over HTTP, by MCP or as plain JSON
    #[command(
        subcommand,
        subcommand_value_name = "FAULT",
        subcommand_help_heading = "Faults"
    )]
    Tool(Box<ToolFault<C>>),
    /// Faults on processes as wholes: they end, stand still, or starve
    #[command(
        subcommand,
        subcommand_value_name = "FAULT",
        subcommand_help_heading = "Faults"
    )]
    Proc(ProcFault<C>),
    /// Faults on plug-ins that a process speaks to over pipes, as MCP servers: they die or hang
    #[command(
        subcommand,
        subcommand_value_name = "FAULT",
        subcommand_help_heading = "Faults"
    )]
    Plugin(PluginFault<C>),
    /// Faults on system calls: they fail or take longer
    #[command(
        subcommand,
        subcommand_value_name = "FAULT",
        subcommand_help_heading = "Faults"
    )]
    Sys(SysFault<C>),
    /// Faults on files: they fail, are slow, or are read damaged
    #[command(
        subcommand,
        subcommand_value_name = "FAULT",
        subcommand_help_heading = "Faults"
    )]
    Io(IoFault<C>),
    /// Faults on pipes and unix sockets, as between an agent and its plug-in
    #[command(
        subcommand,
        subcommand_value_name = "FAULT",
        subcommand_help_heading = "Faults"
    )]
    Pipe(PipeFault<C>),
    /// Faults of no family
    #[command(flatten)]
    Plain(PlainFault<C>),
}

impl<C: Args> FaultCommand<C> {
    /// The fault on target 0, and what surrounds it.
    pub fn split(self) -> (Fault, C) {
        match self {
            Self::Net(fault) => fault.split(),
            Self::Dns(fault) => fault.split(),
            Self::Llm(fault) => fault.split(),
            Self::Tool(fault) => fault.split(),
            Self::Proc(fault) => fault.split(),
            Self::Plugin(fault) => fault.split(),
            Self::Sys(fault) => fault.split(),
            Self::Io(fault) => fault.split(),
            Self::Pipe(fault) => fault.split(),
            Self::Plain(fault) => fault.split(),
        }
    }
}

/// A fault as a file has it: with the name of its target.
#[derive(Parser, Debug)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
pub struct FaultInFile {
    #[command(subcommand)]
    fault: FaultCommand<InFile>,
}

/// What surrounds a fault in a file.
#[derive(Args, Debug)]
struct InFile {
    /// Which of the experiment's targets; needed where there are several
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

impl FaultInFile {
    /// The fault on target 0, and the name of the target that it is for.
    pub fn split(self) -> (Fault, Option<String>) {
        let (fault, context) = self.fault.split();
        (fault, context.target)
    }
}
