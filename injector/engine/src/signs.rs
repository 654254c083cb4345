//! Signs: what of a target is seen from outside, so that its silence and its claims can be judged.
//!
//! | sign | who looks |
//! | --- | --- |
//! | a file that changes, a line in it | a thread each, every 100 ms; a file system may hang |
//! | a connection of a target | the run's own thread, from what the kernel tells of operations |
//!
//! The run's thread notes when the first hit was: behind the last look at which none was counted, and no later than the relay says.
//! A target may do something about a hit at once, and hits are counted some 100 ms later. The thread asks for the last look once everything is put back, which then has half a
//! second. A sign that could not be looked at until then says nothing, and never that there was nothing.
//!
//! Rejected: one look at the end. A line that was rotated away, and a file that was made and removed, would not be seen.

mod file;
mod seen;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use injector_common::operation::{Told, what};
use injector_host::kernel::{self, clock::boot_ns};
use injector_plan::{For, Watched};
use injector_record::{
    gate::{GateEnd, GateReport},
    report::{Claimed, Handoff, RunReport, Signs as SignsReport},
    rollback::CommandEnd,
};
use injector_spec::{experiment::Experiment, quantity::count};

use self::{
    file::Look,
    seen::{Seen, lock},
};
use crate::halt_monitor::Threads;

/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long is waited for the first look, and for the last.
const AWAITED: Duration = Duration::from_millis(500);

/// Connections of which is remembered that they began, at most.
const MOST_BEGUN: usize = 1_024;

/// The signs of a run; nothing where the experiment declares none.
#[derive(Default)]
pub(crate) struct Signs {
    /// Whether the first of them is how a target hands over.
    is_handed_over: bool,
    /// How its success is claimed.
    claim: Option<Claim>,
    /// In the order of [`Experiment::signs`].
    all: Vec<Arc<Seen>>,
    /// Which connections are for which sign.
    watched: Vec<(Watched, usize)>,
    /// Connections that have begun and are not made yet, by their cookies: for which sign, the oldest first.
    begun: Mutex<VecDeque<(u64, usize)>>,
    /// The last look at which no fault had hit yet, and that before the first hit; on the boot clock, in nanoseconds.
    unhit_ns: u64,
    hit_ns: Option<u64>,
    threads: Threads,
}

/// How success is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// By the sign at this place.
    BySign(usize),
    /// By commands of the experiment that end with 0.
    ByCommands,
}

impl Signs {
    /// Starts to look.
    pub(crate) fn start(
        experiment: &Experiment,
        watched: &[Watched],
    ) -> Result<Self, kernel::Error> {
        let all: Vec<_> = experiment.signs().map(Seen::of).collect();
        let mut threads = Threads::default();
        for seen in &all {
            let Some(mut look) = Look::at(&seen.sign) else {
                continue;
            };
            let seen = Arc::clone(seen);
            // What is there by now is the past.
            threads.spawn("sign", move |is_over| {
                while !is_over.load(Ordering::Relaxed) {
                    let began = boot_ns();
                    let answer = look.look();
                    if let Ok(true) = answer {
                        seen.note(boot_ns());
                    }
                    seen.read(answer.err());
                    seen.looked(began);
                    thread::park_timeout(LOOK_EVERY);
                }
            })?;
        }
        // Before any fault acts, so that nothing of what the target does then is taken for the past.
        await_looks(&all, 1, AWAITED);
        for seen in &all {
            seen.run_begins();
        }
        let handed_over = usize::from(experiment.handoff().is_some());
        let of_signs = watched.iter().filter_map(|watched| match watched.what_for {
            For::Sign(place) => Some((watched.clone(), place)),
            For::Operations => None,
        });
        Ok(Self {
            is_handed_over: handed_over > 0,
            claim: experiment.success().map(|success| {
                success
                    .claim
                    .as_ref()
                    .map_or(Claim::ByCommands, |_| Claim::BySign(handed_over))
            }),
            all,
            watched: of_signs.collect(),
            begun: Mutex::default(),
            unhit_ns: boot_ns(),
            hit_ns: None,
            threads,
        })
    }

