//! Answers in a target's own memory: what is answered is written into the tables, and probes are put into the processes of
//! the targets by a thread of its own.
//!
//! Nothing waits for that thread but the start and the end, and both have a deadline: the kernel lets an attachment wait for
//! threads that sleep in programs elsewhere, up to ten seconds. The probes are its descriptors; what they do hangs on the
//! lease, which no one of this waits for.

use std::{
    collections::BTreeSet,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
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
use injector_relay::script::script;
use injector_spec::{error::Refusal, experiment::Fault};

use crate::members::{Covered, Members};

/// How long the first attachments may take before the run goes on without those that are missing.
const START: Duration = Duration::from_secs(5);

/// How long the probes may take to be taken out before they are left to their thread.
pub(in crate::effects) const END: Duration = Duration::from_secs(2);

/// How often the thread looks for processes without probes; the run says every 50 ms who belongs to the targets.
const PAUSE: Duration = Duration::from_millis(20);

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
    /// How often answers were made up: it is in what a provider numbers.
    number: u64,
    shared: Arc<Shared>,
    told: Receiver<Covered>,
    over: Receiver<()>,
    /// What was told before the run began.
    early: Vec<Covered>,
    first: FirstRound,
    thread: Option<JoinHandle<()>>,
    /// Processes that were attached to while the run was on.
    joined: u64,
    is_begun: bool,
}

/// What became of the first look at all processes of the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstRound {
    /// All were looked at.
    Made,
    /// It was not at its end within [`START`].
    Late,
    /// Its thread ended before.
    Dead,
}

/// What the run's thread and the one that attaches say to each other.
#[derive(Default)]
struct Shared {
    /// Who belongs to the targets.
    members: Mutex<Vec<TaskKey>>,
    /// Rounds that were made.
    rounds: AtomicU64,
    /// Processes in which nothing could be attached to, as they are now, with the runtime that they have instead.
    unheard: Mutex<Vec<(u32, Option<Runtime>)>>,
    is_over: AtomicBool,
}

impl Rewrites {
    /// Writes what is answered, loads the programs, and attaches to the processes that are there.
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
        for rule in &rules {
            maps.write_ends(rule.id, &script(&rule.fault, 1).ends)?;
        }
        maps.write_answers(&answers(&rules, 1))?;
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
        let early: Vec<Covered> = told.try_iter().collect();
        let rewrites = Self {
            maps,
            rules,
            number: 1,
            shared,
            told,
            over,
            early,
            first,
            thread: Some(thread),
            joined: 0,
            is_begun: false,
        };
        // A refusal takes out what there is.
        check_first(first, &rewrites.early)?;
        Ok(rewrites)
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
        let mut news = Vec::new();
        let early = mem::take(&mut self.early);
        for covered in early.into_iter().chain(self.told.try_iter()) {
            match covered {
                Covered::By(..) => self.joined += u64::from(self.is_begun),
                Covered::Not(pid, why) => news.push((pid, why)),
                Covered::Gone(_) => {}
            }
        }
        self.is_begun = true;
        news
    }

    /// Makes the answers anew: some say when a limit ends, and all their number.
    pub(in crate::effects) fn renew(&mut self) {
        self.number += 1;
        // What stands there is as good, and a second older.
        let _ = self.maps.write_answers(&answers(&self.rules, self.number));
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
        if self.joined > 0 {
            words.push(format!(
                "{} processes or libraries came to the target while the run was on; what they asked before they were attached to, some 100 ms, no fault met",
                self.joined
            ));
        }
        let unheard = self.shared.unheard.lock();
        let unheard = unheard.unwrap_or_else(PoisonError::into_inner);
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

/// Refuses where the first round has reached none of the processes that have a library. Those that have none may get one.
fn check_first(first: FirstRound, told: &[Covered]) -> Result<(), Refusal> {
    let is_any = told.iter().any(|one| matches!(one, Covered::By(..)));
    match first {
        FirstRound::Dead => Err(Refusal::failed(
            "the thread that puts probes into the target ended by itself; try again",
        )),
        FirstRound::Made | FirstRound::Late if is_any => Ok(()),
        FirstRound::Late => Err(Refusal::failed(
            "tls-rewrite had no probe in the target after 5 s: the kernel lets an attachment wait for threads that sleep in programs elsewhere; try again when other runs have ended, or say --by relay",
        )),
        FirstRound::Made => {
            let refused = told.iter().find_map(|one| match one {
                Covered::Not(pid, why) => Some((pid, why)),
                Covered::By(..) | Covered::Gone(_) => None,
            });
            refused.map_or(Ok(()), |(pid, why)| {
                Err(Refusal::failed(format!(
                    "tls-rewrite reaches no process of the target, process {pid} not because {why}; say --by relay"
                )))
            })
        }
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
}

/// The thread's own: attaches to who belongs to the targets until it is told to end, and takes everything out.
fn keep_up(shared: &Shared, probes: &TlsProbes, caller: u32, tell: &Sender<Covered>) {
    let mut members = Members::new(Guard::new(caller));
    while !shared.is_over.load(Ordering::Acquire) {
        members.keep_up(&shared.members(), probes, &mut |covered| {
            // The run may be over.
            let _ = tell.send(covered);
        });
        *shared
            .unheard
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = members.unheard();
        shared.rounds.fetch_add(1, Ordering::Release);
        std::thread::park_timeout(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_reaches_no_process_is_refused() {
        let by = || Covered::By(1, "libssl".into());
        let not = || Covered::Not(2, "it is protected".into());
        let words = |first, told: &[Covered]| {
            let refused = check_first(first, told).err();
            refused.map(|refusal| refusal.to_string())
        };
        assert_eq!(words(FirstRound::Made, &[]), None);
        assert_eq!(words(FirstRound::Made, &[not(), by()]), None);
        assert_eq!(words(FirstRound::Late, &[by()]), None);
        let refused = words(FirstRound::Made, &[not()]).unwrap();
        assert!(refused.contains("process 2") && refused.contains("protected"));
        assert!(words(FirstRound::Late, &[]).is_some_and(|why| why.contains("5 s")));
        assert!(words(FirstRound::Dead, &[by()]).is_some());
    }
}
