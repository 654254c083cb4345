//! What a run measures beside its faults: the probes of its steady state, each asked by a thread of its own, and the
//! operations of its targets ([`streams`]).
//!
//! The threads post; the run's own thread collects, twenty times a second at most, hands the answers to the journal and
//! keeps what [`injector_record::measure`] judges. A thread never waits for the run, and the run never for a thread.
//!
//! Rejected: judging from the journal. A disk that stands still would then decide what a run says.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

mod phase;
mod streams;

use self::{phase::Standpoint, streams::Streams};
use crate::{
    effects::ground::Ground,
    halt_monitor::{Threads, keep_asking_while},
    signs::Signs,
};
use injector_host::{
    kernel::{self, clock::boot_ns},
    targets::guard::Guard,
};
use injector_record::{
    journal::Record,
    measure::{self, Answer, Case, Measured, Sample, Times, Verdict, What},
    report::{Outcome, RunReport},
};
use injector_spec::{
    condition::Question,
    experiment::{Detect, Experiment, NamedProbe, SteadyState},
    quantity::count,
};

/// The probes of a run, and when what of it happened; nothing where the experiment has no steady state.
#[derive(Default)]
pub struct Measures {
    watched: Option<Watched>,
    signs: Signs,
    /// Where nothing else reads what the kernel tells of operations.
    unwatched: Streams,
}

struct Watched {
    steady_state: SteadyState,
    series: Vec<Series<NamedProbe>>,
    /// The probe of the target's own alarm, where the experiment names one.
    alarm: Option<Series<Detect>>,
    streams: Streams,
    standpoint: Standpoint,
    times: Times,
    /// The last look at which no fault had hit yet.
    unhit_ns: u64,
    /// Commands that were run, where they are what is tried.
    commands: usize,
    /// Answers that the journal could not take.
    left_out: usize,
    threads: Threads,
}

/// What one probe was answered.
struct Series<P> {
    probe: P,
    /// Posted, and not collected yet.
    posted: Arc<Mutex<Vec<Sample>>>,
    answers: Vec<Answer>,
}

impl Measures {
    /// Starts to ask; `guard` says whom a pattern of a probe never means.
    pub fn start(
        experiment: &Experiment,
        watched: Vec<injector_plan::Watched>,
        guard: &Guard,
    ) -> Result<Self, kernel::Error> {
        let signs = Signs::start(experiment, &watched)?;
        let Some(steady_state) = experiment.steady_state.as_deref() else {
            return Ok(Self {
                signs,
                ..Self::default()
            });
        };
        let mut threads = Threads::default();
        let standpoint = Standpoint::of(experiment);
        let mut series = Vec::new();
        for probe in &steady_state.probes {
            let (mode, standpoint) = (probe.mode, standpoint.clone());
            let is_time = move || mode.is_asked(standpoint.now());
            let posted = ask(&probe.question, guard, is_time, &mut threads)?;
            series.push(Series::of(probe.clone(), posted));
        }
        let alarm = match &steady_state.detect {
            Some(detect) => {
                let posted = ask(&detect.question, guard, || true, &mut threads)?;
                Some(Series::of(detect.clone(), posted))
            }
            None => None,
        };
        let now = boot_ns();
        let times = Times {
            begun_ns: now,
            ..Times::default()
        };
        Ok(Self {
            watched: Some(Watched {
                steady_state: steady_state.clone(),
                series,
                alarm,
                streams: Streams::of(steady_state, watched),
                standpoint,
                times,
                unhit_ns: now,
                commands: 0,
                left_out: 0,
                threads,
            }),
            signs,
            unwatched: Streams::default(),
        })
    }

    /// What is measured, until all is: commands that put a system right again may be run behind that.
    fn measuring(&mut self) -> Option<&mut Watched> {
        let watched = self.watched.as_mut();
        watched.filter(|watched| watched.times.ended_ns == 0)
    }

    /// Who reads what the kernel tells of operations, and the signs among them.
    fn streams(&mut self) -> (&mut Streams, &Signs) {
        let watched = self.watched.as_mut();
        let watched = watched.filter(|watched| watched.times.ended_ns == 0);
        let streams = watched.map(|watched| &mut watched.streams);
        (streams.unwrap_or(&mut self.unwatched), &self.signs)
    }

