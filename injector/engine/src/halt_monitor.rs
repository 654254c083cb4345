//! Looks at what could end a run: its halt conditions, on threads of their own.
//!
//! The watchdog asks each [`Slot`] whether it is breached, and never waits for the answer: a slot is a few
//! atomic words. The thread that fills it may hang, in a file system, in a resolver, in a program that a
//! condition names, and the watchdog renews and ends the leases all the same.
//!
//! | thread | looks at | every |
//! | --- | --- | --- |
//! | `halt_monitor` | pressure, load, the targets' lives, the injector's own counters | 50 ms |
//! | `probe`, one for each | what a probe asks | its own `every` |
//!
//! Invariants:
//! - Silence is a breach. What was not read for [`STALE_NS`], and a probe that does not answer within its
//!   time and [`SLACK_NS`], count as if the condition held: where it cannot be told, standing still is
//!   the safe side.
//! - A breach that was posted stays.
//! - The first look comes before the lease: what holds already refuses the run ([`refuse_held`],
//!   [`refuse_failing`]) or halts it before anything fires.
//! - Nothing here touches the kernel side; only the watchdog does.
//!
//! Rejected: reading in the watchdog's own thread (`/proc` of a stopped process, a cgroup that is being
//! removed and a resolver without a network all make their readers wait), and channels (the newest word is
//! the only one of interest).

mod appended;
mod ask;
mod check;
mod exec_helper;
mod first;
mod http_client;
mod journald;
mod line;
mod lives;
mod population;
mod pressure;
mod prober;
mod sensors;
mod slot;
mod tally;
mod threads;
mod tls;
mod window;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub(crate) use appended::Appended;
pub use ask::values;
pub use check::{
    WhoAsks, check, check_list, check_program, check_question, check_sign, check_step,
};
pub use exec_helper::{
    CANNOT as CANNOT_START, COMMAND as EXEC_HELPER, Ending, ExecHelper, run as run_exec_helper,
};
pub use first::{refuse_failing, refuse_held};
pub use http_client::{HttpError, get_up_to, post_json};
pub use prober::{Answered, keep_asking, keep_asking_while};
pub use slot::{Breach, Slot};
pub use threads::Threads;
pub use tls::check_authorities;

use self::sensors::Sensor;
use injector_host::{
    kernel::{self, clock::boot_ns, maps::CounterReader},
    targets::{ResolvedTarget, guard::Guard},
};
use injector_spec::{
    condition::{Condition, Counted, Question},
    experiment::Flaw,
};

/// What was not read for so long is breached.
pub const STALE_NS: u64 = 2_000_000_000;

/// How much later than its time a probe's answer may be posted, for the thread to get its turn.
pub const SLACK_NS: u64 = 500_000_000;

/// How often the sensors are read.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Hits that the injector's own process makes: resets, signals, freezes. The run counts, the halt monitor reads.
#[derive(Clone, Debug, Default)]
pub struct OwnHits(Arc<AtomicU64>);

impl OwnHits {
    /// Tells how many there are by now.
    pub fn tell(&self, hits: u64) {
        self.0.store(hits, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Flaws that the targets have shown so far, as the relays tell. The run posts, the halt monitor reads.
#[derive(Clone, Debug, Default)]
pub struct ShownFlaws(Arc<AtomicU64>);

impl ShownFlaws {
    /// Tells which there are by now.
    pub fn tell(&self, flaws: impl IntoIterator<Item = Flaw>) {
        let bits = flaws
            .into_iter()
            .map(Self::bit)
            .fold(0, |all, one| all | one);
        self.0.fetch_or(bits, Ordering::Relaxed);
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.0.load(Ordering::Relaxed) & Self::bit(flaw) != 0
    }

    fn bit(flaw: Flaw) -> u64 {
        let place = Flaw::ALL.iter().position(|one| *one == flaw);
        place.map_or(0, |place| 1 << place)
    }
}

/// The counters of one network namespace, and which rules in it count for what.
pub struct Counting {
    /// Its maps.
    pub reader: CounterReader,
    /// All rules, by id.
    pub rules: Vec<u32>,
    /// Those that make calls fail.
    pub failing: Vec<u32>,
    /// The targets that live there.
    pub scopes: Vec<u32>,
}

/// What a run has that conditions look at.
pub struct Surroundings<'r> {
    /// The targets.
    pub targets: &'r [ResolvedTarget],
    /// Counters in the kernel.
    pub counting: Vec<Counting>,
    /// Counters in this process.
    pub own_hits: OwnHits,
    /// What the targets have shown.
    pub flaws: ShownFlaws,
}

/// The threads that look. Dropping it ends them.
pub struct HaltMonitor {
    _threads: Threads,
}

impl HaltMonitor {
    /// Starts to look; `guard` says whom a pattern of a probe never means. Returns the slots for the watchdog, in the order of the conditions.
    pub fn start(
        conditions: &[Condition],
        around: Surroundings<'_>,
        guard: &Guard,
    ) -> Result<(Self, Vec<Slot>), kernel::Error> {
        let mut threads = Threads::default();
        let now = boot_ns();
        let mut slots = Vec::new();
        let mut sensors = Vec::new();
        let targets = around.targets;
        let around = Arc::new(sensors::Around::of(around, conditions));
        for condition in conditions {
            let line = condition.to_string();
            slots.push(match condition {
                Condition::Clock(until) => Slot::clock(line, check::boot_deadline(*until)?),
                Condition::Probe(Question { probe, fails, pace }) => {
                    let tally = Arc::new(tally::Tally::begin(*fails, *pace, now));
                    let (probe, pace, guard) = (probe.clone(), *pace, guard.clone());
                    let posted = Arc::clone(&tally);
                    threads.spawn("probe", move |is_over| {
                        keep_asking(&probe, pace, &guard, is_over, |answered| {
                            posted.post(answered.answer, answered.due_ns);
                        });
                    })?;
                    Slot::probe(line, tally)
                }
                other => {
                    let reading = Arc::new(slot::Reading::begin(now));
                    let mut sensor = Sensor::of(other, targets, &around, now);
                    // Here already: what holds by now keeps the leases from ever being live.
                    sensors::read(&mut sensor, &reading);
                    sensors.push((sensor, Arc::clone(&reading)));
                    Slot::reading(line, reading)
                }
            });
        }
        if !sensors.is_empty() {
            threads.spawn("halt-monitor", move |is_over| {
                sensors::keep_reading(sensors, is_over);
            })?;
        }
        Ok((Self { _threads: threads }, slots))
    }
}

/// Whether any condition is on this counter.
pub fn counts(conditions: &[Condition], counted: Counted) -> bool {
    conditions
        .iter()
        .any(|condition| matches!(condition, Condition::Rate { of, .. } if *of == counted))
}
