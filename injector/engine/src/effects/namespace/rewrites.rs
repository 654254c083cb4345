//! Answers in a target's own memory: what is answered is written into the tables, and probes are put into the processes of
//! the targets by a thread of its own.
//!
//! Nothing waits for that thread but the start and the end, and both have a deadline: the kernel lets an attachment wait for
//! threads that sleep in programs elsewhere, up to ten seconds. The probes are its descriptors; what they do hangs on the
//! lease, which no one of this waits for.

mod told;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use injector_common::{RuleId, rewrite::Answer, rule_id};
use injector_host::{
    kernel::{object::Object, rewrite::RewriteMaps, uprobe::TlsProbes},
    targets::{guard::Guard, process::TaskKey, tls::Runtime},
};
use injector_plan::{Mechanism, Plan};
use injector_relay::script::{Script, script};
use injector_spec::{error::Refusal, experiment::Fault};

use self::told::{FirstRound, News, Round, Told};
use crate::{
    members::{EVERY, Members, Unheard},
    watchdog::Licence,
};

/// How long the first attachments may take before the run goes on without those that are missing.
const START: Duration = Duration::from_secs(5);

/// How long the probes may take to be taken out before they are left to their thread.
pub(in crate::effects) const END: Duration = Duration::from_secs(2);

/// How long answers stand before they are made anew. The tables rely on it, see [`RewriteMaps::write_answers`].
const STANDS: Duration = Duration::from_secs(1);

/// What a run says of probes that are not out then.
const STILL_THERE: &str = "probes of tls-rewrite are still in the target 2 s after the run has ended: the kernel lets their removal wait for threads that sleep in programs elsewhere. They find no lease and change nothing, and go with this process at the latest";

/// As many processes that were not met as are named.
const NAMED: usize = 5;

/// A rule that answers requests.
struct Answering {
    /// Its place in the plan.
    place: usize,
    id: RuleId,
    scope: u32,
    fault: Fault,
}

/// What a namespace has for the targets of such rules. Dropped, the probes go.
pub(in crate::effects) struct Rewrites {
    maps: RewriteMaps,
    rules: Vec<Answering>,
    turns: Turns,
    shared: Arc<Shared>,
    news: News,
    over: Receiver<()>,
    first: FirstRound,
    thread: Option<JoinHandle<()>>,
}

/// The turns in which answers are made up, each in its time.
struct Turns {
    /// How many there were: it is in what a provider numbers.
    number: u64,
    /// When the last one was over.
    last: Instant,
}

/// What the run's thread and the one that attaches say to each other.
#[derive(Default)]
struct Shared {
    /// Who belongs to the targets.
    members: Mutex<Vec<TaskKey>>,
    /// Says whether the run may go on; nothing while it is being armed.
    licence: OnceLock<Licence>,
    /// Rounds that were made.
    rounds: AtomicU64,
    /// Processes in which nothing could be attached to, as they are now, with the runtime that they have instead.
    unheard: Mutex<Vec<Unheard>>,
    is_over: AtomicBool,
}