    /// Takes over which operations the kernel has told of.
    pub(crate) fn watch(&mut self, ground: &mut Ground) {
        let (streams, signs) = self.streams();
        streams.read(ground, signs);
    }

    /// Notes that a target has ended at this time, and no fault may have ended it.
    pub(crate) fn target_ended(&mut self, target: &str, at_ns: u64) {
        if let Some(watched) = self.measuring() {
            watched.streams.target_ended(target, at_ns);
        }
    }

    /// Takes over the last of them: all that began by then counts.
    pub(crate) fn close(&mut self, ended_ns: u64, ground: &mut Ground) {
        let (streams, signs) = self.streams();
        streams.close(ended_ns, ground, signs);
    }

    /// Takes over what was answered since the last time; returns it for the journal, where there is something.
    pub fn collect(&mut self) -> Vec<Record> {
        let Some(Watched {
            series,
            alarm,
            streams,
            ..
        }) = self.measuring()
        else {
            return Vec::new();
        };
        let collected = series.iter_mut().filter_map(|series| {
            let name = &series.probe.name;
            Some((name.clone(), collect(&series.posted, &mut series.answers)?))
        });
        let of_alarm = alarm.iter_mut().filter_map(|series| {
            let name = &series.probe.name;
            Some((name.clone(), collect(&series.posted, &mut series.answers)?))
        });
        let mut answers: BTreeMap<_, _> = collected.chain(of_alarm).collect();
        let seconds = streams.collect(&mut answers);
        let sampled = (!answers.is_empty()).then_some(Record::Sampled { answers });
        let operated = (!seconds.is_empty()).then_some(Record::Operated { seconds });
        sampled.into_iter().chain(operated).collect()
    }

    /// Notes that the journal could not take these answers.
    pub fn left_out(&mut self, record: &Record) {
        if let (Some(watched), Record::Sampled { answers }) = (&mut self.watched, record) {
            watched.left_out += answers.values().map(Vec::len).sum::<usize>();
        }
    }

    /// What a person should know of the journal.
    pub fn remark(&self) -> Option<String> {
        let left_out = self.watched.as_ref()?.left_out;
        (left_out > 0).then(|| {
            let answers = count(left_out, "answer of a probe", "answers of probes");
            format!("{answers} were judged and are not in the journal: its file system stood still")
        })
    }

    /// Whether faults may begin: not where the steady state did not hold in the baseline, which is said in one
    /// sentence. The first time alone it is the baseline that is looked at.
    pub fn begin_faults(&mut self) -> Option<String> {
        let watched = self.watched.as_mut()?;
        if watched.times.faults_ns.is_some() {
            return None;
        }
        let now = boot_ns();
        let why = watched.streams.find_limits();
        let seen = watched.streams.seen_ns();
        let why = why.or_else(|| measure::unsteady(&watched.measured(seen)));
        if why.is_none() {
            watched.times.faults_ns = Some(now);
            watched.unhit_ns = now;
            watched.standpoint.begin();
        }
        why
    }

    /// Notes how many hits there are by now.
    pub fn look(&mut self, now_ns: u64, hits: u64) {
        self.signs.look(now_ns, hits);
        let Some(watched) = &mut self.watched else {
            return;
        };
        if hits == 0 {
            watched.unhit_ns = now_ns;
        } else if watched.times.hit_ns.is_none() {
            watched.times.hit_ns = Some(watched.unhit_ns);
        }
    }

    /// Notes that a fault has hit at this time; hits may be counted later than they were.
    pub fn was_hit(&mut self, at_ns: u64) {
        self.signs.was_hit(at_ns);
        if let Some(watched) = &mut self.watched {
            let known = watched.times.hit_ns.unwrap_or(watched.unhit_ns);
            watched.times.hit_ns = Some(known.min(at_ns));
        }
    }

    /// Notes that a command is run now, where commands are what is tried.
    pub fn acted(&mut self) {
        if let Some(watched) = &mut self.watched {
            watched.commands += 1;
            watched.times.hit_ns.get_or_insert(boot_ns());
        }
    }

    /// Notes that a step is over that was tried.
    pub(crate) fn tried(&mut self) {
        if let Some(watched) = self.measuring() {
            watched.standpoint.tried();
        }
    }

    /// Notes that no fault is on any more, until the next step has one.
    pub fn lifted(&mut self) {
        let watched = self.measuring();
        if let Some(watched) = watched.filter(|watched| watched.times.faults_ns.is_some()) {
            watched.times.lifted_ns = Some(boot_ns());
        }
    }

