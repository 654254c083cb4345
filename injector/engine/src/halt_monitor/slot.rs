//! What the watchdog reads: the newest word on each condition.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{STALE_NS, tally::Tally};

/// The newest word on one condition.
pub struct Slot {
    /// The condition.
    line: String,
    kind: Kind,
}

enum Kind {
    /// A time on the boot clock.
    Clock(u64),
    Reading(Arc<Reading>),
    Probe(Arc<Tally>),
}

/// A condition that has come to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The condition.
    pub condition: String,
    /// What was seen, for people.
    pub why: String,
    /// When it was seen, on the boot clock, in nanoseconds.
    pub seen_boot_ns: u64,
}

impl Slot {
    /// A condition that comes to hold at a time of the boot clock.
    pub fn clock(line: String, at: u64) -> Self {
        let kind = Kind::Clock(at);
        Self { line, kind }
    }

    pub(super) fn reading(line: String, reading: Arc<Reading>) -> Self {
        let kind = Kind::Reading(reading);
        Self { line, kind }
    }

    pub(super) fn probe(line: String, tally: Arc<Tally>) -> Self {
        let kind = Kind::Probe(tally);
        Self { line, kind }
    }

    /// The breach, where there is one. Waits for no other thread, and allocates only then.
    pub fn look(&self, now: u64) -> Option<Breach> {
        let (seen_boot_ns, why) = match &self.kind {
            Kind::Clock(at) => (now >= *at).then(|| (*at, "it is so late now".to_owned()))?,
            Kind::Reading(reading) => reading.look(now)?,
            Kind::Probe(tally) => tally.look(now)?,
        };
        Some(Breach {
            condition: self.line.clone(),
            why,
            seen_boot_ns,
        })
    }
}

/// What a sensor has seen last.
#[derive(Debug)]
pub(super) struct Reading {
    read_at: AtomicU64,
    /// 0 where it was not.
    breached_at: AtomicU64,
    /// Why it is breached, or why it could not be read.
    words: Mutex<String>,
}

impl Reading {
    /// One that counts as read now.
    pub(super) fn begin(now: u64) -> Self {
        Self {
            read_at: AtomicU64::new(now),
            breached_at: AtomicU64::new(0),
            words: Mutex::default(),
        }
    }

    /// Posts what was seen: nothing, or what breaches. The first breach stays.
    pub(super) fn post(&self, now: u64, breach: Option<String>) {
        if let Some(why) = breach
            && self.breached_at.load(Ordering::Relaxed) == 0
        {
            self.say(why);
            // After the words: a thread that sees the time reads them.
            self.breached_at.store(now, Ordering::Release);
        }
        self.read_at.store(now, Ordering::Relaxed);
    }

    /// Notes why nothing could be seen; the reading grows stale meanwhile.
    pub(super) fn unreadable(&self, why: String) {
        if self.breached_at.load(Ordering::Relaxed) == 0 {
            self.say(why);
        }
    }

    fn say(&self, words: String) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    fn look(&self, now: u64) -> Option<(u64, String)> {
        let breached_at = self.breached_at.load(Ordering::Acquire);
        if breached_at != 0 {
            return Some((breached_at, self.said()));
        }
        let silence = now.saturating_sub(self.read_at.load(Ordering::Relaxed));
        (silence > STALE_NS).then(|| {
            let mut why = "it could not be read for 2s".to_owned();
            let said = self.said();
            if !said.is_empty() {
                why = format!("{why}: {said}");
            }
            (now, why)
        })
    }

    /// The words, unless another thread writes them just now.
    fn said(&self) -> String {
        self.words
            .try_lock()
            .map(|words| words.clone())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_breach_stays_and_silence_is_one() {
        let reading = Arc::new(Reading::begin(5));
        let slot = Slot::reading("host.load > 8".into(), Arc::clone(&reading));
        assert_eq!(slot.look(5 + STALE_NS), None);
        reading.unreadable("EIO".into());
        let silent = slot.look(6 + STALE_NS).unwrap();
        assert!(silent.why.contains("EIO"), "{silent:?}");
        reading.post(7 + STALE_NS, None);
        assert_eq!(slot.look(8 + STALE_NS), None);
        reading.post(9 + STALE_NS, Some("9 is too much".into()));
        reading.post(10 + STALE_NS, Some("10 is too much".into()));
        let breach = slot.look(11 + STALE_NS).unwrap();
        assert_eq!(
            (breach.why.as_str(), breach.seen_boot_ns),
            ("9 is too much", 9 + STALE_NS)
        );
        assert_eq!(breach.condition, "host.load > 8");
    }

    #[test]
    fn words_that_are_being_written_keep_nobody_waiting() {
        let reading = Arc::new(Reading::begin(0));
        reading.post(1, Some("too much".into()));
        let _writing = reading.words.lock().unwrap();
        let slot = Slot::reading(String::new(), Arc::clone(&reading));
        assert_eq!(slot.look(2).unwrap().why, "");
    }

    #[test]
    fn a_time_of_the_clock_is_one_of_the_boot_clock() {
        let slot = Slot::clock("clock >= 18:00".into(), 100);
        assert_eq!(slot.look(99), None);
        assert_eq!(slot.look(250).unwrap().seen_boot_ns, 100);
    }
}
