//! Tries the park: a child of ours opens a file and has to sleep meanwhile.
//!
//! A child, because this process never sleeps there (see [`super`]).

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use injector_plan::tables::Sizes;

use super::SleepServer;
use crate::kernel::{
    Error,
    kfunc::Kfuncs,
    maps::{Maps, SleepMap},
    object::{Callers, Object},
    park_trial::{ParkTrial, Stand},
};
use crate::trial_child::{self, TrialChild};

/// How the hidden command is called.
pub const COMMAND: &str = "try-park";

/// How long the child has to sleep.
const SLEEP: Duration = Duration::from_millis(50);

/// Puts a child to sleep, at whichever of the two places works. An error says what is missing at the first,
/// which more calls can be met at.
pub fn run() -> Result<(), Error> {
    let mut object = Object::load_for(Callers::default(), Sizes::TRIAL)?;
    if object.kfuncs() == Kfuncs::None {
        return Err(Error::Probe(
            "the kernel has no `bpf_task_from_pid` for BPF programs (6.2 has)".into(),
        ));
    }
    let mut trial = ParkTrial::ready(&mut object)?;
    let sleeps = SleepMap::take(&mut object)?;
    // All of them stay open: programs that are loaded later name them by their descriptors.
    let (mut maps, _lease, _events) = Maps::take(&mut object)?;
    // Where neither place takes the program there is nothing to start.
    let stand = match trial.stand(&object, Stand::Hook) {
        Ok(()) => Stand::Hook,
        Err(missing) => match trial.stand(&object, Stand::Call) {
            Ok(()) => Stand::Call,
            Err(_also) => return Err(missing),
        },
    };
    let park = SleepServer::start().map_err(|error| Error::Probe(error.to_string()))?;
    let session = Arc::new(park)
        .session(move |slot| sleeps.wake_boot_ns(slot))
        .map_err(|error| Error::Probe(error.to_string()))?;
    maps.write_park(session.record())?;
    sleep_once(stand, &mut trial).or_else(|missing| {
        if stand == Stand::Call || trial.stand(&object, Stand::Call).is_err() {
            return Err(missing);
        }
        sleep_once(Stand::Call, &mut trial).map_err(|_also| missing)
    })
}

fn sleep_once(stand: Stand, trial: &mut ParkTrial) -> Result<(), Error> {
    let mut sleeper = TrialChild::start(COMMAND)
        .map_err(|error| Error::system("start a process to put to sleep", error))?;
    let pid = sleeper.id();
    trial.put(pid, u64::try_from(SLEEP.as_nanos()).unwrap_or(0))?;
    let since = Instant::now();
    sleeper
        .ask()
        .map_err(|error| Error::system("hear from the process to put to sleep", error))?;
    let took = since.elapsed();
    let seen = trial.look(pid)?;
    if seen.fired == 0 {
        return Err(Error::Probe(format!(
            "{} can be attached, and the kernel never calls them",
            stand.name()
        )));
    }
    if seen.slept == 0 || took < SLEEP {
        return Err(Error::Probe(format!(
            "a process that was to sleep {} ms went on after {} ms",
            SLEEP.as_millis(),
            took.as_millis()
        )));
    }
    Ok(())
}

/// The child's main function: opens a file when it is told to, and ends with its parent.
pub fn sleeper() -> io::Result<()> {
    trial_child::answer(|| std::fs::File::open("/").map(drop))
}
