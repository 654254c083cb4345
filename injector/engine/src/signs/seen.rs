//! What was seen of one sign, and whether it could be looked for.
//!
//! The first sighting of all and the first from the first hit on are kept, however many there are. When the first hit was is known
//! a moment later, and may turn out to have been earlier still, so the last sightings before it are kept as well.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use injector_spec::experiment::Sign;

/// Sightings before the first hit, as far as it is known, that are kept.
const MOST_KEPT: usize = 256;

/// What was seen of one sign.
pub(super) struct Seen {
    pub(super) sign: Sign,
    sightings: Mutex<Sightings>,
    /// When it was looked at last; 0 is never.
    looked_ns: AtomicU64,
    /// Why it cannot be looked at now.
    unreadable: Mutex<Option<String>>,
    /// Whether its first look, which says what the past is, was not over when the run began.
    begins_late: AtomicBool,
    /// Whether its last look, behind everything, was not over in time. A look that comes back later takes it back no more.
    ends_late: AtomicBool,
}

/// When it was seen; on the boot clock, in nanoseconds.
#[derive(Default)]
struct Sightings {
    first: Option<u64>,
    /// The last of those that were before the hit, as far as it is known.
    last: VecDeque<u64>,
    hit: Option<u64>,
    /// The first that was no earlier than the hit.
    since_hit: Option<u64>,
}

impl Sightings {
    fn note(&mut self, at_ns: u64) {
        self.first.get_or_insert(at_ns);
        if self.hit.is_some_and(|hit| at_ns >= hit) {
            let since = self.since_hit.unwrap_or(at_ns);
            self.since_hit = Some(since.min(at_ns));
            return;
        }
        if self.last.len() >= MOST_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(at_ns);
    }

    fn is_hit(&mut self, hit_ns: u64) {
        self.hit = Some(hit_ns);
        let since = self.last.iter().copied().filter(|at_ns| *at_ns >= hit_ns);
        self.since_hit = since.chain(self.since_hit).min();
        self.last.retain(|at_ns| *at_ns < hit_ns);
    }
}

impl Seen {
    pub(super) fn of(sign: &Sign) -> Arc<Self> {
        Arc::new(Self {
            sign: sign.clone(),
            sightings: Mutex::default(),
            looked_ns: AtomicU64::new(0),
            unreadable: Mutex::default(),
            begins_late: AtomicBool::new(false),
            ends_late: AtomicBool::new(false),
        })
    }

    /// Whether it was looked at since; connections are told of by themselves.
    pub(super) fn was_looked_at(&self, since_ns: u64) -> bool {
        self.sign.file().is_none() || self.looked_ns.load(Ordering::Acquire) >= since_ns
    }

    /// A look that began then is over.
    pub(super) fn looked(&self, began_ns: u64) {
        self.looked_ns.store(began_ns, Ordering::Release);
    }

    /// It was seen now.
    pub(super) fn note(&self, at_ns: u64) {
        lock(&self.sightings).note(at_ns);
    }

    /// The first hit of a fault was then; where it is said again, it was earlier than it had seemed.
    pub(super) fn is_hit(&self, hit_ns: u64) {
        lock(&self.sightings).is_hit(hit_ns);
    }

    /// When it was seen first.
    pub(super) fn first(&self) -> Option<u64> {
        lock(&self.sightings).first
    }

    /// When it was seen first, from the first hit on.
    pub(super) fn since_hit(&self) -> Option<u64> {
        lock(&self.sightings).since_hit
    }

    /// It was looked at, or could not be for this reason.
    pub(super) fn read(&self, why_not: Option<String>) {
        *lock(&self.unreadable) = why_not;
    }

    /// It cannot be told that it was not there, for this reason.
    pub(super) fn cannot_be_read(&self, why: String) {
        *lock(&self.unreadable) = Some(why);
    }

    /// No look came to its end in time.
    pub(super) fn stands_still(&self) {
        self.ends_late.store(true, Ordering::Relaxed);
    }

    /// The run begins. What was there by a look that is not over yet may be the target's doing.
    pub(super) fn run_begins(&self) {
        let begins_late = !self.was_looked_at(1);
        self.begins_late.store(begins_late, Ordering::Relaxed);
    }

    /// Why it may have been there without being seen.
    pub(super) fn unreadable(&self) -> Option<String> {
        let late = || {
            let is_late = self.begins_late.load(Ordering::Relaxed);
            is_late.then(|| "its file could not be looked at before the run began".to_owned())
        };
        let still = || {
            let is_late = self.ends_late.load(Ordering::Relaxed);
            is_late.then(|| "its file system stands still".to_owned())
        };
        let known = lock(&self.unreadable).clone();
        let why = known.or_else(still).or_else(late)?;
        Some(format!(
            "{} cannot be looked for: {why}",
            self.sign.in_words()
        ))
    }
}

/// A thread that broke while it noted something has noted it whole.
pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sighting_from_the_hit_on_is_kept_however_many_there_are() {
        let seen = Seen::of(&"connect-to 127.0.0.1:9".parse().unwrap());
        for at in 1..=1_000 {
            seen.note(at);
        }
        assert_eq!((seen.first(), seen.since_hit()), (Some(1), None));
        seen.is_hit(900);
        assert_eq!(seen.since_hit(), Some(900));
        for at in 1_001..=2_000 {
            seen.note(at);
        }
        assert_eq!((seen.first(), seen.since_hit()), (Some(1), Some(900)));
    }

    #[test]
    fn a_hit_that_turns_out_to_be_earlier_has_what_was_seen_meanwhile_behind_it() {
        let seen = Seen::of(&"connect-to 127.0.0.1:9".parse().unwrap());
        seen.note(5);
        seen.is_hit(10);
        seen.note(7);
        assert_eq!(seen.since_hit(), None);
        seen.note(12);
        seen.is_hit(6);
        assert_eq!(seen.since_hit(), Some(7));
        seen.is_hit(4);
        assert_eq!(seen.since_hit(), Some(5));
    }

    #[test]
    fn a_file_whose_past_is_not_known_when_the_run_begins_cannot_be_told_of() {
        let sign = Sign::Changed("/x".into());
        let [late, known] = [Seen::of(&sign), Seen::of(&sign)];
        known.looked(1);
        for seen in [&late, &known] {
            seen.run_begins();
        }
        late.looked(2);
        assert!(
            late.unreadable()
                .is_some_and(|why| why.contains("before the run began"))
        );
        assert_eq!(known.unreadable(), None);
    }

    #[test]
    fn a_last_look_that_comes_back_too_late_takes_nothing_back() {
        let seen = Seen::of(&Sign::Changed("/x".into()));
        seen.looked(1);
        seen.run_begins();
        seen.stands_still();
        seen.read(None);
        let why = seen.unreadable();
        assert!(why.is_some_and(|why| why.ends_with("stands still")));
    }

    #[test]
    fn what_is_seen_before_the_hit_alone_is_not_since_it() {
        let seen = Seen::of(&"connect-to 127.0.0.1:9".parse().unwrap());
        seen.note(5);
        seen.is_hit(6);
        assert_eq!((seen.first(), seen.since_hit()), (Some(5), None));
        seen.note(5);
        assert_eq!(seen.since_hit(), None);
        seen.note(7);
        assert_eq!(seen.since_hit(), Some(7));
    }
}