    /// Whether any of them is a connection.
    pub(crate) fn listens(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Takes in what the kernel has told of an operation. To hand over is to try; all else is seen once a connection is made.
    pub(crate) fn take(&self, told: &Told) {
        match told.what {
            what::CONNECT_BEGAN | what::CONNECT_REFUSED => self.tries(told),
            what::CONNECT_MADE => {
                for place in self.has_begun(told.cookie) {
                    self.all[place].note(told.boot_ns);
                }
            }
            what::CONNECT_FAILED => drop(self.has_begun(told.cookie)),
            // Of requests, and of kinds to come.
            _ => {}
        }
    }

    fn tries(&self, told: &Told) {
        for (watched, place) in &self.watched {
            if watched.scope != told.scope || !watched.is_for(told.remote, told.port) {
                continue;
            }
            if self.is_handed_over && *place == 0 {
                self.all[*place].note(told.boot_ns);
                continue;
            }
            if told.what == what::CONNECT_REFUSED {
                continue;
            }
            let mut begun = lock(&self.begun);
            if begun.len() >= MOST_BEGUN
                && let Some((_, place)) = begun.pop_front()
            {
                let why = format!("more than {MOST_BEGUN} connections were begun at once");
                self.all[place].cannot_be_read(why);
            }
            begun.push_back((told.cookie, *place));
        }
    }

    /// The signs for which this connection has begun, which are told of no more.
    fn has_begun(&self, cookie: u64) -> Vec<usize> {
        let mut begun = lock(&self.begun);
        let its = begun.iter().filter(|(of, _)| *of == cookie);
        let its = its.map(|(_, place)| *place).collect();
        begun.retain(|(of, _)| *of != cookie);
        its
    }

    /// Takes in that so many operations of these targets were told and could not be kept: what is not seen of their connections may
    /// have been there.
    pub(crate) fn lost(&self, lost: u64, scopes: &[u32]) {
        if lost == 0 {
            return;
        }
        for (watched, place) in &self.watched {
            if scopes.contains(&watched.scope) {
                let lost = count(lost, "operation", "operations");
                self.all[*place].cannot_be_read(format!("{lost} of its targets were lost"));
            }
        }
    }

    /// Notes how many hits there are by now.
    pub(crate) fn look(&mut self, now_ns: u64, hits: u64) {
        match (hits, self.hit_ns) {
            (0, _) => self.unhit_ns = now_ns,
            // The first hit was behind the last look at which there was none.
            (_, None) => self.was_hit(self.unhit_ns),
            (_, Some(_)) => {}
        }
    }

    /// Notes that a fault has hit at this time; of all, the earliest counts.
    pub(crate) fn was_hit(&mut self, at_ns: u64) {
        let first = self.hit_ns.unwrap_or(self.unhit_ns).min(at_ns);
        if self.hit_ns != Some(first) {
            self.hit_ns = Some(first);
            for seen in &self.all {
                seen.is_hit(first);
            }
        }
    }

    /// Judges what was seen, and leaves it in the report. It waits for the last look, and everything is put back by now.
    pub(crate) fn judge(mut self, report: &mut RunReport) {
        if self.all.is_empty() {
            return;
        }
        self.look_again();
        // Hits that came with the very last look.
        let met = report.faults.iter().any(|fault| fault.hit > 0);
        if met && self.hit_ns.is_none() {
            self.was_hit(self.unhit_ns);
        }
        let reactions = report.faults.iter().filter_map(|fault| fault.reaction);
        let failed = reactions.map(|reaction| reaction.failed_for_good()).sum();
        let signs = SignsReport {
            handoff: self.is_handed_over.then(|| self.handoff(failed)),
            success: self.claim.map(|claim| self.success(claim, &report.gates)),
        };
        let mut words = signs.words();
        words.append(&mut report.remarks);
        report.remarks = words;
        report.signs = Some(Box::new(signs));
    }

    /// Has all files looked at once more, for as long as that may take.
    fn look_again(&mut self) {
        let now = boot_ns();
        await_looks(&self.all, now, AWAITED);
        for seen in self.all.iter().filter(|seen| !seen.was_looked_at(now)) {
            seen.stands_still();
        }
        std::mem::take(&mut self.threads).leave();
    }

    fn handoff(&self, failed: u64) -> Handoff {
        let seen = &self.all[0];
        let sign = seen.sign.in_words();
        let Some(hit_ns) = self.hit_ns else {
            return Handoff::NothingToTell;
        };
        match (seen.since_hit(), seen.unreadable()) {
            (Some(at), _) => {
                let after_ms = at.saturating_sub(hit_ns) / 1_000_000;
                match failed {
                    0 => Handoff::Unprompted { sign, after_ms },
                    1.. => Handoff::Escalated {
                        sign,
                        after_ms,
                        failed,
                    },
                }
            }
            (None, _) if failed == 0 => Handoff::NothingToTell,
            (None, Some(why)) => Handoff::Unseen { why },
            (None, None) => Handoff::Silent { sign, failed },
        }
    }

    fn success(&self, claim: Claim, gates: &[GateReport]) -> Claimed {
        let (claimed, effects) = match claim {
            Claim::BySign(place) => {
                let seen = &self.all[place];
                let claimed = match (seen.first(), seen.unreadable()) {
                    (Some(_), _) => Some(seen.sign.in_words()),
                    (None, Some(why)) => return Claimed::Unseen { why },
                    (None, None) => None,
                };
                (claimed, &self.all[place + 1..])
            }
            Claim::ByCommands => (
                by_commands(gates),
                &self.all[usize::from(self.is_handed_over)..],
            ),
        };
        let Some(claim) = claimed else {
            return Claimed::NotClaimed;
        };
        let missing = || effects.iter().filter(|seen| seen.first().is_none());
        if let Some(why) = missing().find_map(|seen| seen.unreadable()) {
            return Claimed::Unseen { why };
        }
        let missing: Vec<String> = missing().map(|seen| seen.sign.in_words()).collect();
        if missing.is_empty() {
            return Claimed::True {
                effects: effects.len(),
            };
        }
        Claimed::False { claim, missing }
    }
}

/// Waits until all were looked at since this time, on the boot clock in nanoseconds, and no longer than this.
fn await_looks(all: &[Arc<Seen>], since_ns: u64, most: Duration) {
    let until = Instant::now() + most;
    while Instant::now() < until && !all.iter().all(|seen| seen.was_looked_at(since_ns)) {
        thread::sleep(Duration::from_millis(5));
    }
}

/// The claim that commands of steps make by all ending with 0, in words.
fn by_commands(gates: &[GateReport]) -> Option<String> {
    let ran = gates.iter().filter_map(|gate| match &gate.end {
        GateEnd::Ran { end, .. } => Some(matches!(end, CommandEnd::Exited { code: 0 })),
        GateEnd::Answered
        | GateEnd::Approved { .. }
        | GateEnd::TimedOut { .. }
        | GateEnd::RunEnded => None,
    });
    let ran: Vec<bool> = ran.collect();
    (!ran.is_empty() && ran.iter().all(|well| *well))
        .then(|| "a command that ended with 0".to_owned())
}

#[cfg(test)]
mod tests;
