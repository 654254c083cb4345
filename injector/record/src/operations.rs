//! The operations of a target, as the kernel tells of them: pure, records go in, and answers with an account come out.
//!
//! A [`Stream`] is what an experiment calls by a name. It keeps each operation as an [`Answer`], up to a bound, because a
//! verdict goes by single ones; a journal gets the bad ones, some of the good ones, and the numbers of each second, so
//! that it stays small where a target does very much.
//!
//! | term | meaning |
//! | --- | --- |
//! | limit | the longest that a good operation takes: given, or one and a half times the p99 of the baseline |
//! | overdue | without an end, and older than the limit by so much that an answer in time would have been told |
//! | retry | an operation that begins at a far end where the last one failed, or is overdue |
//! | reaction | from the impact to the first retry, operation at a far end that was never met before, or end of the target |
//!
//! Rejected: to decide in the kernel which are bad. The limit may come from the baseline, and a program that compares
//! costs the target more than one that tells.

mod account;
mod second;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use injector_common::operation::{Told, what, why};

pub use account::{Gaps, OperationAccount, Reacted, Reaction};
use injector_spec::{
    experiment::{NamedOperation, OperationKind, operation::LIMIT_FROM},
    quantity::{Errno, count, duration, duration::nanos},
};
pub use second::Second;
use second::Seconds;

use crate::measure::{Answer, Sample};

/// The most far ends whose last operation is remembered; beyond, retries are not told apart.
const MOST_FAR_ENDS: usize = 10_000;

/// The most gaps in front of retries, and turns that may be reactions, that are kept.
const MOST_TURNS: usize = 10_000;

/// How long after it arrived an answer may be told at the latest, in nanoseconds: the kernel tells it with the next
/// segment that the target sends, and that is its acknowledgement where it has nothing to say. `TCP_DELACK_MAX` of
/// `include/net/tcp.h`, the longest that one is delayed.
const ANSWER_TOLD_WITHIN: u64 = 200_000_000;

/// What a busy host makes of a short operation, in nanoseconds: differences below it are no noise that would hide a fault.
const GRAIN: u64 = 5_000_000;

/// What is said of an operation that is overdue.
const NO_END: &str = "no end";

/// A far end: address, and port.
type FarEnd = ([u8; 16], u32);

/// An operation without an end.
#[derive(Clone, Copy, Debug)]
struct Open {
    begun_ns: u64,
    far_end: FarEnd,
    /// Whether it is noted as overdue.
    is_overdue: bool,
}

impl Open {
    /// Whether it is older than that at this time.
    const fn is_older_at(&self, now_ns: u64, longest_ns: u64) -> bool {
        now_ns.saturating_sub(self.begun_ns) > longest_ns
    }
}

/// Operations under one name.
#[derive(Debug)]
pub struct Stream {
    asked: NamedOperation,
    /// The longest that a good one takes, in nanoseconds, once it is known.
    limit_ns: Option<u64>,
    open: HashMap<u64, Open>,
    kept: Vec<Answer>,
    /// The most that are kept.
    most: usize,
    /// When the watch ended, on the boot clock, in nanoseconds.
    closed_ns: Option<u64>,
    /// Operations that were not kept.
    over: u64,
    /// Records that the kernel could not tell.
    lost: u64,
    failed: BTreeMap<String, u64>,
    resent: u64,
    sent_bytes: u64,
    /// When the last operation at a far end failed, or became overdue.
    bad_at: HashMap<FarEnd, u64>,
    met: HashSet<FarEnd>,
    retries: u64,
    gaps_ns: Vec<u64>,
    /// The gap in front of the last retry at a far end that has not answered well since.
    last_gap_ns: HashMap<FarEnd, u64>,
    /// What each gap is of the one before, in percent.
    growths: Vec<u64>,
    turns: Vec<(u64, Reacted)>,
    seconds: Seconds,
}

impl Stream {
    /// Nothing has happened yet. So many operations at most are kept.
    pub fn new(asked: &NamedOperation, most: usize) -> Self {
        Self {
            asked: asked.clone(),
            limit_ns: asked.within.map(nanos),
            open: HashMap::new(),
            kept: Vec::new(),
            most,
            closed_ns: None,
            over: 0,
            lost: 0,
            failed: BTreeMap::new(),
            resent: 0,
            sent_bytes: 0,
            bad_at: HashMap::new(),
            met: HashSet::new(),
            retries: 0,
            gaps_ns: Vec::new(),
            last_gap_ns: HashMap::new(),
            growths: Vec::new(),
            turns: Vec::new(),
            seconds: Seconds::default(),
        }
    }

