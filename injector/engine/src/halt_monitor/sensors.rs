//! What is read every 50 ms, by one thread for all.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{
    Counting, LOOK_EVERY, OwnHits, ShownFlaws, Surroundings, lives::Census, pressure,
    slot::Reading, window::Window,
};
use injector_host::{kernel::clock::boot_ns, targets::ResolvedTarget};
use injector_spec::{
    condition::{Bound, Condition, Counted, Lives, Pressure},
    experiment::Flaw,
    quantity::duration,
};

/// What sensors look at, with nothing borrowed.
pub(super) struct Around {
    counting: Vec<Counting>,
    own_hits: OwnHits,
    flaws: ShownFlaws,
    census: Mutex<Census>,
}

impl Around {
    pub(super) fn of(around: Surroundings<'_>, conditions: &[Condition]) -> Self {
        let Surroundings {
            targets,
            counting,
            own_hits,
            flaws,
        } = around;
        let is_counted = |condition: &Condition| matches!(condition, Condition::Lives { .. });
        // A descriptor for each process only where a condition counts them.
        let counted = if conditions.iter().any(is_counted) {
            targets
        } else {
            &[]
        };
        Self {
            counting,
            own_hits,
            flaws,
            census: Mutex::new(Census::of(counted)),
        }
    }

    fn total(&self, counted: Counted) -> Result<u64, String> {
        let mut total = match counted {
            Counted::Hits => self.own_hits.get(),
            Counted::Errnos | Counted::Retransmits => 0,
        };
        for counting in &self.counting {
            let read = match counted {
                Counted::Hits => counting.reader.hits(&counting.rules),
                Counted::Errnos => counting.reader.hits(&counting.failing),
                Counted::Retransmits => counting.reader.retransmits(&counting.scopes),
            };
            total += read.map_err(|error| error.to_string())?;
        }
        Ok(total)
    }

    fn lives(&self, of: Lives) -> u64 {
        self.census
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .look(of)
    }
}

/// How one condition is read.
pub(super) struct Sensor {
    around: Arc<Around>,
    kind: Kind,
}

enum Kind {
    Pressure {
        pressure: Pressure,
        /// Each file with its own past; or why there is none.
        files: Result<Vec<(PathBuf, Window)>, String>,
    },
    Load(Bound),
    Lives {
        of: Lives,
        bound: Bound,
    },
    Rate {
        of: Counted,
        bound: Bound,
        window: Window,
    },
    Shows(Flaw),
    /// The watchdog looks at it (a clock), or a probe's thread does.
    Elsewhere,
}

impl Sensor {
    /// The sensor of a condition, from now on.
    pub(super) fn of(
        condition: &Condition,
        targets: &[ResolvedTarget],
        around: &Arc<Around>,
        now: u64,
    ) -> Self {
        let kind = match condition {
            Condition::Pressure(pressure) => {
                let with_past = |file: PathBuf| {
                    let line = pressure::read(&file, pressure.stalled)?;
                    let over = pressure.over.unwrap_or(LOOK_EVERY);
                    Ok((file, Window::begin(over, now, line.total_us)))
                };
                Kind::Pressure {
                    pressure: *pressure,
                    files: pressure::files(pressure, targets)
                        .and_then(|files| files.into_iter().map(with_past).collect()),
                }
            }
            Condition::Load(bound) => Kind::Load(*bound),
            Condition::Lives { of, bound } => Kind::Lives {
                of: *of,
                bound: *bound,
            },
            Condition::Rate { of, bound, over } => Kind::Rate {
                of: *of,
                bound: *bound,
                // The run's counters are new.
                window: Window::begin(*over, now, 0),
            },
            Condition::Shows(flaw) => Kind::Shows(*flaw),
            Condition::Clock(_) | Condition::Probe(_) => Kind::Elsewhere,
        };
        Self {
            around: Arc::clone(around),
            kind,
        }
    }

    /// Looks. `Ok(Some)` is a breach in words, an error what keeps from looking.
    pub(super) fn look(&mut self, now: u64) -> Result<Option<String>, String> {
        match &mut self.kind {
            Kind::Pressure { pressure, files } => {
                let files = files.as_mut().map_err(|why| why.clone())?;
                let mut worst = None;
                for (file, window) in files {
                    let line = pressure::read(file, pressure.stalled)?;
                    // A microsecond of stall in each nanosecond would be 100 000 percent.
                    let recent = window.look(now, line.total_us) * 1_000.0 * 100.0;
                    let share = if pressure.over.is_some() {
                        recent
                    } else {
                        line.avg10
                    };
                    if pressure.bound.is_broken_by(share) {
                        worst = Some(share);
                    }
                }
                Ok(worst.map(|share| {
                    let over = pressure.over.map_or_else(|| "10s".into(), duration::format);
                    let what = pressure::words(pressure.resource);
                    format!("{what} for {share:.1}% of the last {over}")
                }))
            }
            Kind::Load(bound) => {
                let load = load()?;
                let is_breach = bound.is_broken_by(load);
                Ok(is_breach.then(|| format!("the load of the last minute is {load}")))
            }
            Kind::Lives { of, bound } => {
                let count = self.around.lives(*of);
                let what = match of {
                    Lives::Exits => "processes of the targets have ended",
                    Lives::Restarts => "processes of the targets came back after an end",
                };
                Ok(bound
                    .is_broken_by(number(count))
                    .then(|| format!("{count} {what}")))
            }
            Kind::Rate { of, bound, window } => {
                let rate = window.look(now, self.around.total(*of)?) * 1e9;
                let is_breach = bound.is_broken_by(rate);
                Ok(is_breach.then(|| format!("there were {rate:.1} {} a second", of.name())))
            }
            Kind::Shows(flaw) => {
                let is_shown = self.around.flaws.has(*flaw);
                Ok(is_shown.then(|| format!("the target shows {}", flaw.name())))
            }
            Kind::Elsewhere => Ok(None),
        }
    }
}

/// Reads until the run is over.
pub(super) fn keep_reading(mut sensors: Vec<(Sensor, Arc<Reading>)>, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        for (sensor, reading) in &mut sensors {
            read(sensor, reading);
        }
        thread::park_timeout(LOOK_EVERY);
    }
}

/// Reads once, and posts what was seen.
pub(super) fn read(sensor: &mut Sensor, reading: &Reading) {
    match sensor.look(boot_ns()) {
        Ok(breach) => reading.post(boot_ns(), breach),
        Err(why) => reading.unreadable(why),
    }
}

/// The load average of the last minute: the first field of `/proc/loadavg` (proc(5)).
pub(super) fn load() -> Result<f64, String> {
    const FILE: &str = "/proc/loadavg";
    let text = std::fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    let first = text.split(' ').next().and_then(|load| load.parse().ok());
    first.ok_or_else(|| format!("{FILE} has no number"))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no condition is about 2^53 ends"
)]
const fn number(count: u64) -> f64 {
    count as f64
}