    /// Nothing more is asked or taken over; returns for the journal what was answered last. It waits for no thread:
    /// settings of the host are put back after it, and a question that hangs would have no answer.
    pub fn end(&mut self) -> Vec<Record> {
        if let Some(watched) = self.measuring() {
            mem::take(&mut watched.threads).leave();
        }
        let last = self.collect();
        if let Some(watched) = self.measuring() {
            watched.times.ended_ns = boot_ns();
        }
        last
    }

    /// Judges what was answered until the end, and leaves the judgement in the report. There may be a million answers,
    /// so what has to be put back is put back before.
    pub fn judge(mut self, report: &mut RunReport) {
        self.signs.judge(report);
        let Some(watched) = &mut self.watched else {
            return;
        };
        let faults = report.faults.iter();
        let met = faults.filter(|fault| fault.hit > 0).count() + watched.commands;
        // Hits that came with the very last look of a step.
        if met > 0 {
            watched.times.hit_ns.get_or_insert(watched.unhit_ns);
        }
        let cut_short = cut_short(&report.outcome);
        let judgement = measure::judge(&Case {
            steady_state: &watched.steady_state,
            measured: &watched.measured(watched.times.ended_ns),
            alarm: watched.alarm.as_ref().map_or(&[], |alarm| &alarm.answers),
            times: watched.times,
            planned: report.faults.len() + watched.commands,
            met,
            cut_short: cut_short.as_ref(),
        });
        report.judgement = Some(Box::new(judgement));
    }
}

impl Watched {
    fn measured(&self, now_ns: u64) -> Vec<Measured<'_>> {
        let series = self.series.iter().map(|series| Measured {
            what: What::Probe(&series.probe),
            answers: Cow::Borrowed(&series.answers),
        });
        let streams = self.streams.iter().map(|stream| Measured {
            what: What::Operations(stream),
            answers: Cow::Owned(stream.answers(now_ns)),
        });
        series.chain(streams).collect()
    }
}

impl<P> Series<P> {
    const fn of(probe: P, posted: Arc<Mutex<Vec<Sample>>>) -> Self {
        Self {
            probe,
            posted,
            answers: Vec::new(),
        }
    }
}

/// Starts to ask, on a thread; returns where the answers are posted.
fn ask(
    question: &Question,
    guard: &Guard,
    is_time: impl Fn() -> bool + Send + 'static,
    threads: &mut Threads,
) -> Result<Arc<Mutex<Vec<Sample>>>, kernel::Error> {
    let posted = Arc::new(Mutex::new(Vec::new()));
    let (question, guard, to) = (question.clone(), guard.clone(), Arc::clone(&posted));
    threads.spawn("measure", move |is_over| {
        keep_asking_while(
            &question.probe,
            question.pace,
            &guard,
            is_over,
            is_time,
            |answered| {
                let took_ns = answered.ended_ns.saturating_sub(answered.begun_ns);
                lock(&to).push(Sample {
                    at_ns: answered.begun_ns,
                    took_us: took_ns / 1_000,
                    wrong: answered.answer.err(),
                });
            },
        );
    })?;
    Ok(posted)
}

/// Takes over what was posted; returns it, where there is something.
fn collect(posted: &Mutex<Vec<Sample>>, answers: &mut Vec<Answer>) -> Option<Vec<Sample>> {
    let samples = mem::take(&mut *lock(posted));
    answers.extend(samples.iter().map(Answer::from));
    (!samples.is_empty()).then_some(samples)
}

/// A thread that broke while it posted has posted whole samples.
fn lock(posted: &Mutex<Vec<Sample>>) -> std::sync::MutexGuard<'_, Vec<Sample>> {
    posted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an end before the time says of the hypothesis.
pub(crate) fn cut_short(outcome: &Outcome) -> Option<Verdict> {
    match outcome {
        Outcome::Completed => None,
        Outcome::Halted { why } => Some(Verdict::Halted(why.clone())),
        Outcome::Stopped => Some(Verdict::Inconclusive(
            "the run was stopped before its time".into(),
        )),
        Outcome::TargetEnded { why }
        | Outcome::Failed { why }
        | Outcome::Unsteady { why }
        | Outcome::GateShut { why } => Some(Verdict::Inconclusive(why.clone())),
    }
}