impl Rewrites {
    /// Writes what is answered, loads the programs, and attaches to the processes that are there. [`Rewrites::check`] says
    /// whether any could be.
    pub(super) fn start(
        object: &mut Object,
        plan: &Plan,
        scopes: &[u32],
        members: Vec<TaskKey>,
        caller: u32,
    ) -> Result<Self, Refusal> {
        let rules = plan.rules.iter().enumerate();
        let rules = rules.filter(|(_, rule)| {
            rule.compiled.mechanism == Mechanism::TlsRewrite && scopes.contains(&rule.scope)
        });
        let rules: Vec<Answering> = rules
            .map(|(place, rule)| Answering {
                place,
                id: rule_id(rule.scope, rule.slot),
                scope: rule.scope,
                fault: rule.fault.clone(),
            })
            .collect();
        let mut maps = RewriteMaps::take(object)?;
        let mut answers = Vec::new();
        for rule in &rules {
            let Script { ends, answers: own } = script(&rule.fault, 1);
            maps.write_ends(rule.id, &ends)?;
            answers.push((rule.id, own));
        }
        maps.write_answers(&answers)?;
        let turns = Turns {
            number: 1,
            last: Instant::now(),
        };
        let probes = TlsProbes::writing(object)?;
        let shared = Arc::new(Shared::default());
        shared.set(members);
        let (tell, told) = channel();
        let (end, over) = channel();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("probes".into())
            .spawn(move || {
                keep_up(&of_thread, &probes, caller, &tell);
                // The probes are out by now. No listener is as good.
                let _ = end.send(());
            })
            .map_err(|error| {
                Refusal::failed(format!(
                    "the thread that puts probes into the target cannot be started: {error}; try again"
                ))
            })?;
        let until = Instant::now() + START;
        let first = loop {
            if shared.rounds.load(Ordering::Acquire) > 0 {
                break FirstRound::Made;
            } else if thread.is_finished() {
                break FirstRound::Dead;
            } else if Instant::now() >= until {
                break FirstRound::Late;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        Ok(Self {
            maps,
            rules,
            turns,
            shared,
            news: News::of(told),
            over,
            first,
            thread: Some(thread),
        })
    }

    /// Refuses the run where the first look has reached no process that is there.
    pub(super) fn check(&mut self) -> Result<(), Refusal> {
        let mut members = self.shared.members();
        members.retain(TaskKey::is_alive);
        self.news.check(self.first, &members)
    }

    /// The run is on, and may go on for as long as this says so.
    pub(in crate::effects) fn go_by(&self, licence: Licence) {
        // The first is as good as any other of the same run.
        let _ = self.shared.licence.set(licence);
    }

    /// The scopes of the rules.
    pub(in crate::effects) fn scopes(&self) -> BTreeSet<u32> {
        self.rules.iter().map(|rule| rule.scope).collect()
    }

    /// Says who belongs to the targets now.
    pub(in crate::effects) fn follow(&self, members: Vec<TaskKey>) {
        self.shared.set(members);
    }

    /// Processes that cannot be attached to, of those that were met since the last look, and why.
    pub(in crate::effects) fn news(&mut self) -> Vec<(u32, String)> {
        self.news.take()
    }

    /// Makes the answers anew where they have stood for long enough: some say when a limit ends, and all their number.
    pub(in crate::effects) fn renew(&mut self) {
        let Some(number) = self.turns.next(Instant::now()) else {
            return;
        };
        // What stands there is as good, and a second older.
        let _ = self.maps.write_answers(&answers(&self.rules, number));
        self.turns.last = Instant::now();
    }

    /// Why it can act no more.
    pub(in crate::effects) fn broken(&self) -> Option<&'static str> {
        let is_over = self.shared.is_over.load(Ordering::Acquire);
        let is_gone = self.thread.as_ref().is_some_and(JoinHandle::is_finished);
        (is_gone && !is_over).then_some(
            "the thread that puts probes into the target has ended by itself, and its probes with it",
        )
    }

    /// Requests that were taken and whose answers were not met, by the place of their rule in the plan. The lease has ended.
    pub(in crate::effects) fn unanswered(&self) -> Vec<usize> {
        let place = |id| self.rules.iter().find(|rule| rule.id == id);
        let armed = self.maps.armed().into_iter();
        armed.filter_map(|id| Some(place(id)?.place)).collect()
    }

    /// Hits of a rule, by its place in the plan, that changed the status alone.
    pub(in crate::effects) fn degraded(&self, place: usize) -> u64 {
        let rule = self.rules.iter().find(|rule| rule.place == place);
        rule.and_then(|rule| self.maps.degraded(rule.id).ok())
            .unwrap_or_default()
    }

    /// What could not be met, in words.
    pub(in crate::effects) fn unmet(&self) -> Vec<String> {
        let of_scope = |scope: &u32| self.maps.unreadable(*scope).unwrap_or_default();
        let http2: u64 = self.scopes().iter().map(of_scope).sum();
        let mut words = Vec::new();
        if self.first == FirstRound::Late {
            words.push(
                "probes were not in all processes of the target when the run began, 5 s behind its start; what those asked meanwhile, no fault met".to_owned(),
            );
        }
        if http2 > 0 {
            words.push(format!(
                "{http2} connections spoke HTTP/2 inside TLS: their requests were not read, and no fault met them"
            ));
        }
        words.extend(self.news.words());
        let unheard = self.shared.unheard.lock();
        let unheard = unheard.unwrap_or_else(PoisonError::into_inner);
        let unheard = Unheard::of_those_here(&unheard);
        words.extend(unheard.iter().take(NAMED).map(|(pid, runtime)| {
            let why = runtime.map_or("it has no TLS library that is known", Runtime::words);
            format!("process {pid} was not met by tls-rewrite: {why}")
        }));
        if unheard.len() > NAMED {
            words.push(format!(
                "{} more processes were not met by tls-rewrite, for such reasons",
                unheard.len() - NAMED
            ));
        }
        words
    }

    /// Has the thread take the probes out; nothing waits for it here.
    pub(in crate::effects) fn let_go(&self) {
        self.shared.is_over.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Has the probes taken out and waits for that until then; what is left in words, which is the thread's from there on.
    pub(super) fn end(&mut self, until: Instant) -> Option<String> {
        self.let_go();
        let thread = self.thread.take()?;
        let left = until.saturating_duration_since(Instant::now());
        match self.over.recv_timeout(left) {
            Err(RecvTimeoutError::Timeout) => Some(STILL_THERE.to_owned()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                // It has said its last.
                let _ = thread.join();
                None
            }
        }
    }
}

/// What these rules answer.
fn answers(rules: &[Answering], number: u64) -> Vec<(RuleId, Vec<Answer>)> {
    let answers = |rule: &Answering| (rule.id, script(&rule.fault, number).answers);
    rules.iter().map(answers).collect()
}

impl Turns {
    /// The number of the next turn, where it has come.
    fn next(&mut self, now: Instant) -> Option<u64> {
        (now.saturating_duration_since(self.last) >= STANDS).then(|| {
            self.last = now;
            self.number += 1;
            self.number
        })
    }
}

impl Drop for Rewrites {
    fn drop(&mut self) {
        // Where the run came so far, that was told.
        let _ = self.end(Instant::now() + END);
    }
}

impl Shared {
    fn set(&self, members: Vec<TaskKey>) {
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = members;
    }

    fn members(&self) -> Vec<TaskKey> {
        let members = self.members.lock();
        members.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anything may be attached to still.
    fn may_go_on(&self) -> bool {
        let licence = self.licence.get();
        !self.is_over.load(Ordering::Acquire) && licence.is_none_or(Licence::is_live)
    }
}

/// The thread's own: attaches to who belongs to the targets until it is told to end, and takes everything out.
fn keep_up(shared: &Shared, probes: &TlsProbes, caller: u32, tell: &Sender<Told>) {
    let mut members = Members::new(Guard::new(caller));
    while !shared.is_over.load(Ordering::Acquire) {
        let round = match shared.rounds.load(Ordering::Relaxed) {
            0 => Round::First,
            1.. => Round::Later,
        };
        let may_go_on = || shared.may_go_on();
        members.keep_up(&shared.members(), probes, &may_go_on, &mut |covered| {
            // The run may be over.
            let _ = tell.send((round, covered));
        });
        *shared
            .unheard
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = members.unheard();
        shared.rounds.fetch_add(1, Ordering::Release);
        std::thread::park_timeout(EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kill_switch::KillSwitch,
        watchdog::{Brake, Watchdog},
    };

    #[test]
    fn answers_stand_for_a_second_however_often_it_is_asked() {
        let begin = Instant::now();
        let mut turns = Turns {
            number: 1,
            last: begin,
        };
        let asked = (0..=100).map(|tick| begin + tick * Duration::from_millis(50));
        let numbers: Vec<u64> = asked.filter_map(|now| turns.next(now)).collect();
        assert_eq!(numbers, [2, 3, 4, 5, 6]);
    }

    #[test]
    fn nothing_is_attached_to_once_the_lease_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let kill_switch = KillSwitch::watch(directory.path()).unwrap();
        let brake = Brake::default();
        let watchdog =
            Watchdog::start(Vec::new(), u64::MAX, kill_switch, Vec::new(), &brake).unwrap();
        let shared = Shared::default();
        assert!(shared.may_go_on(), "it is being armed");
        shared.licence.set(watchdog.licence()).ok().unwrap();
        assert!(shared.may_go_on());
        brake.pull();
        assert!(!shared.may_go_on());
        let shared = Shared::default();
        shared.is_over.store(true, Ordering::Release);
        assert!(!shared.may_go_on(), "a run that is refused");
    }
}
