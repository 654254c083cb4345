//! Answers in a target's own memory: what is answered is written into the tables, and probes are put into the processes of
//! the targets by a thread of its own.
//!
//! Nothing waits for that thread but the start and the end, and both have a deadline: the kernel lets an attachment wait for
//! threads that sleep in programs elsewhere, up to ten seconds. The probes are its descriptors; what they do hangs on the
//! lease, which no one of this waits for.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use injector_common::{RuleId, rule_id};
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
const END: Duration = Duration::from_secs(2);

/// How often the thread looks for processes without probes; the run says every 50 ms who belongs to the targets.
const PAUSE: Duration = Duration::from_millis(20);

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
    thread: Option<JoinHandle<()>>,
    /// Processes that were attached to while the run was on.
    joined: u64,
    is_begun: bool,
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
            let script = script(&rule.fault, 1);
            maps.write_ends(rule.id, &script.ends)?;
            maps.write_answers(rule.id, &script.answers)?;
        }
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
        while shared.rounds.load(Ordering::Acquire) == 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Self {
            maps,
            rules,
            number: 1,
            shared,
            told,
            over,
            thread: Some(thread),
            joined: 0,
            is_begun: false,
        })
    }

    /// The scopes of the rules.
    pub(in crate::effects) fn scopes(&self) -> Vec<u32> {
        let mut scopes: Vec<u32> = self.rules.iter().map(|rule| rule.scope).collect();
        scopes.dedup();
        scopes
    }

    /// Says who belongs to the targets now.
    pub(in crate::effects) fn follow(&self, members: Vec<TaskKey>) {
        self.shared.set(members);
    }

    /// Processes that cannot be attached to, of those that were met since the last look, and why.
    pub(in crate::effects) fn news(&mut self) -> Vec<(u32, String)> {
        let mut news = Vec::new();
        while let Ok(covered) = self.told.try_recv() {
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
        for rule in &self.rules {
            // What stands there is as good, and a second older.
            let _ = self
                .maps
                .write_answers(rule.id, &script(&rule.fault, self.number).answers);
        }
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

    /// Takes the probes out, or leaves that to the thread where it takes long.
    pub(super) fn end(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else {
            return;
        };
        thread.thread().unpark();
        if self.over.recv_timeout(END).is_ok() {
            // It has said its last.
            let _ = thread.join();
        }
    }
}

impl Drop for Rewrites {
    fn drop(&mut self) {
        self.end();
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
