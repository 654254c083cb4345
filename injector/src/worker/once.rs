//! One run in the foreground.

use std::sync::Arc;

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use super::{AskedBy, Output, runs};
use crate::{
    error::{Exit, Refusal},
    event::{RunEvent, What},
    executor::Order,
    experiment::Experiment,
    journal::Process,
    supervisor::link::WorkerEnd,
};

/// Carries a run out, prints its turns and its report, and returns the exit code.
pub(super) fn run(
    experiment: Experiment,
    output: Output,
    asked_by: AskedBy,
    supervisor: Process,
    link: &Arc<WorkerEnd>,
) -> Result<Exit, Refusal> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::failed(format!("the runtime cannot be started: {error}.")))?;
    let about = headline(&experiment);
    let running = runs::start(experiment, asked_by, Some(supervisor), link, move |event| {
        print(&event, &about, output);
    })?;
    let orders = running.orders.clone();
    let joined = runtime.block_on(async {
        let mut term = signal(SignalKind::terminate()).ok();
        let mut thread = tokio::task::spawn_blocking(move || running.thread.join());
        loop {
            let asked = async {
                match &mut term {
                    Some(term) => term.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                joined = &mut thread => break joined,
                // A run that is over takes no orders.
                _ = asked => drop(orders.send(Order::Stop)),
            }
        }
    });
    let report = match joined {
        Ok(Ok(result)) => result?,
        _ => {
            return Err(Refusal::failed(
                "the run broke; what it had armed ended with it.",
            ));
        }
    };
    match output {
        Output::Text => println!("{report}"),
        Output::Json => println!("{}", serde_json::to_string(&report).unwrap_or_default()),
    }
    Ok(report.exit())
}

/// What is armed, in half a line.
fn headline(experiment: &Experiment) -> String {
    let targets: Vec<_> = experiment
        .targets
        .iter()
        .map(|t| t.selector.to_string())
        .collect();
    let duration = humantime::format_duration(experiment.duration());
    format!(
        "{} on {} for {duration}",
        experiment.name,
        targets.join("; ")
    )
}

fn print(event: &RunEvent, about: &str, output: Output) {
    if matches!(event.what, What::Hit { .. }) {
        return;
    }
    match (output, &event.what) {
        (Output::Json, _) => {
            eprintln!("{}", serde_json::to_string(event).unwrap_or_default());
        }
        (Output::Text, What::Armed) => {
            println!("armed {about} (run {}); Ctrl-C ends it", event.run);
        }
        (Output::Text, What::StepStarted { step }) => eprintln!("step {step}"),
        (Output::Text, What::DeviceNotCovered { device, why }) => {
            eprintln!("injector: device {device} is not covered: {why}.");
        }
        (Output::Text, What::DeviceCovered { device }) => {
            eprintln!("injector: device {device} appeared and is covered.");
        }
        (Output::Text, What::EventsLost { count }) => {
            eprintln!("injector: {count} hits were counted but not listed.");
        }
        (Output::Text, _) => {}
    }
}
