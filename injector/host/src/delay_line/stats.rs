//! What the delay line counts, and how others read it while it runs.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use injector_common::RuleId;

/// What the delay line has done so far. "Lost" frames never reached their device again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames read from the TAP.
    pub frames: u64,
    /// Their bytes, Ethernet headers included.
    pub bytes: u64,
    /// Frames written back (a frame cut into segments counts once).
    pub released: u64,
    /// Lost because the memory for held frames was full.
    pub overflowed: u64,
    /// Lost because a slow link's queue was full; meant by [`super::Bandwidth`].
    pub queue_full: u64,
    /// Written back before their time, because the run ended.
    pub early: u64,
    /// Lost because they were overdue by more than a lease when the injector woke.
    pub late: u64,
    /// Lost because they were no frames of ours or had no meaning.
    pub foreign: u64,
    /// Frames damaged on the wire, or lost in place of that where no checksum could tell.
    pub damaged: u64,
    /// Frames that the kernel did not take back.
    pub write_errors: u64,
    /// Name look-ups by rule.
    pub dns: BTreeMap<RuleId, DnsCounters>,
}

impl Stats {
    /// What a person should know: frames that were lost although no fault asked for it, and those whose time had
    /// not come when the run ended.
    pub fn losses(&self) -> Vec<String> {
        let early = (self.early > 0).then(|| {
            let packets = if self.early == 1 { "packet was" } else { "packets were" };
            format!(
                "{} {packets} still held when the run ended, and let go before the time that the fault asks for",
                self.early
            )
        });
        let told = [
            (self.overflowed, "the memory for held packets was full"),
            (
                self.queue_full,
                "the slow link had more than a second of packets waiting",
            ),
            (self.late, "they were overdue by more than the lease"),
            (self.write_errors, "the kernel did not take them back"),
        ];
        told.into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, why)| format!("{count} packets were lost in the delay line: {why}"))
            .chain(early)
            .collect()
    }
}

/// What a rule on name look-ups has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsCounters {
    /// Queries.
    pub seen: u64,
    /// Those with a matching name.
    pub matched: u64,
    /// Those that failed.
    pub hit: u64,
}

/// The counters as the thread writes them. It is the only writer, so relaxed adds lose nothing.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) frames: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) released: AtomicU64,
    pub(super) overflowed: AtomicU64,
    pub(super) queue_full: AtomicU64,
    pub(super) early: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) foreign: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) write_errors: AtomicU64,
    /// Changed once per look-up, not per frame.
    pub(super) dns: Mutex<BTreeMap<RuleId, DnsCounters>>,
}

impl Counters {
    pub(super) fn read(&self) -> Stats {
        Stats {
            frames: self.frames.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            released: self.released.load(Relaxed),
            overflowed: self.overflowed.load(Relaxed),
            queue_full: self.queue_full.load(Relaxed),
            early: self.early.load(Relaxed),
            late: self.late.load(Relaxed),
            foreign: self.foreign.load(Relaxed),
            damaged: self.damaged.load(Relaxed),
            write_errors: self.write_errors.load(Relaxed),
            dns: self
                .dns
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    /// Takes over what a rule on look-ups has counted.
    pub(super) fn set_dns(&self, rule: RuleId, counters: DnsCounters) {
        self.dns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(rule, counters);
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// Counts `n` more. A load and a store, not a read-modify-write: there is one writer.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed) + n, Relaxed);
}
