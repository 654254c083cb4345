//! One run in the foreground.

use tokio::runtime::Builder;

use super::{Output, Showing, endings::Endings, runs};
use crate::tell::{self, Narrator};
use crate::{executor::Order, preflight::Terms};
use injector_record::journal::Process;
use injector_spec::{
    error::{Exit, Refusal},
    experiment::Experiment,
};

/// Carries a run out, prints its turns and its report, and returns the exit code.
pub(super) fn run(
    experiment: Experiment,
    (output, showing): (Output, Showing),
    terms: &Terms,
    supervisor: Process,
    companions: &runs::Companions,
) -> Result<Exit, Refusal> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::failed(format!("the runtime cannot be started: {error}.")))?;
    let mut narrator = Narrator::of(&experiment, output, showing);
    // Before the run is started: a Ctrl-C that comes early ends it in good order too.
    let mut endings = {
        let _runtime = runtime.enter();
        Endings::listen()?
    };
    let running = runs::start(
        experiment,
        terms,
        Some(supervisor),
        companions,
        move |event| narrator.turn(&event),
    )?;
    let orders = running.orders.clone();
    let joined = runtime.block_on(async {
        let mut thread = tokio::task::spawn_blocking(move || running.thread.join());
        loop {
            tokio::select! {
                joined = &mut thread => break joined,
                // A run that is over takes no orders.
                () = endings.next() => drop(orders.send(Order::Stop)),
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
    tell::report(&report, output);
    Ok(report.exit())
}
