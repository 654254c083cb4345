//! The `injector` command.
//!
//! A command either asks (a daemon, the journals, this host), or arms. What arms becomes a supervisor
//! that starts this program again as its worker; see the library's [`injector_engine::supervisor`].

mod inherited;

use std::ffi::OsString;

use injector::cli::{self, Action};
use injector_api::daemon;
use injector_engine::{
    escalation, guardian, halt_monitor, recorder, tell,
    worker::{self, Output},
};
use injector_host::{kernel::uprobe, sleep_server};
use injector_spec::error::{Exit, Refusal};

fn main() -> Exit {
    inherited::keep_descriptors();
    let words: Vec<OsString> = std::env::args_os().collect();
    tell::speak(tell::asked_for(&words));
    if inherited::has_no_output() {
        tell::without_result();
    }
    let exit = cli::parse(words)
        .and_then(carry_out)
        .unwrap_or_else(|refusal| {
            tell::refusal(&refusal);
            refusal.exit
        });
    tell::conclude(exit)
}

fn carry_out(action: Action) -> Result<Exit, Refusal> {
    match action {
        Action::Print(text) => {
            match tell::output() {
                Output::Text => tell::result(text),
                Output::Json => tell::json(&text),
            }
            Ok(Exit::Done)
        }
        Action::Convert(converting) => Ok(cli::convert(&converting)),
        Action::MakeAuthority(flags) => cli::make_authority(&flags),
        Action::Schema => Ok(cli::schema()),
        Action::Doctor(depth, output) => Ok(cli::doctor(depth, output)),
        Action::Ask(question, output) => cli::ask(question, output),
        Action::Arm(arming) => cli::arm(arming),
        Action::Repeat(arming, times) => cli::repeat(arming, times),
        Action::Search(wanted) => cli::search(&wanted),
        Action::Suite(wanted) => cli::suite(*wanted),
        Action::Daemon(config, output) => cli::daemon(config, output),
        Action::Approve(which, output) => cli::approve(&which, output),
        Action::Acknowledge(which, output) => cli::acknowledge(&which, output),
        Action::Escalate(run) => escalation::follow_up(&run).map(|()| Exit::Done),
        Action::Watch(which, showing) => cli::watch(&which, showing),
        Action::Observe(observing) => cli::observe(&observing),
        Action::Halt { reason, output } => cli::halt(reason, output),
        Action::Resume(output) => cli::resume(output),
        Action::Audit(wanted, output) => cli::audit(&wanted, output),
        Action::Report(reporting) => cli::report(&reporting),
        Action::Postmortem(page) => cli::postmortem(&page),
        Action::Compare(comparing) => cli::compare(&comparing),
        Action::Lessons(told, output) => cli::lessons(told, output),
        Action::Sweep(sweeping, output) => cli::sweep(sweeping, output),
        Action::Demo(config) => cli::demo(&config),
        Action::DemoAgent(config) => cli::demo_agent(&config),
        Action::DemoPart(part) => part.play(),
        Action::Worker(link) => worker::run(link, daemon::run),
        Action::Guard(link) => guardian::run(link).map(|()| Exit::Done),
        Action::Record { disk, terminal } => recorder::run(disk, terminal).map(|()| Exit::Done),
        Action::Relay(flags) => flags.run().map(|()| Exit::Done),
        Action::HoldPark(bytes) => Err(sleep_failed(&sleep_server::page_holder::hold(bytes))),
        Action::ExecHelper(words) => {
            // The process that started it knows this code from that of the program.
            let _ = halt_monitor::run_exec_helper(&words);
            std::process::exit(halt_monitor::CANNOT_START)
        }
        Action::TryPark => match sleep_server::trial::sleeper() {
            Ok(()) => Ok(Exit::Done),
            Err(error) => Err(sleep_failed(&error)),
        },
        Action::TryProbe => match uprobe::trial::child() {
            Ok(()) => Ok(Exit::Done),
            Err(error) => Err(Refusal::failed(format!(
                "the process on which probes are tried failed: {error}; it is not for people to start"
            ))),
        },
    }
}

fn sleep_failed(error: &std::io::Error) -> Refusal {
    Refusal::failed(format!(
        "a process of the sleep server failed: {error}; it is not for people to start"
    ))
}