    /// What was asked for.
    pub const fn asked(&self) -> &NamedOperation {
        &self.asked
    }

    /// Takes a record. One that is about an operation whose beginning was not taken is left out.
    pub fn take(&mut self, told: &Told) {
        match told.what {
            what::REQUEST_BEGAN | what::CONNECT_BEGAN => self.begin(told),
            what::REQUEST_ANSWERED | what::CONNECT_MADE => self.end(told, None),
            what::REQUEST_FAILED | what::CONNECT_FAILED => self.end(told, Some(reason(told.why))),
            what::CONNECT_REFUSED => {
                self.begin(told);
                self.end(told, Some(reason(told.why)));
            }
            // A kind that is added later says nothing here.
            _unknown => {}
        }
    }

    /// The watch ends, and all its records were taken: what has no end by now has none that could be seen.
    pub fn close(&mut self, now_ns: u64) {
        if self.closed_ns.is_some() {
            return;
        }
        self.closed_ns = Some(now_ns);
        let overdue: Vec<Sample> = self
            .overdue(now_ns)
            .map(|open| Sample {
                at_ns: open.begun_ns,
                took_us: now_ns.saturating_sub(open.begun_ns) / 1_000,
                wrong: Some(NO_END.into()),
            })
            .collect();
        for sample in overdue {
            self.seconds.add(sample);
        }
    }

    /// What is overdue at this time, or when the watch ended.
    fn overdue(&self, now_ns: u64) -> impl Iterator<Item = &Open> {
        let longest = self
            .limit_ns
            .map_or(u64::MAX, |limit| self.longest_open(limit));
        let until = self.closed_ns.unwrap_or(u64::MAX).min(now_ns);
        let open = self.open.values();
        open.filter(move |open| open.is_older_at(until, longest))
    }

    /// How old one may be without an end that took no longer than the limit. A connect's end is told at once.
    const fn longest_open(&self, limit_ns: u64) -> u64 {
        limit_ns.saturating_add(match self.asked.kind {
            OperationKind::Request => ANSWER_TOLD_WITHIN,
            OperationKind::Connect => 0,
        })
    }

    /// How many records were lost.
    pub const fn lost_records(&self) -> u64 {
        self.lost
    }

    /// Notes that so many records were lost in all.
    pub fn lost(&mut self, records: u64) {
        self.lost = records;
    }

    fn begin(&mut self, told: &Told) {
        let far_end = (told.remote, told.port);
        if let Some(bad_ns) = self.bad_at.remove(&far_end) {
            self.retries += 1;
            let gap_ns = told.boot_ns.saturating_sub(bad_ns);
            if self.gaps_ns.len() < MOST_TURNS {
                self.gaps_ns.push(gap_ns);
            }
            self.note_gap(far_end, gap_ns);
            self.turn(told.boot_ns, Reacted::Retry);
        }
        let is_first = self.met.is_empty();
        if self.met.len() < MOST_FAR_ENDS && self.met.insert(far_end) && !is_first {
            self.turn(told.boot_ns, Reacted::OtherFarEnd);
        }
        let open = Open {
            begun_ns: told.boot_ns,
            far_end,
            is_overdue: false,
        };
        // One that is open still has lost its end with its socket.
        if let Some(former) = self.open.insert(told.cookie, open) {
            self.settle(former, told.boot_ns, Some("lost".into()));
        }
    }

    /// Remembers the gap in front of a retry, and what it is of the one before.
    fn note_gap(&mut self, far_end: FarEnd, gap_ns: u64) {
        let before = self.last_gap_ns.get(&far_end).copied();
        if before.is_some() || self.last_gap_ns.len() < MOST_FAR_ENDS {
            self.last_gap_ns.insert(far_end, gap_ns);
        }
        let growth = before.and_then(|before| gap_ns.saturating_mul(100).checked_div(before));
        if self.growths.len() < MOST_TURNS {
            self.growths.extend(growth);
        }
    }

    /// Notes that the target has ended, and no fault of the run may have ended it.
    pub fn target_ended(&mut self, at_ns: u64) {
        self.turn(at_ns, Reacted::TargetEnded);
    }

    fn turn(&mut self, at_ns: u64, what: Reacted) {
        if self.turns.len() < MOST_TURNS {
            self.turns.push((at_ns, what));
        }
    }

    fn end(&mut self, told: &Told, failed: Option<String>) {
        let Some(open) = self.open.remove(&told.cookie) else {
            return;
        };
        self.resent += u64::from(told.again);
        self.sent_bytes += u64::from(told.bytes);
        self.settle(open, told.boot_ns, failed);
    }

