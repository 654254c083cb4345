//! The `injector` command.
use injector::{error::Refusal, journal::Process, supervisor, worker};
fn go() -> Result<injector::error::Exit, Refusal> {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "worker" {
        return worker::run(args[3].parse().unwrap_or(0));
    }
    if args[1] == "doctor" {
        for c in injector::kernel::capability::survey() {
            println!("{c:?}");
        }
        return Ok(injector::error::Exit::Done);
    }
    let text = std::fs::read_to_string(&args[2]).unwrap_or_default();
    let experiment = serde_json::from_str(&text).map_err(|e| Refusal::usage(e.to_string()))?;
    let me = std::process::id();
    let key = injector::target::process::TaskKey::of(me)?;
    supervisor::run(&worker::Job::Run {
        experiment,
        output: worker::Output::Text,
        asked_by: worker::AskedBy { uid: 0, pid: me },
        supervisor: Process {
            pid: me,
            start_ticks: key.start_ticks,
        },
    })
}
fn main() -> injector::error::Exit {
    go().unwrap_or_else(|r| {
        eprintln!("injector: {r}");
        r.exit
    })
}
