//! `observe`: what a target asks of servers, and how it is answered, while it goes on. Nothing of it is changed.
//!
//! A line for each request, when it has ended; a card at the end, or with `--json` an object a line. What is printed goes
//! through a thread of its own ([`printer`]): a reader who stands still keeps neither the look nor its end waiting.

mod lines;
mod printer;

use std::{collections::HashMap, ops::ControlFlow, time::Duration};

use clap::Args;

use injector_engine::{
    observe::{self, Ending, Exchange, Interrupts, Listener, Note, Tally},
    tell,
    worker::Output,
};
use injector_host::{kernel::clock::boot_ns, privilege, targets::process};
use injector_spec::{
    error::{Exit, Refusal},
    experiment::Target,
    grammar::TargetFlags,
    quantity::duration,
};

use super::{action::no_target, flags::OutputFlags};
use printer::Printer;

/// `injector observe`.
#[derive(Args, Debug)]
pub(crate) struct ObserveFlags {
    #[command(flatten)]
    target: TargetFlags,
    /// How long to look; until Ctrl-C or the target's end where not given
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse_any)]
    time: Option<Duration>,
    #[command(flatten)]
    output: OutputFlags,
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observing {
    /// Which processes.
    pub target: Target,
    /// For how long; until their end where none is said.
    pub time: Option<Duration>,
    /// How it is told.
    pub output: Output,
}

impl Observing {
    /// What these flags ask.
    pub(super) fn read(flags: ObserveFlags) -> Result<Self, Refusal> {
        let selector = flags.target.selector().ok_or_else(no_target)?;
        Ok(Self {
            target: Target {
                name: Target::ONLY.to_owned(),
                selector,
            },
            time: flags.time,
            output: flags.output.output(),
        })
    }
}

/// Looks, and tells what it sees.
pub fn observe(observing: &Observing) -> Result<Exit, Refusal> {
    confine()?;
    let interrupts = Interrupts::block()?;
    let mut teller = Teller {
        output: observing.output,
        began_ns: boot_ns(),
        names: HashMap::new(),
        tally: Tally::default(),
        printer: Printer::start()?,
    };
    let caller = std::process::id();
    let ending = observe::watch(
        &observing.target,
        caller,
        observing.time,
        &interrupts,
        &mut teller,
    )?;
    teller.conclude(&ending);
    Ok(Exit::Done)
}

/// Gives up what a look does not need, while there is one thread: it parses what others have written.
fn confine() -> Result<(), Refusal> {
    privilege::confine_worker().map_err(|errno| {
        Refusal::failed(format!(
            "the look cannot give up the privileges that it does not need: {errno}; nothing is attached."
        ))
    })
}

/// Tells requests as they end.
struct Teller {
    output: Output,
    began_ns: u64,
    /// Names of processes, which may be gone when they are told of.
    names: HashMap<u32, String>,
    tally: Tally,
    printer: Printer,
}

/// As many names as are remembered.
const NAMES: usize = 4_096;

impl Teller {
    fn name(&mut self, pid: u32) -> String {
        if let Ok(info) = process::info(pid) {
            if self.names.len() >= NAMES {
                self.names.clear();
            }
            self.names.insert(pid, info.comm);
        }
        self.names.get(&pid).cloned().unwrap_or_default()
    }

    fn conclude(mut self, ending: &Ending) {
        let unheard = ending.unheard.iter();
        let unheard = unheard.map(|(pid, runtime)| (*pid, *runtime, self.name(*pid)));
        let unheard: Vec<_> = unheard.collect();
        match self.output {
            Output::Text => {
                let page = lines::card(&self.tally, ending, &unheard, self.printer.left_out());
                self.printer.last(move || tell::page(page));
            }
            Output::Json => {
                let end = lines::json_end(&self.tally, ending, &unheard, self.printer.left_out());
                self.printer.last(move || tell::json(&end));
            }
        }
    }
}

impl Listener for Teller {
    fn exchange(&mut self, exchange: &Exchange) {
        self.tally.add(exchange);
        let after = Duration::from_nanos(exchange.began_ns.saturating_sub(self.began_ns));
        match self.output {
            Output::Text => {
                let page = lines::request(exchange, after);
                self.printer.print(move || tell::page(page));
            }
            Output::Json => {
                let told = lines::json_request(exchange, after);
                self.printer.print(move || tell::json(&told));
            }
        }
    }

    fn note(&mut self, note: Note) {
        match &note {
            Note::Began => self.began_ns = boot_ns(),
            Note::Heard { pid, .. } | Note::NotHeard { pid, .. } | Note::Http2 { pid } => {
                self.name(*pid);
            }
        }
        let names = &mut self.names;
        let text = lines::note(&note, |pid| names.get(&pid).cloned());
        self.printer.print(move || tell::remark(text));
    }

    fn has_enough(&self) -> ControlFlow<()> {
        if tell::has_left() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