    fn settle(&mut self, open: Open, ended_ns: u64, failed: Option<String>) {
        let took_ns = ended_ns.saturating_sub(open.begun_ns);
        let is_late = self.limit_ns.is_some_and(|limit| took_ns > limit);
        let answer = Answer {
            begun_ns: open.begun_ns,
            ended_ns,
            is_right: failed.is_none(),
        };
        let is_failure = failed.is_some();
        let wrong = match failed {
            Some(why) => {
                *self.failed.entry(why.clone()).or_default() += 1;
                Some(why)
            }
            None => is_late.then(|| late(took_ns)),
        };
        self.note_end(open, ended_ns, is_failure);
        self.seconds.add(Sample {
            at_ns: open.begun_ns,
            took_us: took_ns / 1_000,
            wrong,
        });
        if self.kept.len() < self.most {
            self.kept.push(answer);
        } else {
            self.over += 1;
        }
    }

    /// Remembers when an operation without an answer ended. One that was overdue may have been tried again since.
    fn note_end(&mut self, open: Open, ended_ns: u64, is_failure: bool) {
        let has_room = self.bad_at.len() < MOST_FAR_ENDS;
        if !is_failure {
            self.bad_at.remove(&open.far_end);
            self.last_gap_ns.remove(&open.far_end);
        } else if let Some(bad_ns) = self.bad_at.get_mut(&open.far_end) {
            *bad_ns = ended_ns;
        } else if !open.is_overdue && has_room {
            self.bad_at.insert(open.far_end, ended_ns);
        }
    }

    /// Notes those that are overdue at this time, up to which all records were taken; once each.
    pub fn look(&mut self, now_ns: u64) {
        let Some(limit) = self.limit_ns else { return };
        let longest = self.longest_open(limit);
        for open in self.open.values_mut() {
            let due = open.begun_ns.saturating_add(limit);
            if open.is_older_at(now_ns, longest) && !open.is_overdue {
                open.is_overdue = true;
                if self.bad_at.len() < MOST_FAR_ENDS {
                    self.bad_at.insert(open.far_end, due);
                }
            }
        }
    }

    /// What the journal is to have since the last time: samples, and the numbers of the seconds that are over; once the
    /// watch has ended, those of all.
    pub fn for_journal(&mut self, now_ns: u64) -> (Vec<Sample>, Vec<Second>) {
        self.seconds
            .take(self.closed_ns.map_or(now_ns, |_| u64::MAX))
    }

    /// Finds the limit from the baseline where none was given. An error says why it cannot be found.
    pub fn find_limit(&mut self) -> Result<(), String> {
        if self.limit_ns.is_some() {
            return Ok(());
        }
        let right = self.kept.iter().filter(|answer| answer.is_right);
        let mut took: Vec<u64> = right
            .map(|answer| answer.ended_ns.saturating_sub(answer.begun_ns))
            .collect();
        if took.len() < LIMIT_FROM {
            return Err(format!(
                "operations `{}` were {} in the baseline, and {LIMIT_FROM} are needed to say what is too long; say it \
                 by `good: {{within: ...}}`, or make the baseline longer",
                self.asked.name,
                took.len()
            ));
        }
        if let Some(too_long) = noise(&took) {
            return Err(format!(
                "operations `{}` are too noisy in the baseline to say what is too long: by what one half of it took, \
                 {too_long} of {} operations of the other half would be; say it by `good: {{within: ...}}`, or make \
                 the baseline longer",
                self.asked.name,
                took.len() / 2
            ));
        }
        self.limit_ns = Some(longest_good(&mut took));
        Ok(())
    }

    /// The longest that a good one takes, once it is known.
    pub fn limit(&self) -> Option<Duration> {
        self.limit_ns.map(Duration::from_nanos)
    }

    /// All operations in the order in which they began, as they are judged at this time: those without an end are
    /// there once they are overdue, and bad.
    pub fn answers(&self, now_ns: u64) -> Vec<Answer> {
        let limit = self.limit_ns.unwrap_or(u64::MAX);
        let ended = self.kept.iter().map(|answer| Answer {
            is_right: answer.is_right && answer.ended_ns.saturating_sub(answer.begun_ns) <= limit,
            ..*answer
        });
        let overdue = self.overdue(now_ns).map(|open| Answer {
            begun_ns: open.begun_ns,
            ended_ns: now_ns,
            is_right: false,
        });
        let mut all: Vec<Answer> = ended.chain(overdue).collect();
        all.sort_by_key(|answer| (answer.begun_ns, answer.ended_ns));
        all
    }

    /// Why it cannot be judged, where it cannot.
    pub fn unmeasurable(&self) -> Option<String> {
        if self.lost > 0 {
            let records = count(
                self.lost,
                "record of operations was lost",
                "records of operations were lost",
            );
            return Some(format!(
                "{records}, since the target did more than could be read, or the kernel was short of memory; narrow it by `connect-to`"
            ));
        }
        (self.over > 0).then(|| {
            format!(
                "it had more than {} operations, which is the most that is kept; let the run be shorter, or narrow it \
                 by `connect-to`",
                self.most
            )
        })
    }

    /// The facts beside the judgement; `impact_ns` is when the first bad operation of the faults began.
    pub fn account(&self, now_ns: u64, impact_ns: Option<u64>) -> OperationAccount {
        let limit = self.limit_ns.unwrap_or(u64::MAX);
        let mut bad = self.failed.clone();
        let took = |answer: &&Answer| answer.ended_ns.saturating_sub(answer.begun_ns);
        let late = self
            .kept
            .iter()
            .filter(|one| one.is_right && took(one) > limit);
        let endless = self.overdue(now_ns).count();
        for (why, number) in [("late", late.count()), (NO_END, endless)] {
            if number > 0 {
                bad.insert(why.to_owned(), u64::try_from(number).unwrap_or(u64::MAX));
            }
        }
        let turns = self.turns.iter();
        let reacted = impact_ns.and_then(|impact| {
            turns
                .filter(|(at, _)| *at > impact)
                .min_by_key(|(at, _)| *at)
                .map(|(at, what)| Reaction {
                    after_ms: (at - impact) / 1_000_000,
                    what: *what,
                })
        });
        OperationAccount {
            limit_us: self.limit_ns.map(|limit| limit / 1_000),
            bad,
            retries: self.retries,
            gaps: Gaps::of(&self.gaps_ns, &self.growths),
            amplification_percent: impact_ns.and_then(|impact| self.amplification(impact, now_ns)),
            reaction: reacted,
            resent: self.resent,
            sent_bytes: self.sent_bytes,
            lost: self.lost,
        }
    }
}

impl Stream {
    /// How many operations there were from the impact on for each that was no retry, in percent; nothing without a retry, or
    /// where there were more than are kept.
    fn amplification(&self, impact_ns: u64, now_ns: u64) -> Option<u64> {
        if self.turns.len() >= MOST_TURNS || self.over > 0 {
            return None;
        }
        let ended = self.kept.iter().map(|answer| answer.begun_ns);
        let overdue = self.overdue(now_ns).map(|open| open.begun_ns);
        let begun = ended.chain(overdue).filter(|at| *at >= impact_ns).count();
        let retries = self.turns.iter().filter(|(at, what)| match what {
            Reacted::Retry => *at >= impact_ns,
            Reacted::OtherFarEnd | Reacted::TargetEnded => false,
        });
        let retries = retries.count();
        let meant = begun.checked_sub(retries).filter(|_| retries > 0)?;
        let percent = begun.saturating_mul(100).checked_div(meant)?;
        u64::try_from(percent).ok()
    }
}

/// The longest that a good operation takes where these took so long: half as much again as what one in a hundred exceeds.
fn longest_good(took: &mut [u64]) -> u64 {
    took.sort_unstable();
    let last = took.len().saturating_sub(1);
    let p99 = took.get(last * 99 / 100).copied().unwrap_or_default();
    // Never nothing: a clock has grains.
    p99.saturating_add(p99 / 2).max(1_000)
}

/// How many operations of one half of the baseline would be too long by the limit of the other, and by [`GRAIN`], where these
/// are more than one in ten: the same thing is measured twice, without a fault, and is not the same.
fn noise(took: &[u64]) -> Option<usize> {
    let (first, second) = took.split_at(took.len() / 2);
    let too_long = |of: &[u64], by: &[u64]| {
        let limit = longest_good(&mut by.to_vec()).saturating_add(GRAIN);
        of.iter().filter(|took| **took > limit).count()
    };
    let worst = too_long(first, second).max(too_long(second, first));
    (worst * 10 > took.len() / 2).then_some(worst)
}

/// What a record's `why` means, in words.
fn reason(told: u32) -> String {
    match told {
        why::CLOSED => "closed by the peer".into(),
        why::GIVEN_UP => "given up".into(),
        number => {
            let known = number.to_string().parse::<Errno>();
            known.map_or_else(
                |_| format!("errno {number}"),
                |errno| errno.name().to_owned(),
            )
        }
    }
}

fn late(took_ns: u64) -> String {
    format!("took {}", duration::measured(Duration::from_nanos(took_ns)))
}
